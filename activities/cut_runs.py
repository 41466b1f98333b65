"""Run the fragments of a cut, each as a job of its own that is started and found again by its id, and cancel them."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from activities.boundary import beat, speaks_temporal
from activities.checkpoint import Failpoint
from activities.cut_plans import job_of
from activities.started_jobs import reached, runs_on
from qurable.backend import StillWaiting
from qurable.client import Qurable
from qurable.contracts.cutting import FragmentEnd, FragmentEnds, FragmentRun, FragmentsCall
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import read_request
from qurable.contracts.reports import JobReport, State
from qurable.errors import (
    BY_CODE,
    AccountRefused,
    ApprovalRefused,
    ApprovalTimedOut,
    BudgetExceeded,
    HybridError,
    InternalError,
    JobCancelled,
    JobNotFound,
    LimitReached,
    RequestRejected,
    UsageExhausted,
)
from qurable.names import Activity
from qurable.requests import AnyJob
from store import cuttings, jobs
from store.database import Database
from store.shelf import StoreShelf

TURN_SECONDS = 10.0
_LOOK_AGAIN = timedelta(seconds=2)
_LOOK_AGAIN_AT_MOST = timedelta(seconds=30)


class CutRuns:
    """Runs fragments.

    Args:
        database: The store.
        shelf: Where requests are.
        client: Of Temporal.
        failpoint: For tests.
    """

    def __init__(self, database: Database, shelf: StoreShelf, client: Client, failpoint: Failpoint) -> None:
        self._database = database
        self._shelf = shelf
        self._client = client
        self._qurable = Qurable(client)
        self._failpoint = failpoint

    @activity.defn(name=Activity.RUN_FRAGMENTS)
    @speaks_temporal
    async def run_fragments(self, call: FragmentsCall) -> FragmentEnds:
        """Start every job that is not there, before any is waited for; give back those that have ended within a turn.

        Raises:
            StillWaiting: None has.
        """
        wanted = [(run, await self._job(run)) for run in call.runs]
        for run, job in wanted:
            if await self._database.read(jobs.find, job.job_id) is None:
                await self._start(call, run, job)
        watched = {asyncio.create_task(self._end_of(call, run, job)) for run, job in wanted}
        try:
            beat(f"{len(watched)} fragments run")
            done, _ = await asyncio.wait(watched, timeout=TURN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            ends = tuple(sorted((task.result() for task in done), key=lambda end: end.name))
        finally:
            for task in watched:
                task.cancel()
            await asyncio.gather(*watched, return_exceptions=True)
        if not ends:
            again_in = min(_LOOK_AGAIN * activity.info().attempt, _LOOK_AGAIN_AT_MOST)
            raise StillWaiting(f"{len(watched)} fragments are under way", again_in)
        return FragmentEnds(ends=ends)

    async def _job(self, run: FragmentRun) -> AnyJob:
        return job_of(read_request(await self._shelf.artifact(run.request)), run)

    async def _start(self, call: FragmentsCall, run: FragmentRun, job: AnyJob) -> None:
        """Start a job; its id follows from the cut's, so that one that is there is found, and nobody pays it twice.

        Raises:
            JobCancelled: The cut was called off, or another execution runs it.
        """
        if not await self._database.read(cuttings.runs, call.cut.id, call.cut.owner):
            raise JobCancelled(f"cut {call.cut.id!r} was called off, or another execution runs it")
        self._failpoint("cut:taken")
        await reached(self._qurable.submit(job))
        activity.logger.info("job %s runs fragment %s of cut %s", job.job_id, run.name, call.cut.id)
        self._failpoint("cut:started")

    async def _end_of(self, call: FragmentsCall, run: FragmentRun, job: AnyJob) -> FragmentEnd:
        """How a job ended, once it has; one that Temporal has lost is started again, and finds what was paid for."""
        while True:
            handle = self._client.get_workflow_handle(job.job_id, result_type=RawValue)
            try:
                await handle.result()
            except WorkflowFailureError as failure:
                reason = str(failure.cause or failure)
            except RPCError as failure:
                if failure.status is not RPCStatusCode.NOT_FOUND:
                    raise StillWaiting(f"Temporal does not answer: {failure.message}", _LOOK_AGAIN) from None
                report = await self._database.read(jobs.find_report, job.job_id)
                if report is not None:
                    return ended(run, report)
                await self._start(call, run, job)
                continue
            else:
                reason = "nobody knows why"
            report = await self._database.read(jobs.find_report, job.job_id)
            if report is not None:
                return ended(run, report)
            if not await runs_on(self._client, job.job_id):
                return _unreported(run, job.job_id, reason)

    @activity.defn(name=Activity.CANCEL_FRAGMENTS)
    @speaks_temporal
    async def cancel_fragments(self, call: FragmentsCall) -> FragmentEnds:
        """See that no other job of the cut is started, cancel those that run, and give back how they ended."""
        await self._database.write(cuttings.call_off, call.cut.id, call.cut.owner)
        told = []
        for run in (
            call.runs
        ):  # every one is told before any is waited for: a place that is down may keep one for hours
            job = await self._job(run)
            beat(f"cancelling job {job.job_id}")
            with contextlib.suppress(JobNotFound):  # it was never started
                await reached(self._qurable.cancel(job.job_id))
                told.append((run, job))
        return FragmentEnds(ends=tuple([await self._end_of(call, run, job) for run, job in told]))


def _unreported(run: FragmentRun, job_id: str, reason: str) -> FragmentEnd:
    """The end of a job that left no report, since somebody terminated it."""
    error = InternalError(f"job {job_id!r} ended without a report: {reason}").document()
    return FragmentEnd(
        name=run.name, ordinal=run.ordinal, job_id=job_id, state=State.FAILED, error=error, again=True
    )


def ended(run: FragmentRun, report: JobReport) -> FragmentEnd:
    """A job's end, from its report."""
    paid = report.provider_jobs or report.incidents
    return FragmentEnd(
        name=run.name,
        ordinal=run.ordinal,
        job_id=report.id,
        state=report.state,
        served_by=report.served_by,
        qpu_seconds=report.qpu_seconds,
        price=report.price if paid else 0.0,
        currency=report.currency,
        error=report.error,
        again=report.error is not None and _may_go_well(report.error),
    )


def _may_go_well(error: ErrorDocument) -> bool:
    """Whether the same job may have an answer another time: not where it was refused, or somebody or its own limits ended it."""
    tried = error.details.get("tried", ())
    codes = {error.code, *(attempt["error"]["code"] for attempt in tried)}
    return not any(issubclass(BY_CODE.get(code, InternalError), _FOR_GOOD) for code in codes)


_FOR_GOOD: tuple[type[HybridError], ...] = (
    RequestRejected,
    BudgetExceeded,
    ApprovalRefused,
    ApprovalTimedOut,
    UsageExhausted,
    AccountRefused,
    LimitReached,
    JobCancelled,
)
"""Ends that the same job would meet again."""
