"""Calls of a batch's activities."""

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.batches import BatchCall, BatchHead, BatchReport, BatchStatus
from qurable.contracts.stages import (
    Waited,
)
from qurable.names import Activity, Queue
from workflows.calling import FIRST, PATIENT, STEADY, UNDO, run_activity


async def begin(head: BatchHead, call: BatchCall, body: RawValue) -> BatchStatus:
    """Take in a batch's lines, or have what failed of it run again."""
    return await run_activity(
        Activity.BATCH_BEGIN,
        head,
        call,
        body,
        returns=BatchStatus,
        activity_id="batch_begin",
        summary="run again what failed" if head.rerun else "read the lines, group the items",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def advance(call: BatchCall) -> BatchStatus:
    """Run chunks for a turn; on a queue whose stages wait for others, so that it takes none of the jobs' own places."""
    return await run_activity(
        Activity.BATCH_ADVANCE,
        call,
        returns=BatchStatus,
        task_queue=Queue.HARDWARE,
        summary="run chunks",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def cancel(head: BatchHead, call: BatchCall) -> None:
    """Cancel a batch's jobs, and see that they end."""
    await run_activity(
        Activity.BATCH_CANCEL,
        head,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id="batch_cancel",
        summary="cancel what is in flight",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        schedule_to_close_timeout=UNDO,
        retry_policy=STEADY,
    )


async def end(call: BatchCall) -> BatchReport:
    """Close a batch, and put its report together."""
    return await run_activity(
        Activity.BATCH_END,
        call,
        returns=BatchReport,
        activity_id="batch_end",
        summary="the sum",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
