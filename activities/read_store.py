"""Read the store for clients, who speak Temporal only."""

import asyncio

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.reporting import results_of
from backends.registry import Registry
from qurable.contracts.reports import JobEvent, JobReport, JobSummary
from qurable.contracts.results import Results
from qurable.contracts.stages import ReadRequest
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import JobNotFound
from qurable.names import Activity
from store import catalogue, jobs
from store.database import Database
from store.shelf import StoreShelf


class ReadStore:
    """Reads.

    Args:
        database: The store.
        shelf: Where artifacts are.
        registry: The backends.
    """

    def __init__(self, database: Database, shelf: StoreShelf, registry: Registry) -> None:
        self._database = database
        self._shelf = shelf
        self._registry = registry
        self._described = asyncio.Lock()

    @activity.defn(name=Activity.READ_STORE)
    @speaks_temporal
    async def read_store(
        self, request: ReadRequest
    ) -> JobReport | Results | tuple[JobEvent, ...] | tuple[JobSummary, ...] | tuple[TargetSnapshot, ...]:
        """Answer a question.

        Raises:
            JobNotFound: The store has no such job.
        """
        match request.what:
            case "report":
                return await self._report(request.job_id)
            case "results":
                await self._known(request.job_id)
                return Results(pubs=tuple(await results_of(self._database, self._shelf, request.job_id)))
            case "events":
                await self._known(request.job_id)
                return await self._database.read(jobs.events_of, request.job_id)
            case "jobs":
                return await self._database.read(
                    jobs.summaries, project=request.project, states=request.states, limit=request.limit
                )
            case "backends":
                return await self._backends()

    async def _known(self, job_id: str) -> None:
        if await self._database.read(jobs.find, job_id) is None:
            raise JobNotFound(f"no job {job_id!r} is in the store")

    async def _report(self, job_id: str) -> JobReport:
        await self._known(job_id)
        report = await self._database.read(jobs.find_report, job_id)
        if report is None:
            raise JobNotFound(f"job {job_id!r} has not ended yet")
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
        return tuple(snapshots)
