"""Every backend by its name: the built-in ones, and those that packages register as entry points."""

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points

from backends import aer, fake_device
from backends.simulation import Engine
from qurable.backend import BackendContext, BackendFactory, QuantumBackend
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import BackendNotInstalled, HybridError, UnknownBackend
from qurable.names import BACKENDS_GROUP

Elsewhere = Callable[[str], Awaitable[TargetSnapshot | None]]
"""How another worker has described a backend; None where none has."""


async def nowhere_else(_: str) -> TargetSnapshot | None:
    """For a worker that stands alone."""
    return None


class Registry:
    """Builds each backend when it is first asked for.

    Args:
        engine: What simulators run on.
        extra: Backends by name that stand before all others, such as a test's.
        elsewhere: Asked where a backend cannot run here: the GPU is another machine's.
    """

    def __init__(
        self,
        engine: Engine,
        extra: Mapping[str, QuantumBackend] | None = None,
        elsewhere: Elsewhere = nowhere_else,
    ) -> None:
        self._engine = engine
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
            return factory(BackendContext(name=name, shelf=self._engine.shelf))
        if name == "aer":
            return aer.AerBackend(self._engine)
        if name == aer.GPU:
            return aer.AerGpuBackend(self._engine)
        if name.startswith(fake_device.PREFIX):
            return fake_device.FakeDeviceBackend(self._engine, name)
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
            if offered is None:
                raise
            return offered

    async def describe(self) -> list[TargetSnapshot]:
        """A snapshot of every backend; one that cannot run here says why."""
        if not self._devices:
            self._devices = await fake_device.list_devices(self._engine)
        snapshots = {snapshot.name: snapshot for snapshot in self._devices}
        for name in {"aer", aer.GPU, *self._built, *self._entries} - set(snapshots):
            snapshots[name] = await self._describe_one(name)
        return [snapshots[name] for name in sorted(snapshots)]

    async def _describe_one(self, name: str) -> TargetSnapshot:
        try:
            return await self.snapshot(name)
        except HybridError as failure:
            return TargetSnapshot(
                name=name,
                answer_kind=AnswerKind.SIMULATOR,
                available=False,
                reason=failure.message,
                description="not available here",
            )

    def simulators(self) -> Iterable[str]:
        """Names that `auto` may choose, best first."""
        return ("aer",)
