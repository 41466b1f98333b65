"""Fetch: bring the raw result into the store, where it outlives the place it came from."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import FetchedDocument
from backends.registry import Registry
from circuits.assembly import arrays_of
from qurable.contracts.executions import JobRef, Piece
from qurable.contracts.stages import FinishCall, StageCall, Waited
from qurable.errors import InternalError
from qurable.names import Activity
from store import results
from store.database import now


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
        """
        call = finish.call

        def kept(documents: Documents) -> Waited | None:
            return None if documents.find(steps.fetch(call.rung), FetchedDocument) is None else Waited()

        async def work(_: Documents) -> Outcome[Waited]:
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
            brought = list(await self._registry.get(job.backend).result(job))
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
