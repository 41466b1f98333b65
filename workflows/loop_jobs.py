"""A loop's jobs: each a child that runs as any other job, found again by its id, and withdrawn where nobody waits for it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from qurable.contracts.budgets import JobBudget, Scope
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, JobHead, SampleJob, SolveJob
from qurable.contracts.loop_turns import LastCall, LeaveCall
from qurable.contracts.optimisations import LoopPlan, Optimisation
from qurable.errors import BY_CODE, BudgetExceeded, InternalError, JobCancelled
from qurable.names import HYBRID_JOB, Queue
from qurable.temporal.in_workflow import MEMO_BODY
from workflows import stages

AnyJob = EstimateJob | SampleJob | SolveJob

_LAST: tuple[Literal["value", "answer"], ...] = ("value", "answer")

_ASK_AGAIN = timedelta(seconds=1)
_ASK_AGAIN_AT_MOST = timedelta(minutes=1)


class LoopJobs:
    """Runs them, one at a time, and closes what the loop holds at a provider.

    Args:
        loop: The loop.
        held_on: As an earlier execution of it has left that.

    Attributes:
        running: Id of the job that runs; empty where none does.
        held_on: Where the loop may hold a session; empty for nowhere.
    """

    def __init__(self, loop: Optimisation, held_on: str) -> None:
        self._loop = loop
        self._left = 0
        self.running = ""
        self.held_on = held_on

    async def run(
        self, job: AnyJob, given_up: Callable[[], bool], left: timedelta | None
    ) -> ErrorDocument | None:
        """Why a job has no answer; None where it has one.

        Args:
            job: The job.
            given_up: Whether nobody waits for it any more; it is withdrawn then, and counts where it ends well meanwhile.
            left: Of the loop's deadline; None for as long as it takes.
        """
        if self.held_on not in ("", job.asked):
            await self.leave()
        self.held_on, self.running = job.asked, job.job_id
        try:
            return await _run_to_its_end(job, self._loop.loop_id, given_up, left)
        finally:
            self.running = ""

    async def evaluate_last_point(
        self, plan: LoopPlan, backend: str, shots: int | None, left: Callable[[], timedelta | None]
    ) -> str:
        """Have the point that the loop ends with evaluated anew, and assignments read there; why not, where that fails."""
        for purpose in _LAST:
            call = LastCall(loop_id=self._loop.loop_id, purpose=purpose, backend=backend, shots=shots)
            job = (await stages.loop_last(call, plan.heartbeat)).job
            if job is None:
                return "" if purpose == "answer" else "nothing is left of the budget"
            error = await self.run(job, lambda: False, left())
            if error is not None:
                return error.message
        return ""

    async def leave(self) -> None:
        """Close what the loop holds; what cannot be closed now is the reconciler's, once the loop has ended."""
        if self._loop.ibm.mode == "job" or not self.held_on:
            return
        self.held_on = ""
        self._left += 1
        try:
            await stages.leave_sessions(LeaveCall(loop_id=self._loop.loop_id, number=self._left))
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            workflow.logger.warning("loop %s leaves a session open: %s", self._loop.loop_id, failure.cause)


def is_own_budget(error: ErrorDocument, loop: Optimisation) -> bool:
    """Whether a job would cost more than is left of its loop's budget, and not of anybody else's."""
    limited = loop.budget != JobBudget()
    return (
        limited
        and error.code == BudgetExceeded.__name__
        and error.details.get("scope", Scope.JOB) == Scope.JOB
    )


async def _run_to_its_end(
    job: AnyJob, loop_id: str, given_up: Callable[[], bool], left: timedelta | None
) -> ErrorDocument | None:
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


async def _run(job: AnyJob, loop_id: str) -> ErrorDocument | None:
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


async def _child(job: AnyJob, loop_id: str) -> None:
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


async def _wait(job: AnyJob, pause: timedelta) -> None:
    """Wait for a job that is somebody else's child; where it is called off, so is the job."""
    try:
        await workflow.sleep(pause, summary=f"join {job.job_id}")
    except asyncio.CancelledError:
        await workflow.get_external_workflow_handle(job.job_id).cancel()
        raise


def _error_of(failure: ChildWorkflowError, job: AnyJob) -> ErrorDocument:
    cause = failure.cause
    if is_cancelled_exception(failure):
        return _cancelled(job)
    if isinstance(cause, ApplicationError) and cause.type in BY_CODE and cause.details:
        return ErrorDocument.model_validate(cause.details[0])
    return InternalError(f"job {job.job_id!r} ended with: {cause or failure}").document()


def _cancelled(job: AnyJob) -> ErrorDocument:
    return JobCancelled(f"job {job.job_id!r} was cancelled before it had an answer").document()
