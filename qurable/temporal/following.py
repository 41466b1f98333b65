"""Follow a workflow that was started: ask where it stands, wait for its end, cancel it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.stages import ReadRequest
from qurable.endings import ended, unreachable
from qurable.errors import NoWorker, ServiceUnreachable

T = TypeVar("T")

Read = Callable[[ReadRequest, Any], Awaitable[Any]]
"""Asks the store a question, for an answer of a type."""

_RPC = timedelta(seconds=10)
_QUERY = timedelta(seconds=5)

_NO_WORKER = frozenset(
    {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION}
)
"""How a query ends that nobody answers in time: there is no worker, or the one that has the workflow hangs."""

_LOOK_AGAIN_SECONDS = 0.2
_LOOK_AGAIN_AT_MOST_SECONDS = 2.0


async def ask(temporal: Client, identity: str, query: str, kind: type[T]) -> T | None:
    """What a workflow says of itself; None where Temporal does not know it, or any more.

    Raises:
        NoWorker: Nobody is there to tell.
        ServiceUnreachable: Temporal does not answer.
    """
    try:
        found: T = await temporal.get_workflow_handle(identity).query(
            query, result_type=kind, rpc_timeout=_QUERY
        )
    except WorkflowQueryFailedError as failure:
        raise NoWorker(f"no worker tells where {identity!r} stands: {failure}") from None
    except RPCError as failure:
        if failure.status is RPCStatusCode.NOT_FOUND:
            return None
        if failure.status in _NO_WORKER:
            raise NoWorker(
                f"no worker answers for {identity!r}; it waits for one: start one, for instance with `make up`"
            ) from None
        raise unreachable(failure) from None
    return found


async def end_of(
    temporal: Client, identity: str, kind: type[T], *, wait: timedelta | None = None
) -> T | None:
    """What a workflow ends with, once it has; None where Temporal does not know it, or any more.

    Raises:
        JobFailed: It ended without an answer.
        JobCancelled: It was cancelled.
        ServiceUnreachable: Temporal does not answer.
        TimeoutError: The wait is over.
    """
    handle = temporal.get_workflow_handle(identity, result_type=kind)
    try:
        async with asyncio.timeout(None if wait is None else wait.total_seconds()):
            found: T = await handle.result()
    except WorkflowFailureError as failure:
        raise ended(identity, failure) from None
    except RPCError as failure:
        if failure.status is not RPCStatusCode.NOT_FOUND:
            raise unreachable(failure) from None
        return None
    return found


async def cancel(temporal: Client, identity: str) -> bool:
    """Have a workflow cancel what it does; False where there is none, or none that runs.

    Raises:
        ServiceUnreachable: Temporal does not answer.
    """
    try:
        await temporal.get_workflow_handle(identity).cancel(rpc_timeout=_RPC)
    except RPCError as failure:
        if failure.status is not RPCStatusCode.NOT_FOUND:
            raise unreachable(failure) from None
        return False
    return True


async def changes(
    status: Callable[[], Awaitable[T | None]], ending: Callable[[], Coroutine[Any, Any, object]]
) -> AsyncIterator[T]:
    """Where something stands, each time that changes, until it has ended; how it ended is not asked.

    Args:
        status: Tells it; None before there is anything to tell.
        ending: Returns once it has ended, or raises.
    """
    last, pause, end = None, _LOOK_AGAIN_SECONDS, asyncio.create_task(ending())
    try:
        while True:
            over = end.done()
            found = await status()
            if found is not None and found != last:
                last, pause = found, _LOOK_AGAIN_SECONDS
                yield found
            if over:
                if isinstance(end.exception(), ServiceUnreachable):  # then it may go on
                    await end
                return
            await asyncio.wait([end], timeout=pause)
            pause = min(pause * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
    finally:
        end.cancel()
        await asyncio.gather(end, return_exceptions=True)
