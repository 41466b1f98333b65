"""Fetch, post-process and record in one activity, for results where the round trips would cost more."""

from sqlalchemy import Connection
from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome
from activities.documents import ProcessedDocument
from activities.fetch import Fetch
from activities.post_process import PostProcess
from activities.record import end, with_results
from activities.reporting import build_report, find_kept, results_of
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.stages import FinishCall, StageCall, Waited
from qurable.errors import InternalError, StageForgotten
from qurable.names import Activity
from store import jobs
from store.database import now
from store.shelf import StoreShelf


class Finish:
    """Fetches, post-processes and records.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        fetching: The first of the stages that it merges.
        processing: The second.
    """

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
        brought: list[tuple[JobReport, list[SampleResult | EstimateResult]]] = []

        def kept(documents: Documents) -> Waited | None:
            # Kept in the transaction that also kept the report.
            processed = documents.find(steps.post_process(call.rung), ProcessedDocument)
            return None if processed is None else Waited()

        async def work(documents: Documents) -> Outcome[Waited]:
            held = await self._checkpoints.database.read(find_kept, documents, call.rung)
            if held is None:
                raise StageForgotten(
                    f"the store has nothing to finish of job {call.job_id!r}: it was restored from a backup"
                )
            fetched = await self._fetch.work(call, finish.job, held.pieces)
            processed, complete = await self._post_process.work(call, held)

            def record(connection: Connection) -> None:
                ended = now()
                report = build_report(connection, call.job_id, held, processed.answer, finish.tried, ended)
                report = end(connection, call, report, ended)
                brought.append((report, complete))

            return Outcome(
                Waited(),
                [*fetched.rows, *processed.rows],
                processed.events,
                [*fetched.writes, *processed.writes],
                record,
            )

        await self._checkpoints.once(call, kept, work)
        return with_results(*(brought[-1] if brought else await self._ended(call)))

    async def _ended(self, call: StageCall) -> tuple[JobReport, list[SampleResult | EstimateResult]]:
        """How an earlier attempt ended the job."""
        report = await self._checkpoints.database.read(jobs.find_report, call.job_id)
        if report is None:
            raise InternalError(f"job {call.job_id!r} was finished without a report")
        results = await results_of(self._checkpoints.database, self._shelf, call.job_id, call.rung)
        return report, [result for result in results if result is not None]
