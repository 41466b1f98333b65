"""Accept: the job gets its row, or is told that it has ended before."""

from sqlalchemy import Connection
from temporalio import activity
from temporalio.common import RawValue

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints
from activities.request import read_unchecked
from qurable.contracts.base import digest
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobEvent, State
from qurable.contracts.stages import AcceptCall, Accepted, Pace, StageCall
from qurable.errors import KeyReused
from qurable.names import Activity
from store import artifacts, jobs
from store.artifacts import ArtifactKind
from store.database import now
from store.shelf import StoreShelf


class Accept:
    """Accepts.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        pace: What this worker's settings say.
    """

    def __init__(self, checkpoints: Checkpoints, shelf: StoreShelf, pace: Pace) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._pace = pace

    @activity.defn(name=Activity.ACCEPT)
    @speaks_temporal
    async def accept(self, call: AcceptCall, body: RawValue) -> Accepted:
        """Insert the job; adopt it from an execution that Temporal lost; or give back how it ended.

        Raises:
            KeyReused: The key belongs to a job with another body.
        """
        head, request = call.head, bytes(body.payload.data)
        key = digest(request)
        self._shelf.remember(key, request)
        owned = await self._checkpoints.database.read(jobs.owned_by, head.id, call.owner)
        if owned is None:
            owned = await self._insert(call, request)
        if owned.body_hash != head.body_hash:
            raise KeyReused(
                f"the idempotency key of job {head.id!r} already belongs to a request with another body: use a new "
                "key for a new job",
                job_id=head.id,
            )
        return Accepted(pace=self._pace, request=key, report=owned.report)

    async def _insert(self, call: AcceptCall, request: bytes) -> jobs.Owned:
        labels = read_unchecked(request).labels
        with self._checkpoints.journaled(StageCall(job_id=call.head.id, step=steps.ACCEPT)):
            self._checkpoints.failpoint(f"{steps.ACCEPT}:begun")
            owned = await self._checkpoints.database.write(_accept, call.head, call.owner, request, labels)
        self._checkpoints.failpoint(f"{steps.ACCEPT}:kept")
        return owned


def _accept(
    connection: Connection, head: JobHead, owner: str, request: bytes, labels: dict[str, str]
) -> jobs.Owned:
    at = now()
    (key,) = artifacts.put(connection, ArtifactKind.REQUEST, [request])
    owned = jobs.accept(connection, head, owner=owner, request=key, labels=labels, at=at)
    jobs.add_events(connection, head.id, [JobEvent(state=State.ACCEPTED, at=at)])
    return owned
