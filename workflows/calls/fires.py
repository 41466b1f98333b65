"""Calls of the activities of a schedule's fire."""

from typing import Any

from temporalio.common import RawValue

from qurable.contracts.fires import Due, DueCall, DueJob, FireReport, TallyCall
from qurable.names import Activity
from workflows.calling import FIRST, PATIENT, run_activity


async def due(call: DueCall, documents: Any) -> Due:
    """Make the jobs of a fire, or find those that it has started before."""
    return await run_activity(
        Activity.DUE,
        call,
        documents,
        returns=Due,
        activity_id="due",
        summary=f"what is due at {call.fire.moment}",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def request_of(job: DueJob) -> RawValue:
    """The request of a job that is due, unread."""
    return await run_activity(
        Activity.DUE_REQUEST,
        job.request,
        returns=RawValue,
        activity_id=f"request-{job.head.id}",
        summary=f"request of {job.head.id}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def tally(call: TallyCall) -> FireReport:
    """Put together how the jobs of a fire ended, and add their rows to the export."""
    return await run_activity(
        Activity.TALLY_FIRE,
        call,
        returns=FireReport,
        activity_id="tally_fire",
        summary=f"sum up{' and export to ' + call.export if call.export else ''}",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
