"""`cache`: the answer of an earlier job to the same question, under the contract of every backend.

The handle is the hash of the submission, which names the earlier answer. Running it puts the earlier result under
this job's own key, in one transaction: what becomes of the earlier job after that does not matter.
"""

from datetime import UTC, datetime

from isolation.simulation import SimulatedBackend
from qurable.backend import Beat
from qurable.contracts.executions import EarlierAnswer, JobRef, JobState, Phase, Submission
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import EarlierAnswerGone, InternalError, UnsupportedCircuit
from qurable.names import Queue


class CacheBackend(SimulatedBackend):
    """Gives answers again; which one, the route has decided."""

    async def target(self) -> TargetSnapshot:
        """It runs nothing, so nothing is too large for it."""
        return TargetSnapshot(
            name=self.name,
            answer_kind=AnswerKind.CACHE,
            simulator=True,
            dynamic_circuits=True,
            exact_values=True,
            submit_queue=Queue.WORKFLOWS,
            run_queue=Queue.WORKFLOWS,
            description="answers that earlier jobs of the project had to the same question",
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:  # noqa: ARG002
        """There is none.

        Raises:
            UnsupportedCircuit: Always.
        """
        raise UnsupportedCircuit(f"backend {self.name!r} runs no circuits: nothing is compiled for it")

    async def submit(self, submission: Submission) -> JobRef:
        """Keep which answer is given again.

        Raises:
            EarlierAnswerGone: It was deleted, or is too old by now.
        """
        earlier = self._current(submission)
        if not await self._engine.shelf.finished(earlier.key):
            raise _deleted(earlier)
        return await super().submit(submission)

    async def state(self, job: JobRef) -> JobState:
        """Done when the answer is this job's own."""
        if await self._engine.shelf.withdrawn(job.key):
            return JobState(phase=Phase.CANCELLED)
        kept = await self._engine.shelf.finished(job.key)
        return JobState(phase=Phase.DONE if kept else Phase.QUEUED)

    async def run(self, job: JobRef, beat: Beat) -> None:  # noqa: ARG002  it is over before anybody could look
        """Put the earlier answer under this job's key, unless it is there.

        Raises:
            EarlierAnswerGone: It was deleted, or is too old by now.
        """
        if await self._engine.shelf.finished(job.key):
            return
        earlier = self._current(await self._submission(job))
        pieces = await self._engine.shelf.pieces(earlier.key)
        if not pieces:
            raise _deleted(earlier)
        self._engine.failpoint("cache:read")
        await self._engine.shelf.keep_pieces(job.key, pieces)
        self._engine.failpoint("cache:kept")

    def _current(self, submission: Submission) -> EarlierAnswer:
        earlier = submission.earlier
        if earlier is None:
            raise InternalError(f"submission {submission.key.tag} to {self.name!r} names no earlier answer")
        if datetime.now(UTC) >= earlier.until:
            raise EarlierAnswerGone(
                f"the answer of job {earlier.key.job_id!r} is too old by now: it could stand for this job's until "
                f"{earlier.until:%Y-%m-%d %H:%M:%S} UTC"
            )
        return earlier


def _deleted(earlier: EarlierAnswer) -> EarlierAnswerGone:
    return EarlierAnswerGone(
        f"the answer of job {earlier.key.job_id!r} was deleted after the route was planned"
    )
