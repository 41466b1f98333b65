"""Fetch, post-process and record in one activity, for results where the round trips would cost more."""

from sqlalchemy import Connection
from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Outcome
from activities.fetch import Fetch
from activities.post_process import PostProcess
from activities.record import with_results
from activities.reporting import assemble_results, build_report, read_kept
from qurable.contracts.jobs import read_request
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.stages import FinishCall
from qurable.errors import InternalError
from qurable.names import Activity
from store import jobs
from store.database import now
from store.shelf import StoreShelf


class Finish:
    """Args: where rows go, where artifacts are, and the stages that it merges."""

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, fetching: Fetch, processing: PostProcess
    ) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._fetch = fetching
        self._post_process = processing

    @activity.defn(name=Activity.FINISH)
    @speaks_temporal
    async def finish(self, finish: FinishCall) -> JobReport:
        """Fetch, post-process and record a small result. All of it is one checkpoint."""
        call = finish.call
        held: list[SampleResult | EstimateResult] = []

        def ended(connection: Connection) -> JobReport | None:
            return jobs.find_report(connection, call.head.id)

        async def work() -> Outcome[JobReport]:
            fetched = await self._fetch.work(call, finish.job)
            kept = await self._checkpoints.database.read(read_kept, call.head.id, call.rung)
            if kept is None:
                raise InternalError(f"job {call.head.id!r} has nothing to finish")
            processed, complete = await self._post_process.work(call, kept)
            held.extend(complete)
            labels = read_request(await self._shelf.artifact(kept.validated.request)).labels
            outcome: Outcome[JobReport] = Outcome(
                JobReport(id=call.head.id, project="", kind="", state=State.COMPLETED, asked=""),
                [*fetched.rows, *processed.rows],
                processed.events,
                fetched.writes,
            )

            def write(connection: Connection) -> None:
                moment = now()
                report = build_report(connection, call.head, kept, processed.answer, moment, labels)
                report = report.model_copy(update={"tried": finish.tried})
                jobs.add_event(
                    connection, call.head.id, State.COMPLETED, at=moment, rung=call.rung, backend=call.backend
                )
                outcome.answer = jobs.end(connection, report, at=moment)

            outcome.last = write
            return outcome

        report = await self._checkpoints.once(call, ended, work)
        if not held and report.state is State.COMPLETED:
            kept = await self._checkpoints.database.read(read_kept, call.head.id, call.rung)
            held = (
                []
                if kept is None
                else [result for result in await assemble_results(self._shelf, kept) if result is not None]
            )
        return with_results(report, held)
