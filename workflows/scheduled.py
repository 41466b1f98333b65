"""What a schedule starts at each of its moments: the jobs that are due then, and a summary when they have ended."""

import asyncio
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import (
    RawValue,
    SearchAttributeKey,
)
from temporalio.exceptions import (
    ActivityError,
    is_cancelled_exception,
)

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.fires import Due, DueCall, DueJob, Fire, FireReport, TallyCall
from qurable.contracts.schedules import HookInput, ScheduleSpec
from qurable.errors import (
    HybridError,
    RequestRejected,
    WorkerOutdated,
)
from qurable.names import SCHEDULED_RUN
from workflows import stages
from workflows.calls import fires
from workflows.children import ChildJob
from workflows.failures import as_failure, document_of, final

_SCHEDULED_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The moment a schedule started this workflow for: the same for a fire that comes late, is backfilled or reset."""


@workflow.defn(name=SCHEDULED_RUN, failure_exception_types=[HybridError])
class ScheduledRun:
    """Make the jobs of a moment, run each as any other job, and sum up how they ended."""

    def __init__(self) -> None:
        self._errors: dict[str, ErrorDocument] = {}

    @workflow.run
    async def run(self, spec: ScheduleSpec, documents: RawValue) -> FireReport:
        """How the jobs of this moment ended; one that failed is no failure of the run."""
        if spec.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the schedule has schema version {spec.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers, and backfill this moment",
                    document=spec.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        fire = Fire(schedule=spec.name, project=spec.project, at=_moment())
        try:
            given = await _from_hook(spec.input, fire) if isinstance(spec.input, HookInput) else documents
            due = await fires.due(DueCall(spec=spec, fire=fire), given)
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            raise as_failure(document_of(failure)) from failure
        try:
            await asyncio.gather(*(self._run(job, due, fire) for job in due.jobs))
        except asyncio.CancelledError:
            await self._summed_up(spec, fire, due)
            raise
        return await self._summed_up(spec, fire, due)

    async def _summed_up(self, spec: ScheduleSpec, fire: Fire, due: Due) -> FireReport:
        call = TallyCall(
            fire=fire,
            jobs=tuple(job.head.id for job in due.jobs),
            errors=self._errors,
            export=spec.export,
        )
        try:
            report = await fires.tally(call)
        except ActivityError as failure:
            raise as_failure(document_of(failure)) from failure
        workflow.set_current_details(_shown(report))
        return report

    async def _run(self, job: DueJob, due: Due, fire: Fire) -> None:
        """Run a job to its end, or join it where an earlier run of this moment has left it running.

        It outlives this workflow.
        """
        body = await fires.request_of(job)
        child = ChildJob(
            job.head, body, fire.schedule, outlives=True, search_attributes=due.search_attributes
        )
        error = await child.run()
        if error is not None:
            self._errors[job.head.id] = error


def _moment() -> datetime:
    at = workflow.info().typed_search_attributes.get(_SCHEDULED_FOR)
    if at is None:
        raise final(
            RequestRejected("a scheduled run is started by a schedule: use `qurable schedule run NAME`")
        )
    return at


async def _from_hook(hooked: HookInput, fire: Fire) -> Any:
    """What the caller's own registered activity wants to be run."""
    told = RawValue(workflow.payload_converter().to_payload(fire))
    return await stages.user_stage(hooked.hook, told, "hook")


def _shown(report: FireReport) -> str:
    """The report as the web UI's current details."""
    states = ", ".join(f"{number} {state}" for state, number in report.states.items()) or "none was due"
    costs = ", ".join(f"{amount:g} {currency}" for currency, amount in report.prices.items())
    lines = [f"jobs: {states}; {report.qpu_seconds:g} QPU seconds{', ' if costs else ''}{costs}"]
    if report.export:
        lines.append(f"{report.rows} new rows in {report.export}")
    lines += ["", "| job | state | served by | error |", "| :--- | :--- | :--- | :--- |"]
    lines += [f"| `{job.id}` | {job.state} | {job.served_by} | {job.error} |" for job in report.jobs]
    return "\n".join(lines)
