"""A loop's jobs: each a child that runs as any other job, found again by its id, and withdrawn where nobody waits for it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, JobHead, SampleJob, SolveJob
from qurable.errors import BY_CODE, InternalError, JobCancelled
from qurable.names import HYBRID_JOB, Queue
from qurable.temporal.in_workflow import MEMO_BODY

_ASK_AGAIN = timedelta(seconds=1)
_ASK_AGAIN_AT_MOST = timedelta(minutes=1)


async def run_to_its_end(
    job: EstimateJob | SampleJob | SolveJob,
    loop_id: str,
    given_up: Callable[[], bool],
    left: timedelta | None,
) -> ErrorDocument | None:
    """Run a job of a loop, and withdraw it where the loop ends before; one that ends well meanwhile counts.

    Args:
        job: The job.
        loop_id: Of the loop.
        given_up: Whether nobody waits for it any more.
        left: Of the loop's deadline; None for as long as it takes.

    Returns:
        Why it has no answer; None where it has one.
    """
    task = asyncio.create_task(_run(job, loop_id))
    try:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: task.done() or given_up(), timeout=left, timeout_summary="the loop's deadline"
            )
    finally:
        # A worker that stops drops its workflows where they are.
        if not task.done() and workflow.in_workflow():
            task.cancel()
            await _ended(task)
    try:
        return task.result()
    except asyncio.CancelledError:
        return _cancelled(job)


async def _ended(task: "asyncio.Task[ErrorDocument | None]") -> None:
    """Until a job that was called off has ended, also where the loop is cancelled meanwhile."""
    try:
        await workflow.wait([task])
    except asyncio.CancelledError:
        await workflow.wait([task])
        raise


async def _run(job: EstimateJob | SampleJob | SolveJob, loop_id: str) -> ErrorDocument | None:
    """The end of a job; one that another execution of the loop has left running is joined."""
    pause = _ASK_AGAIN
    while True:
        try:
            await _child(job, loop_id)
        except WorkflowAlreadyStartedError:
            await _wait(job, pause)
            pause = min(2 * pause, _ASK_AGAIN_AT_MOST)
        except ChildWorkflowError as failure:
            return _error_of(failure, job)
        else:
            return None


async def _child(job: EstimateJob | SampleJob | SolveJob, loop_id: str) -> None:
    head = JobHead.of(job)
    await workflow.execute_child_workflow(
        HYBRID_JOB,
        args=[head, job],
        id=head.id,
        task_queue=Queue.WORKFLOWS,
        result_type=RawValue,
        memo={MEMO_BODY: head.body_hash},
        # A loop that is terminated leaves nothing that runs, and costs, for nobody.
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        static_summary=f"{head.kind} · {loop_id} · asked for {head.asked}",
        priority=Priority(priority_key=head.priority, fairness_key=head.project),
    )


async def _wait(job: EstimateJob | SampleJob | SolveJob, pause: timedelta) -> None:
    """Wait for a job that is somebody else's child; where it is called off, so is the job."""
    try:
        await workflow.sleep(pause, summary=f"join {job.job_id}")
    except asyncio.CancelledError:
        await workflow.get_external_workflow_handle(job.job_id).cancel()
        raise


def _error_of(failure: ChildWorkflowError, job: EstimateJob | SampleJob | SolveJob) -> ErrorDocument:
    cause = failure.cause
    if is_cancelled_exception(failure):
        return _cancelled(job)
    if isinstance(cause, ApplicationError) and cause.type in BY_CODE and cause.details:
        return ErrorDocument.model_validate(cause.details[0])
    return InternalError(f"job {job.job_id!r} ended with: {cause or failure}").document()


def _cancelled(job: EstimateJob | SampleJob | SolveJob) -> ErrorDocument:
    return JobCancelled(f"job {job.job_id!r} was cancelled before it had an answer").document()
