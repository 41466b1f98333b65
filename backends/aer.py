"""`aer` and `aer_gpu`: noiseless simulation, the method chosen by the circuit."""

import dataclasses
import functools

from isolation.limits import MIB, Limits
from isolation.runs import Engine, Program
from isolation.simulation import SimulatedBackend
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.names import Queue

GPU = "aer_gpu"
_PROBE_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)
_GPU_ADDRESS_SPACE_BYTES = 1024 * 2**30
"""CUDA reserves address space far beyond what it uses."""


class AerBackend(SimulatedBackend):
    """Aer on this machine's processor."""

    def __init__(self, engine: Engine, name: str = "aer") -> None:
        super().__init__(name, engine)

    async def target(self) -> TargetSnapshot:
        """Any width; memory decides."""
        return TargetSnapshot(
            name=self.name,
            answer_kind=AnswerKind.SIMULATOR,
            simulator=True,
            dynamic_circuits=True,
            exact_values=True,
            version=aer_version(),
            submit_queue=Queue.WORKFLOWS,
            run_queue=Queue.SIM,
            description="Aer, noiseless: stabilizer, matrix product state, statevector or density matrix",
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:
        """The operations that Aer runs natively by this method, on any qubits."""
        document = await self._engine.pool.call(
            "circuits.targets:describe_simulator_task", str(method), _PROBE_LIMITS
        )
        return TargetDocument.read(document)


class AerGpuBackend(AerBackend):
    """The same on a GPU, for a worker that has one and a GPU build of Aer."""

    def __init__(self, engine: Engine, name: str = GPU) -> None:
        super().__init__(engine, name)
        options = {"device": "GPU", "batched_shots_gpu": True}
        self._program = Program(options=options, overhead_bytes=_GPU_ADDRESS_SPACE_BYTES)
        self._probed = False

    async def target(self) -> TargetSnapshot:
        """As of `aer`.

        Raises:
            BackendNotInstalled: Naming what is missing: the GPU build, or a GPU that works.
        """
        if not self._probed:
            limits = Limits(_GPU_ADDRESS_SPACE_BYTES, _PROBE_LIMITS.wall_seconds)
            found = await self._engine.pool.call(
                "isolation.aer:probe_gpu", None, limits, what="the GPU probe"
            )
            if found["custatevec"]:
                options = {**self._program.options, "cuStateVec_enable": True}
                self._program = dataclasses.replace(self._program, options=options)
            self._probed = True
        snapshot = await super().target()
        return snapshot.model_copy(
            update={
                "run_queue": Queue.GPU,
                "description": "Aer on a GPU, noiseless, with cuStateVec and batched shots where present",
            }
        )


@functools.cache
def aer_version() -> str:
    """Version of the Aer build that is installed, CPU or GPU."""
    from importlib.metadata import PackageNotFoundError, version

    for distribution in ("qiskit-aer", "qiskit-aer-gpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"
