"""Calls whose cancellation is heeded however they end."""

import asyncio
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


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
