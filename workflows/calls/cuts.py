"""Calls of the activities of a circuit that is cut."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.cutting import (
    CutCall,
    CutHead,
    CutPlanned,
    CutReport,
    EndCut,
    FragmentEnds,
    FragmentsCall,
)
from qurable.names import Activity, Queue
from workflows.calling import FIRST, PATIENT, STEADY, UNDO, run_activity

_PLAN_CUT = timedelta(minutes=20)
"""The search for cuts, making the experiments, and what they are expected to take, each bounded by itself."""


async def plan(head: CutHead, call: CutCall, body: RawValue) -> CutPlanned:
    """Find cuts, make the fragments' jobs, say what all that takes."""
    return await run_activity(
        Activity.PLAN_CUT,
        head,
        call,
        body,
        returns=CutPlanned,
        task_queue=Queue.COMPILE,
        activity_id="plan_cut",
        summary="find cuts, make the fragments",
        start_to_close_timeout=_PLAN_CUT,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def run_fragments(call: FragmentsCall) -> FragmentEnds:
    """Run fragments until one has ended; on a queue whose stages wait for others, so that it takes none of their jobs' places."""
    return await run_activity(
        Activity.RUN_FRAGMENTS,
        call,
        returns=FragmentEnds,
        task_queue=Queue.HARDWARE,
        summary=f"run fragments {', '.join(run.name for run in call.runs[:8])}",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def cancel_fragments(call: FragmentsCall) -> FragmentEnds:
    """Cancel a cut's jobs, and see that they end."""
    return await run_activity(
        Activity.CANCEL_FRAGMENTS,
        call,
        returns=FragmentEnds,
        task_queue=Queue.HARDWARE,
        activity_id="cancel_fragments",
        summary="cancel what runs",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        schedule_to_close_timeout=UNDO,
        retry_policy=STEADY,
    )


async def end(call: EndCut) -> CutReport:
    """Put the values together, and keep the report."""
    return await run_activity(
        Activity.END_CUT,
        call,
        returns=CutReport,
        task_queue=Queue.COMPILE,
        activity_id="end_cut",
        summary="put the values together" if call.error is None else "keep why there is no answer",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
