"""Read the store for clients, who speak Temporal only."""

import asyncio

from temporalio import activity

from activities import batch_items
from activities.boundary import speaks_temporal
from activities.checkpoint import Failpoint
from activities.health import HealthWatch
from activities.matrix_reports import matrix_body, matrix_report, matrix_status
from activities.preview import Preview
from activities.reporting import results_of
from backends.registry import Registry, not_here
from qurable.contracts.approvals import Approvals
from qurable.contracts.batches import BatchReport, BatchStatus, ItemPage
from qurable.contracts.budgets import Budgets
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.cutting import CutReport
from qurable.contracts.matrices import MatrixBody, MatrixReport, MatrixStatus
from qurable.contracts.optimisations import Evaluation, OptimisationReport
from qurable.contracts.reports import JobEvent, JobReport, JobSummary
from qurable.contracts.results import Results
from qurable.contracts.rollout import Rollout
from qurable.contracts.routes import Route
from qurable.contracts.stages import ReadRequest
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.contracts.why import Why
from qurable.errors import JobNotFound, RequestRejected, TargetUnavailable
from qurable.names import Activity
from store import approvals, catalogue, comparisons, cuttings, jobs, optimisations, rollout, standings
from store.database import Database
from store.shelf import StoreShelf


class ReadStore:
    """Reads.

    Args:
        database: The store.
        shelf: Where artifacts are.
        registry: The backends.
        preview: Plans routes of jobs that are not run.
        watch: Knows how backends have done of late.
        failpoint: Where a test may end the process.
    """

    def __init__(
        self,
        database: Database,
        shelf: StoreShelf,
        registry: Registry,
        preview: Preview,
        watch: HealthWatch,
        failpoint: Failpoint,
    ) -> None:
        self._failpoint = failpoint
        self._watch = watch
        self._preview = preview
        self._database = database
        self._shelf = shelf
        self._registry = registry
        self._described = asyncio.Lock()

    @activity.defn(name=Activity.READ_STORE)
    @speaks_temporal
    async def read_store(
        self, request: ReadRequest
    ) -> (
        JobReport
        | BatchStatus
        | BatchReport
        | ItemPage
        | CutReport
        | OptimisationReport
        | ComparisonReport
        | MatrixStatus
        | MatrixReport
        | MatrixBody
        | tuple[Evaluation, ...]
        | Why
        | Results
        | tuple[JobEvent, ...]
        | tuple[JobSummary, ...]
        | tuple[TargetSnapshot, ...]
        | Budgets
        | Approvals
        | Rollout
        | Route
    ):
        """Answer a question.

        Raises:
            JobNotFound: The store has no such job.
            RequestRejected: A job whose route is asked for is not acceptable.
        """
        self._failpoint("read:asked")
        match request.what:
            case "report":
                return await self._report(request.job_id)
            case "why":
                return Why.of(await self._stored(request.job_id))
            case "results":
                await self._known(request.job_id)
                return Results(pubs=tuple(await results_of(self._database, self._shelf, request.job_id)))
            case "batch":
                return await batch_items.status(self._database, request.job_id)
            case "batch_items":
                return await batch_items.page(
                    self._database, self._shelf, request.job_id, request.after, request.limit
                )
            case "batch_report":
                return await batch_items.report(self._database, request.job_id)
            case "cut":
                return await self._cut(request.job_id)
            case "loop":
                return await self._loop(request.job_id)
            case "comparison":
                return await self._comparison(request.job_id)
            case "evaluations":
                return await self._database.read(optimisations.evaluations, request.job_id, request.after)
            case "matrix":
                return await matrix_status(self._database, request.job_id)
            case "matrix_report":
                return await matrix_report(self._database, request.job_id)
            case "matrix_file":
                return await matrix_body(self._database, request.job_id)
            case "events":
                await self._known(request.job_id)
                return await self._database.read(jobs.events_of, request.job_id)
            case "jobs":
                return await self._database.read(
                    jobs.summaries, project=request.project, states=request.states, limit=request.limit
                )
            case "backends":
                return await self._backends()
            case "approvals":
                return Approvals(waiting=await self._database.read(approvals.waiting))
            case "budgets":
                return await self._database.read(standings.look)
            case "rollout":
                return await self._database.read(rollout.look)
            case "route" if request.request is not None:
                return await self._preview.route(request.request)
            case "route":
                raise RequestRejected("a route is planned for a job: give `request`")

    async def _cut(self, cut_id: str) -> CutReport:
        held = await self._database.read(cuttings.find, cut_id)
        if held is None or held.report is None:
            raise JobNotFound(f"the store has no cut {cut_id!r} that has ended")
        return held.report

    async def _loop(self, loop_id: str) -> OptimisationReport:
        report = await self._database.read(optimisations.find_report, loop_id)
        if report is None:
            raise JobNotFound(f"the store has no loop {loop_id!r} that has ended")
        return report

    async def _comparison(self, identity: str) -> ComparisonReport:
        report = await self._database.read(comparisons.find_report, identity)
        if report is None:
            raise JobNotFound(f"the store has no comparison {identity!r} that has ended")
        return report

    async def _known(self, job_id: str) -> None:
        if await self._database.read(jobs.find, job_id) is None:
            raise JobNotFound(f"no job {job_id!r} is in the store")

    async def _stored(self, job_id: str) -> JobReport:
        """A report without its results."""
        await self._known(job_id)
        report = await self._database.read(jobs.find_report, job_id)
        if report is None:
            raise JobNotFound(f"job {job_id!r} has not ended yet")
        return report

    async def _report(self, job_id: str) -> JobReport:
        report = await self._stored(job_id)
        results = [
            result for result in await results_of(self._database, self._shelf, job_id) if result is not None
        ]
        return (
            report.model_copy(update={"results": tuple(results), "results_in_store": 0})
            if not report.error
            else report
        )

    async def _backends(self) -> tuple[TargetSnapshot, ...]:
        """What this worker offers, described anew."""
        async with self._described:
            snapshots = await self._registry.describe()
            await self._database.write(catalogue.publish, snapshots)
        known = await self._watch.backends()
        listed = {snapshot.name for snapshot in snapshots}
        # A provider that does not answer lists no devices; those that are left alone are the news.
        for name in sorted(known.keys() - listed):
            if self._watch.leaves_alone(name):
                kind = AnswerKind.HARDWARE if self._registry.is_device(name) else AnswerKind.SIMULATOR
                snapshots.append(not_here(name, kind, TargetUnavailable(known[name].breaker.reason)))
        return tuple(
            snapshot.model_copy(update={"health": known.get(snapshot.name)}) for snapshot in snapshots
        )
