"""Fetch: bring the raw result into the store, where it outlives the place it came from."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Connection
from temporalio import activity

from activities import steps
from activities.boundary import KeepAsking, speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import FetchedDocument, SubmittedDocument
from backends.registry import Registry
from circuits.assembly import arrays_of
from qurable.contracts.executions import JobRef, Piece
from qurable.contracts.stages import FinishCall, StageCall, Waited
from qurable.errors import InternalError, TargetUnavailable
from qurable.names import Activity
from store import results
from store.database import now

_AGAIN = timedelta(seconds=5)


class Fetch:
    """Fetches.

    Args:
        checkpoints: Where rows go.
        registry: The backends.
    """

    def __init__(self, checkpoints: Checkpoints, registry: Registry) -> None:
        self._checkpoints = checkpoints
        self._registry = registry

    @activity.defn(name=Activity.FETCH)
    @speaks_temporal
    async def fetch(self, finish: FinishCall) -> Waited:
        """Fetch and keep what the job brought.

        Raises:
            ResultRefused: What came back is not a result.
            KeepAsking: The place does not answer; what is paid for is not given up.
        """
        call = finish.call

        def kept(documents: Documents) -> Waited | None:
            return None if documents.find(steps.fetch(call.rung), FetchedDocument) is None else Waited()

        async def work(documents: Documents) -> Outcome[Waited]:
            documents.need(steps.submit(call.rung, call.ordinal), SubmittedDocument)
            outcome = await self.work(call, finish.job)
            return Outcome(Waited(), outcome.rows, outcome.events, outcome.writes)

        return await self._checkpoints.once(call, kept, work)

    async def work(
        self, call: StageCall, job: JobRef | None, pieces: Sequence[Piece] | None = None
    ) -> Outcome[FetchedDocument]:
        """The stage itself, for its own activity and for the merged one.

        Args:
            call: The stage.
            job: What answered.
            pieces: Its result, where the store has it already: a simulator's is kept piece by piece.
        """
        if job is None:
            raise InternalError(f"job {call.job_id!r} has no answer to fetch")
        began = now()
        if pieces is None:
            try:
                brought = list(await self._registry.get(job.backend).result(job))
            except TargetUnavailable as failure:
                raise KeepAsking(failure, _AGAIN) from None
            tag = job.key.tag
            writes: list[Callable[[Connection], None]] = [
                lambda connection: results.put(connection, tag, brought)
            ]
        else:
            brought, writes = list(pieces), []
        for piece in brought:
            arrays_of(piece)  # refused here, before anybody believes it
        document = FetchedDocument(
            size=sum(len(piece.data) for piece in brought), seconds=sum(piece.seconds for piece in brought)
        )
        return Outcome(
            document, [timed(steps.fetch(call.rung), Activity.FETCH, began, document)], writes=writes
        )
