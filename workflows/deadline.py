"""A job's deadline: how much of it each rung may use, so that those below have time left."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from qurable.contracts.routes import Rung

_LEAVE_BEHIND = timedelta(seconds=30)
"""How long a place may take to confirm that a job is withdrawn, where another is about to answer."""

_BESIDE_RUNNING = timedelta(seconds=5)
"""What a rung takes beyond waiting and running: compiling, submitting, recording."""

_LEAST_SHARE = timedelta(seconds=1)


class Deadline:
    """Of a job, from the moment its workflow began.

    Args:
        total: All the time that the job has; None where it has no deadline.

    Attributes:
        leaving: Whether a rung is being called off because its share is used up.
    """

    def __init__(self, total: timedelta | None) -> None:
        self.total = total
        self.leaving = False

    def left(self) -> timedelta | None:
        """What is left; None where there is no deadline."""
        return None if self.total is None else self.total - (workflow.now() - workflow.info().start_time)

    def share(self, below: Sequence[Rung]) -> timedelta | None:
        """What a rung may use of it; None for as long as it takes, without a deadline or another rung."""
        left = self.left()
        return None if left is None or not below else _share(left, below)

    def share_to_fetch(self, below: Sequence[Rung]) -> timedelta | None:
        """How long a result may be asked for; None for as long as it takes."""
        share = self.share(below)
        return None if share is None else max(_LEAST_SHARE, share)

    def to_withdraw(self, below: Sequence[Rung]) -> timedelta | None:
        """How long withdrawing may take where other rungs are below; None for as long as it takes."""
        if not below:
            return None
        left = self.left()
        return _LEAVE_BEHIND if left is None else max(_LEAST_SHARE, min(_LEAVE_BEHIND, left / 10))

    def part(self, wished: timedelta) -> timedelta:
        """So long, or half of what is left where that is less."""
        left = self.left()
        return wished if left is None else max(timedelta(0), min(wished, left / 2))

    async def ends_within(
        self, task: asyncio.Task[Any], left: timedelta, summary: str, *, quit_rung: bool = False
    ) -> bool:
        """Whether a task ends of its own accord within a time; one that does not is called off and has ended too.

        What ended well while it was called off counts as ended of its own accord, and so does what failed by then.
        """
        try:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(task.done, timeout=left, timeout_summary=summary)
            self.leaving = quit_rung and not task.done()
        finally:
            # A worker that stops drops its workflows where they are.
            if not task.done() and workflow.in_workflow():
                task.cancel()
                try:
                    await workflow.wait([task])
                except asyncio.CancelledError:
                    await workflow.wait([task])
                    raise
            self.leaving = False
        failure = None if task.cancelled() else task.exception()
        return not (task.cancelled() or (failure is not None and is_cancelled_exception(failure)))


def _share(left: timedelta, below: Sequence[Rung]) -> timedelta:
    """What a rung gets of the time left: all that the rungs below do not need, and half of it at least."""
    needed = sum((timedelta(seconds=rung.estimate.seconds) + _BESIDE_RUNNING for rung in below), timedelta(0))
    withdrawing = min(_LEAVE_BEHIND, left / 10)
    return max(left - needed - withdrawing, left / 2)
