"""Two-qubit hardware that measures on the way, and fails the jobs it is told to."""

import asyncio
import io
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit_aer import AerSimulator

from circuits.parse import load_qpy
from isolation.aer import packed_outcomes
from qurable.backend import Shelf
from qurable.contracts.executions import IsaPub, JobRef, JobState, Phase, Piece, Submission
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import ExecutionFailed
from tests.fakes.scripted import ScriptedBackend


class NarrowBackend(ScriptedBackend):
    """Hardware-like, two qubits wide, without noise.

    Args:
        name: As registered.
        fails: Whether a submission fails, asked once for each.

    Attributes:
        shelf: Where it finds the circuits of its pubs; without it results read all zeros.
    """

    shelf: Shelf | None = None

    def __init__(self, name: str, fails: Callable[[Submission], bool] = lambda _: False) -> None:
        super().__init__(name, failure=ExecutionFailed("the fridge is warm").document())
        self._fails = fails
        self._failed: dict[str, bool] = {}

    async def target(self) -> TargetSnapshot:
        snapshot = await super().target()
        return snapshot.model_copy(update={"num_qubits": 2, "dynamic_circuits": True})

    async def submit(self, submission: Submission) -> JobRef:
        reference = await super().submit(submission)
        self._failed.setdefault(submission.key.tag, self._fails(submission))
        return reference

    async def state(self, job: JobRef) -> JobState:
        if self._failed.get(job.key.tag):
            return JobState(phase=Phase.FAILED, error=self._failure)
        return await super().state(job)

    async def result(self, job: JobRef) -> Sequence[Piece]:
        if self.shelf is None:
            return await super().result(job)
        pubs = self.jobs[job.key.tag].pubs
        circuits = [load_qpy(await self.shelf.artifact(pub.isa)) for pub in pubs]
        return await asyncio.to_thread(
            lambda: [_run(number, pub, circuits[number]) for number, pub in enumerate(pubs)]
        )

    def runs(self) -> Counter[int]:
        """How many submissions there were with so many pubs."""
        return Counter(len(submission.pubs) for submission in self.jobs.values())


def _run(number: int, pub: IsaPub, circuit: QuantumCircuit) -> Piece:
    """The outcomes of a pub that samples a circuit without parameters."""
    assert circuit.num_qubits <= 2
    assert not circuit.num_parameters
    ran = AerSimulator(method="statevector").run(
        circuit, shots=pub.shots, seed_simulator=pub.seed, memory=True
    )
    body = io.BytesIO()
    np.savez(body, bits=packed_outcomes(ran.result().results[0].data, pub.shots, pub.num_clbits)[np.newaxis])
    return Piece(pub=number, start=0, stop=1, data=body.getvalue())
