"""Between this project's errors and Temporal's, and between an activity and its heartbeat."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from qurable.backend import StillWaiting
from qurable.errors import HybridError, InternalError, RequestRejected

P = ParamSpec("P")
T = TypeVar("T")

STILL_WAITING = "StillWaiting"
_BEATS_PER_TIMEOUT = 4

_latest: ContextVar[list[str]] = ContextVar("latest beat")


def speaks_temporal(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Let an activity raise this project's errors: each becomes the failure that its class asks for."""

    @functools.wraps(function)
    async def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except StillWaiting as waiting:
            raise ApplicationError(
                str(waiting),
                type=STILL_WAITING,
                next_retry_delay=waiting.again_in,
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        except HybridError as error:
            raise to_failure(error, activity.info().attempt) from None
        except ApplicationError:
            raise
        except Exception as error:
            defect = InternalError(
                f"{activity.info().activity_type} failed with {type(error).__name__}: {error}"
            )
            raise to_failure(defect, activity.info().attempt) from error

    return translated


def to_failure(error: HybridError, attempt: int) -> ApplicationError:
    """An error as the failure of this attempt; its document travels in the details.

    A request that has to change is nobody's alarm: it is kept out of warnings and failure metrics.
    """
    again = error.retry_here and (error.attempts is None or attempt < error.attempts)
    benign = isinstance(error, RequestRejected)
    return ApplicationError(
        error.message,
        error.document(),
        type=error.code,
        non_retryable=not again,
        category=ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED,
    )


def beat(message: str) -> None:
    """Say how far the activity is; the next heartbeat carries it."""
    _latest.get()[0] = message


class Heartbeats(Interceptor):
    """Every activity with a heartbeat timeout beats by itself, so that a dead worker is noticed soon.

    This is also how a cancellation reaches the activity: it comes back with a beat.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  Temporal's name
        """Put the beat around the activity."""
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  Temporal's name
        _latest.set([""])
        timeout = activity.info().heartbeat_timeout
        if timeout is None:
            return await super().execute_activity(input)
        beating = asyncio.create_task(
            _beat_every(timeout.total_seconds() / _BEATS_PER_TIMEOUT, _latest.get())
        )
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating


async def _beat_every(seconds: float, latest: list[str]) -> None:
    while True:
        await asyncio.sleep(seconds)
        activity.heartbeat(latest[0])
