"""Fetch: bring the raw result into the store, where it outlives the place it came from."""

from sqlalchemy import Connection
from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Outcome, load, timed
from activities.documents import FetchedDocument
from backends.registry import Registry
from circuits.assembly import arrays_of
from qurable.contracts.executions import JobRef
from qurable.contracts.stages import FinishCall, StageCall, Waited
from qurable.errors import InternalError
from qurable.names import Activity
from store import results
from store.database import now


def step_of(rung: int) -> str:
    """Name of the step for a rung."""
    return f"fetch-{rung}"


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

        def kept(connection: Connection) -> Waited | None:
            return (
                None
                if load(connection, call.head.id, step_of(call.rung), FetchedDocument) is None
                else Waited()
            )

        async def work() -> Outcome[Waited]:
            outcome = await self.work(call, finish.job)
            return Outcome(Waited(), outcome.rows, outcome.events, outcome.writes)

        return await self._checkpoints.once(call, kept, work)

    async def work(self, call: StageCall, job: JobRef | None) -> Outcome[FetchedDocument]:
        """The stage itself, for its own activity and for the merged one."""
        if job is None:
            raise InternalError(f"job {call.head.id!r} has no answer to fetch")
        began = now()
        pieces = list(await self._registry.get(job.backend).result(job))
        for piece in pieces:
            arrays_of(piece)  # refused here, before anybody believes it
        document = FetchedDocument(
            size=sum(len(piece.data) for piece in pieces), seconds=sum(piece.seconds for piece in pieces)
        )
        row = timed(step_of(call.rung), Activity.FETCH, began, document)
        return Outcome(
            document, [row], writes=[lambda connection: results.put(connection, job.key.tag, pieces)]
        )
