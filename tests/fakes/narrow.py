"""Two-qubit hardware that measures on the way, and fails the jobs it is told to."""

from collections import Counter
from collections.abc import Callable

from qurable.contracts.executions import JobRef, JobState, Phase, Submission
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import ExecutionFailed
from tests.fakes.scripted import ScriptedBackend


class NarrowBackend(ScriptedBackend):
    """Hardware-like, two qubits wide; results read all zeros.

    Args:
        name: As registered.
        fails: Whether a submission fails, asked once for each.
    """

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

    def runs(self) -> Counter[int]:
        """How many submissions there were with so many pubs."""
        return Counter(len(submission.pubs) for submission in self.jobs.values())
