"""Every backend by its name: the built-in ones, and those that packages register as entry points."""

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import entry_points

from backends import aer, fake_device, ibm_local, ibm_runtime
from backends.ibm.account import DEFAULT
from backends.ibm.provider import Provider
from isolation.runs import Engine
from qurable.backend import BackendContext, BackendFactory, QuantumBackend
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import AccountRefused, BackendNotInstalled, HybridError, UnknownBackend
from qurable.names import BACKENDS_GROUP, CLASSICAL, CLASSICAL_PREFIX, Queue

_DEVICES_TO_CHOOSE_FROM = 3
"""Of those that are wide enough; each is described in full, which takes a second."""

Elsewhere = Callable[[str], Awaitable[TargetSnapshot | None]]
"""How another worker has described a backend; None where none has."""


async def nowhere_else(_: str) -> TargetSnapshot | None:
    """For a worker that stands alone."""
    return None


class Registry:
    """Builds each backend when it is first asked for.

    Args:
        engine: What simulators run on.
        provider: What IBM's hardware is reached with; None where it is not to be.
        extra: Backends by name that stand before all others, such as a test's.
        elsewhere: Asked where a backend cannot run here: the GPU is another machine's.
    """

    def __init__(
        self,
        engine: Engine,
        provider: Provider | None = None,
        extra: Mapping[str, QuantumBackend] | None = None,
        elsewhere: Elsewhere = nowhere_else,
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._elsewhere = elsewhere
        self._built: dict[str, QuantumBackend] = dict(extra or {})
        self._devices: Sequence[TargetSnapshot] = ()
        self._entries = {entry.name: entry for entry in entry_points(group=BACKENDS_GROUP)}

    def get(self, name: str) -> QuantumBackend:
        """A backend by name.

        Raises:
            UnknownBackend: With the nearest names.
        """
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def _build(self, name: str) -> QuantumBackend:
        if name in self._entries:
            factory: BackendFactory = self._entries[name].load()
            ledger = None if self._provider is None else self._provider.ledger
            return factory(BackendContext(name=name, shelf=self._engine.shelf, ledger=ledger))
        if name == "aer":
            return aer.AerBackend(self._engine)
        if name == aer.GPU:
            return aer.AerGpuBackend(self._engine)
        if name.startswith(fake_device.PREFIX):
            return fake_device.FakeDeviceBackend(self._engine, name)
        if name.startswith(ibm_local.PREFIX):
            return ibm_local.IbmLocalBackend(self._engine, name)
        if name.startswith(ibm_runtime.PREFIX) and self._provider is not None:
            return ibm_runtime.IbmBackend(name, self._provider)
        near = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5)
        raise UnknownBackend(
            f"no backend {name!r} is registered"
            + (
                f"; did you mean {' or '.join(map(repr, near))}?"
                if near
                else "; `qurable backends` lists them"
            ),
            near=near,
        )

    def names(self) -> list[str]:
        """Names that need no look into a provider."""
        return sorted({"aer", aer.GPU, "fake_torino", "fake_brisbane", *self._built, *self._entries})

    async def snapshot(self, name: str) -> TargetSnapshot:
        """What a backend says of itself, here or at the worker that has it.

        Raises:
            HybridError: It is unknown, or missing something, here and everywhere else.
        """
        try:
            return await self.get(name).target()
        except BackendNotInstalled:
            offered = await self._elsewhere(name)
            if offered is None or offered.run_queue is not Queue.GPU:
                raise  # this worker may well be the one that would run it
            return offered

    async def describe(self) -> list[TargetSnapshot]:
        """A snapshot of every backend; one that cannot run here says why."""
        if not self._devices:
            self._devices = await fake_device.list_devices(self._engine)
        snapshots = {snapshot.name: snapshot for snapshot in self._devices}
        for target in await self._describe_ibm():
            snapshots[target.name] = target
        for name in {"aer", aer.GPU, *self._built, *self._entries} - set(snapshots):
            snapshots[name] = await self._describe_one(name)
        return [snapshots[name] for name in sorted(snapshots)]

    def payers(self) -> Sequence[str]:
        """One backend's name for each account that may have jobs at a provider; it stands for all its devices."""
        if self._provider is None:
            return ()
        return [ibm_runtime.backend_name("any", account) for account in self._provider.accounts.all()]

    async def _describe_ibm(self) -> Sequence[TargetSnapshot]:
        """The devices that the default account sees; none where there is no account."""
        if self._provider is None:
            return ()
        try:
            return await ibm_runtime.outlines(self._provider, self._provider.accounts.labelled(DEFAULT))
        except AccountRefused:
            return ()
        except HybridError as failure:
            return (not_here(ibm_runtime.CHOOSE, AnswerKind.HARDWARE, failure),)

    async def _describe_one(self, name: str) -> TargetSnapshot:
        try:
            return await self.snapshot(name)
        except HybridError as failure:
            kind = AnswerKind.CLASSICAL if name.startswith(CLASSICAL_PREFIX) else AnswerKind.SIMULATOR
            return not_here(name, kind, failure)

    async def candidates(self, asked: str, project: str, min_qubits: int) -> Sequence[str]:
        """The backends that a name stands for, best first.

        Args:
            asked: A backend's name, `classical` for any classical solver, or `ibm` where no account pays for one.
            project: Whose account pays.
            min_qubits: Of the widest circuit.

        Raises:
            HybridError: The project has no such account, or the provider does not answer.
        """
        if asked == CLASSICAL:
            return [name for name in self._built if name.startswith(CLASSICAL_PREFIX)]
        if asked == ibm_runtime.CHOOSE:  # nobody pays: IBM's local testing mode
            return (await ibm_local.devices(self._engine, min_qubits))[:_DEVICES_TO_CHOOSE_FROM]
        if asked.startswith(ibm_runtime.PREFIX) and not asked.startswith(ibm_local.PREFIX):
            return (ibm_runtime.qualified(asked, self._provider, project),)
        return (asked,)

    any_device = ibm_runtime.CHOOSE
    """The name that stands for any device of the provider."""

    async def devices(self, project: str) -> Sequence[TargetSnapshot]:
        """IBM's devices without their targets, the shortest queue first.

        Raises:
            AccountRefused: Nobody pays for the project.
            TargetUnavailable: IBM is not reached from here, or does not answer.
        """
        if self._provider is None:
            raise BackendNotInstalled("IBM's hardware is not reached from this worker")
        account = self._provider.accounts.of_project(project)
        return await ibm_runtime.outlines(self._provider, account)

    def is_device(self, name: str) -> bool:
        """Whether a name means hardware of IBM's, any or a certain one."""
        return name == ibm_runtime.CHOOSE or (
            name.startswith(ibm_runtime.PREFIX) and not name.startswith(ibm_local.PREFIX)
        )

    def same_provider(self, name: str, other: str) -> bool:
        """Whether two names mean hardware of one provider; of other packages' hardware nothing is known but the name."""
        return name == other or (self.is_device(name) and self.is_device(other))

    def twin(self, name: str) -> str | None:
        """The simulator with the noise of a device, as far as its snapshot may be shipped; None for what is no device."""
        if not self.is_device(name) or name == ibm_runtime.CHOOSE:
            return None
        return fake_device.PREFIX + ibm_runtime.device_of(name).removeprefix("ibm_")


def not_here(name: str, kind: AnswerKind, failure: HybridError) -> TargetSnapshot:
    """A snapshot of a backend that cannot be used here, and why."""
    return TargetSnapshot(
        name=name, answer_kind=kind, available=False, reason=failure.message, description="not available here"
    )
