"""Calls of a matrix's activities."""

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.matrices import MatrixCall, MatrixHead, MatrixReport, MatrixStatus
from qurable.contracts.stages import (
    Waited,
)
from qurable.names import Activity, Queue
from workflows.calling import FIRST, PATIENT, STEADY, UNDO, run_activity


async def begin(head: MatrixHead, call: MatrixCall, body: RawValue) -> MatrixStatus:
    """Take in a matrix, or have what it lacks run again."""
    return await run_activity(
        Activity.MATRIX_BEGIN,
        head,
        call,
        body,
        returns=MatrixStatus,
        task_queue=Queue.COMPILE,
        activity_id="matrix_begin",
        summary="run again what is missing" if head.rerun else "read the data, list the entries",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def advance(call: MatrixCall) -> MatrixStatus:
    """Keep what a matrix's batch brings, for a turn; on a queue whose stages wait for others."""
    return await run_activity(
        Activity.MATRIX_ADVANCE,
        call,
        returns=MatrixStatus,
        task_queue=Queue.HARDWARE,
        summary="run what is missing",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def cancel(call: MatrixCall) -> None:
    """Cancel a matrix's batch, and keep what it had brought."""
    await run_activity(
        Activity.MATRIX_CANCEL,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id="matrix_cancel",
        summary="cancel what is in flight",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        schedule_to_close_timeout=UNDO,
        retry_policy=STEADY,
    )


async def end(call: MatrixCall) -> MatrixReport:
    """Put a matrix's file together."""
    return await run_activity(
        Activity.MATRIX_END,
        call,
        returns=MatrixReport,
        task_queue=Queue.COMPILE,
        activity_id="matrix_end",
        summary="the file",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
