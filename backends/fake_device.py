"""`fake_<device>`: a device snapshot that qiskit-ibm-runtime ships, simulated with its noise.

The snapshot is read once, in a child, into a `TargetDocument`: circuits are compiled for it, and Aer's noise
model is built from it, for the busy qubits alone.
"""

import difflib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from backends.aer import aer_version
from isolation.limits import MIB, Limits
from isolation.runs import Engine
from isolation.simulation import SimulatedBackend
from qurable.contracts.base import digest
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import UnknownBackend
from qurable.names import Queue

PREFIX = "fake_"

_READ_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)


class FakeDeviceBackend(SimulatedBackend):
    """One device snapshot.

    Args:
        engine: What it runs on.
        name: `fake_` and the device.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(name, engine)
        self._device = PREFIX + name.partition(PREFIX)[2]
        self._read: tuple[TargetDocument, TargetSnapshot] | None = None

    async def target(self) -> TargetSnapshot:
        """The snapshot's width, version and date.

        Raises:
            UnknownBackend: No such snapshot is shipped; near names are in the message.
        """
        return (await self._snapshot())[1]

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:  # noqa: ARG002  one target for every method
        """The device's target, with its errors and times."""
        return (await self._snapshot())[0]

    async def _snapshot(self) -> tuple[TargetDocument, TargetSnapshot]:
        if self._read is None:
            found = await self._engine.pool.call(
                "backends.fake_device:read_device", self._device, _READ_LIMITS
            )
            document = TargetDocument.read(found["document"])
            key = await self._engine.shelf.keep_artifact("target", found["document"].encode())
            self._read = (document, self._describe(_describe(found, key)))
        return self._read

    def _describe(self, device: TargetSnapshot) -> TargetSnapshot:
        """What this backend says of itself, from what is said of the device."""
        return device


async def list_devices(engine: Engine) -> list[TargetSnapshot]:
    """A snapshot of every device that qiskit-ibm-runtime ships, without its target."""
    found = await engine.pool.call("backends.fake_device:read_names", None, _READ_LIMITS)
    return [_describe(entry, None) for entry in found]


def _describe(found: dict[str, Any], key: str | None) -> TargetSnapshot:
    calibrated = found.get("calibrated")
    return TargetSnapshot(
        name=found["name"],
        answer_kind=AnswerKind.NOISY_SIMULATOR,
        num_qubits=found["qubits"],
        simulator=True,
        dynamic_circuits=True,
        version=f"{found['version']} (qiskit-ibm-runtime {runtime_version()}, aer {aer_version()})",
        calibrated=None if calibrated is None else datetime.fromisoformat(calibrated),
        target=key,
        submit_queue=Queue.WORKFLOWS,
        run_queue=Queue.SIM,
        description=f"Aer with the noise of a {found['qubits']}-qubit device snapshot",
    )


def runtime_version() -> str:
    """Version of the package that ships the snapshots."""
    return version("qiskit-ibm-runtime")


def read_names(_payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: name, width and version of every device snapshot."""
    devices = [kind() for kind in _kinds().values()]
    return [
        {"name": device.name, "qubits": device.num_qubits, "version": str(device.backend_version or "")}
        for device in sorted(devices, key=lambda device: str(device.name))
    ]


def read_device(name: str, _emit: Callable[[Any], None]) -> Any:
    """Task: a device snapshot as a target document.

    Raises:
        UnknownBackend: No snapshot of that name.
    """
    from circuits.targets import describe_target

    kinds = _kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=3, cutoff=0.5)
        raise UnknownBackend(
            f"no device snapshot {name!r} is shipped with qiskit-ibm-runtime {runtime_version()}"
            + (
                f"; did you mean {' or '.join(map(repr, near))}?"
                if near
                else "; `qurable backends` lists them"
            ),
            near=near,
        )
    device = kinds[name]()
    document = describe_target(device.target).model_dump_json()
    updated = getattr(device.properties(), "last_update_date", None)
    return {
        "name": name,
        "qubits": device.num_qubits,
        "version": str(device.backend_version or ""),
        "calibrated": None if updated is None else updated.astimezone(UTC).isoformat(),
        "document": document,
        "hash": digest(document),
    }


def _kinds() -> dict[str, Any]:
    """Every device snapshot's class, by its backend name."""
    from qiskit_ibm_runtime import fake_provider

    kinds = (getattr(fake_provider, name) for name in dir(fake_provider) if name.startswith("Fake"))
    return {kind.backend_name: kind for kind in kinds if getattr(kind, "backend_name", "").startswith(PREFIX)}
