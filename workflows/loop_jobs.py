"""A loop's jobs: each a child that runs as any other job, found again by its id, and withdrawn where nobody waits for it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    is_cancelled_exception,
)

from qurable.contracts.budgets import JobBudget, Scope
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.loop_turns import LastCall, LeaveCall
from qurable.contracts.optimisations import LoopPlan, Optimisation
from qurable.errors import BudgetExceeded
from workflows.calls import loops
from workflows.children import AnyJob, ChildJob

_LAST: tuple[Literal["value", "answer"], ...] = ("value", "answer")


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
            return await _run_to_its_end(ChildJob.of(job, self._loop.loop_id), given_up, left)
        finally:
            self.running = ""

    async def evaluate_last_point(
        self, plan: LoopPlan, backend: str, shots: int | None, left: Callable[[], timedelta | None]
    ) -> str:
        """Have the point that the loop ends with evaluated anew, and assignments read there; why not, where that fails."""
        for purpose in _LAST:
            call = LastCall(loop_id=self._loop.loop_id, purpose=purpose, backend=backend, shots=shots)
            job = (await loops.last(call, plan.heartbeat)).job
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
            await loops.leave_sessions(LeaveCall(loop_id=self._loop.loop_id, number=self._left))
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
    child: ChildJob, given_up: Callable[[], bool], left: timedelta | None
) -> ErrorDocument | None:
    task = asyncio.create_task(child.run())
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
        return child.cancelled()


async def _ended(task: "asyncio.Task[ErrorDocument | None]") -> None:
    """Until a job that was called off has ended, also where the loop is cancelled meanwhile."""
    try:
        await workflow.wait([task])
    except asyncio.CancelledError:
        await workflow.wait([task])
        raise
