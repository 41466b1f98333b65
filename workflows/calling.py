"""How workflows call activities: by name, with the type of the answer, and with a cancellation that is heeded.

Retries have no number of attempts: an activity's own errors say when to stop (`activities/boundary.py`), a
benign "still waiting" counts as an attempt too, and a store that is down is waited for.
"""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, RetryState

from qurable.contracts.stages import Pace
from qurable.names import Activity

T = TypeVar("T")

PATIENT = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))

STEADY = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0)
"""For waits: each benign end names its own delay, and must not stretch that of a real error."""

FIRST = Pace()
"""The limits of what has no job's own yet."""

UNDO = timedelta(hours=24)
"""For so long what was started is tried to be cancelled."""


async def run_activity(activity: Activity, *args: Any, returns: type[T], **options: Any) -> T:
    """Call an activity by its name, with the type of its answer.

    An attempt that asks to be retried, and was told to stop meanwhile, reaches us as a failure: it is a cancellation.
    """
    call = workflow.start_activity(activity, args=args, result_type=returns, **options)
    try:
        answer: T = await heed_cancellation(call)
    except ActivityError as failure:
        if failure.retry_state is RetryState.CANCEL_REQUESTED:
            raise asyncio.CancelledError from failure
        raise
    return answer


async def heed_cancellation(call: "asyncio.Task[T]") -> T:
    """What an activity or a child gives back; a cancellation meanwhile is passed on to it, and stands however it ends.

    What waits for the end of its cancellation may end well all the same, with its last line just behind it. The SDK gives
    that answer back then and forgets that the workflow was to stop.

    Args:
        call: A handle of an activity or a child that was started.

    Raises:
        CancelledError: The caller was cancelled before the call had ended; it has ended by now.
    """
    try:
        await workflow.wait([call])
    except asyncio.CancelledError:
        if workflow.in_workflow():  # a worker that stops drops its workflows where they are
            call.cancel()
            await workflow.wait([call])
            _seen(call)
        raise
    return call.result()


def _seen(call: "asyncio.Task[Any]") -> None:
    """Look at how a call ended, so that nobody complains that nobody did."""
    if not call.cancelled():
        call.exception()
