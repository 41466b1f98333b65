"""Change: after a stage has failed, what is different when its rung is tried again, decided once and written down."""

from sqlalchemy import Connection
from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.changes_made import changes_on
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import SubmittedDocument, ValidatedDocument
from activities.health import HealthWatch
from activities.levels import usual_level
from fallback.changes import Failed, next_change
from qurable.contracts.changes import Change
from qurable.contracts.jobs import read_request
from qurable.contracts.routes import Route
from qurable.contracts.stages import ChangeCall, Changed
from qurable.errors import JobLost, from_document
from qurable.names import Activity
from store.database import now
from store.shelf import StoreShelf


class DecideChange:
    """Decides.

    Args:
        checkpoints: Where rows go.
        shelf: Where requests are.
        watch: Counts what is tried again.
    """

    def __init__(self, checkpoints: Checkpoints, shelf: StoreShelf, watch: HealthWatch) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._watch = watch

    @activity.defn(name=Activity.CHANGE)
    @speaks_temporal
    async def change(self, asked: ChangeCall) -> Changed:
        """The next change of a rung; what is written down stands, whatever fails the second time.

        Raises:
            RetriesExhausted: The retries that the job, or the place, has are used up.
        """
        call = asked.call

        def kept(documents: Documents) -> Changed | None:
            change = documents.find(call.step, Change)
            return None if change is None else Changed(change=change)

        return await self._checkpoints.once(call, kept, lambda documents: self._work(asked, documents))

    async def _work(self, asked: ChangeCall, documents: Documents) -> Outcome[Changed]:
        began, call = now(), asked.call
        validated = documents.need(steps.VALIDATE, ValidatedDocument)
        rung = documents.need(steps.PLAN_ROUTE, Route).rungs[call.rung]
        compiling = asked.stage == Activity.TRANSPILE
        change = next_change(
            Failed(
                compiling=compiling,
                error=asked.error,
                rung=call.rung,
                backend=rung.name,
                request=read_request(await self._shelf.artifact(validated.request)),
                seed=validated.seed,
                level=usual_level(rung.target),
                sent=_sent(asked, documents),
                changes=changes_on(documents, call.rung, call.changes),
            )
        )
        if change is None:
            return Outcome(Changed(), [])
        error = from_document(asked.error)

        def count(connection: Connection) -> None:
            self._watch.count_change(connection, rung.name, call.job_id, error, asked=not compiling)

        row = timed(call.step, Activity.CHANGE, began, change)
        return Outcome(Changed(change=change), [row], writes=[count])


def _sent(asked: ChangeCall, documents: Documents) -> str:
    """The provider's id of what is replaced."""
    if asked.error.code != JobLost.__name__:
        return asked.call.session
    submitted = documents.find(steps.submit(asked.call.rung, asked.call.ordinal), SubmittedDocument)
    return "" if submitted is None else submitted.job.handle
