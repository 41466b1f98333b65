"""Between this project's errors and Temporal's, and between an activity and its heartbeat."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from qurable.backend import StillWaiting
from qurable.contracts.stages import FinishCall, PrepareCall, StageCall, WaitCall
from qurable.errors import HybridError, InternalError, RequestRejected
from qurable.names import Activity

P = ParamSpec("P")
T = TypeVar("T")

STILL_WAITING = "StillWaiting"
_BEATS_PER_TIMEOUT = 4


_ASKS_A_PLACE = frozenset(
    {
        *(Activity.SUBMIT, Activity.OPEN_SESSION, Activity.AWAIT_START),
        *(Activity.AWAIT_DONE, Activity.FETCH, Activity.FINISH),
    }
)
"""Activities whose end says something about the place that they are for."""


class Watch(Protocol):
    """Whoever counts how calls to places end."""

    def went_well(self, name: str, asked: str, seconds: float) -> None:
        """A call to a place went well."""
        ...

    async def went_wrong(self, name: str, asked: str, seconds: float, error: HybridError) -> None:
        """A call to a place failed."""
        ...

    async def bounded(self, name: str, job_id: str, error: HybridError) -> HybridError:
        """The error, or one that is not tried again where enough was."""
        ...


@dataclass
class _Call:
    """The running activity, as far as it is about a place.

    Attributes:
        watch: Who is told how it ends.
        asked: Name of the activity.
        job_id: Of the job; empty where it is for none.
        place: Name of the backend; empty where several, or none, are asked.
        began: When, by a clock that only goes on (s).
        faults: Errors that are counted already, and whose they are.
    """

    watch: Watch
    asked: str
    job_id: str
    place: str
    began: float = field(default_factory=time.monotonic)
    faults: list[tuple[HybridError, str]] = field(default_factory=list)

    def went_well(self) -> None:
        if self.place:
            self.watch.went_well(self.place, self.asked, time.monotonic() - self.began)

    async def went_wrong(self, error: HybridError) -> str:
        """Have the error counted, once; gives back whose it is, empty where nobody knows."""
        for counted, place in self.faults:
            if counted is error:
                return place
        if self.place:
            await self.watch.went_wrong(self.place, self.asked, time.monotonic() - self.began, error)
        return self.place


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def note_fault(place: str, error: HybridError) -> None:
    """Say whose an error is that has been counted, should the activity end with it."""
    call = _call.get()
    if call is not None:
        call.faults.append((error, place))


class KeepAsking(Exception):
    """A real error that ends no wait: what it asks about is paid for, and is asked again until the job's limits.

    Args:
        error: What went wrong.
        again_in: When to ask again.
    """

    def __init__(self, error: HybridError, again_in: timedelta) -> None:
        super().__init__(error.message)
        self.error = error
        self.again_in = again_in


@dataclass
class _Pulse:
    """What the next heartbeat carries, and the next attempt is told.

    Attributes:
        message: How far the activity is.
        failures: Attempts in a row that ended with a real error; waiting for something is none.
    """

    message: str = ""
    failures: int = 0

    def beat(self) -> None:
        activity.heartbeat(self.message, self.failures)

    @classmethod
    def taken_up(cls) -> Self:
        """From where the last attempt left it."""
        match activity.info().heartbeat_details:
            case [str(), int(failures)]:
                return cls(failures=failures)
        return cls()


_pulse: ContextVar[_Pulse | None] = ContextVar("pulse", default=None)


def _current() -> _Pulse:
    """The running activity's."""
    pulse = _pulse.get()
    if pulse is None:
        pulse = _Pulse.taken_up()
        _pulse.set(pulse)
    return pulse


def speaks_temporal(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Let an activity raise this project's errors: each becomes the failure that its class asks for."""

    @functools.wraps(function)
    async def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            answer = await function(*args, **kwargs)
        except StillWaiting as waiting:
            _note_failures(0)
            raise ApplicationError(
                str(waiting),
                type=STILL_WAITING,
                next_retry_delay=waiting.again_in,
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        except KeepAsking as failure:
            _counted()
            await _told(failure.error)
            raise ApplicationError(
                str(failure),
                failure.error.document(),
                type=failure.error.code,
                next_retry_delay=failure.again_in,
            ) from None
        except HybridError as error:
            failures = _counted()
            raise to_failure(await _bounded(error, failures), failures) from None
        except ApplicationError:
            raise
        except Exception as error:
            defect = InternalError(
                f"{activity.info().activity_type} failed with {type(error).__name__}: {error}"
            )
            raise to_failure(defect, _counted()) from error
        call = _call.get()
        if call is not None:
            call.went_well()
        return answer

    return translated


async def _told(error: HybridError) -> str:
    """Have an error counted; gives back the place whose it is, empty where nobody counts or knows."""
    call = _call.get()
    return "" if call is None else await call.went_wrong(error)


async def _bounded(error: HybridError, failures: int) -> HybridError:
    """The error, counted; or one that is not tried again, where enough was tried again for the job or at the place."""
    place, call = await _told(error), _call.get()
    if call is None or not place or not _again(error, failures):
        return error
    return await call.watch.bounded(place, call.job_id, error)


def _counted() -> int:
    """How many attempts in a row, this one included, ended with a real error."""
    _note_failures(_current().failures + 1)
    return _current().failures


def _note_failures(failures: int) -> None:
    """Have the next attempt know; the server keeps the last heartbeat of a failed one."""
    pulse = _current()
    if pulse.failures != failures:
        pulse.failures = failures
        pulse.beat()


def to_failure(error: HybridError, failures: int) -> ApplicationError:
    """An error as the failure of this attempt; its document travels in the details.

    `failures` attempts in a row, this one included, have ended with a real error.

    A request that has to change is nobody's alarm: it is kept out of warnings and failure metrics.
    """
    benign = isinstance(error, RequestRejected)
    return ApplicationError(
        error.message,
        error.document(),
        type=error.code,
        non_retryable=not _again(error, failures),
        category=ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED,
    )


def _again(error: HybridError, failures: int) -> bool:
    """Whether an error that ended so many attempts in a row is tried again."""
    return error.retry_here and (error.attempts is None or failures < error.attempts)


def beat(message: str) -> None:
    """Say how far the activity is; the next heartbeat carries it."""
    _current().message = message


class Heartbeats(Interceptor):
    """Every activity with a heartbeat timeout beats by itself, so that a dead worker is noticed soon.

    This is also how a cancellation reaches the activity: it comes back with a beat.

    Args:
        watch: Told how calls to places end; None for nobody.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  Temporal's name
        """Put the beat around the activity."""
        return _Beating(next, self._watch)


class _Beating(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, watch: Watch | None) -> None:  # noqa: A002  Temporal's name
        super().__init__(next)
        self._watch = watch

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  Temporal's name
        _pulse.set(None)
        _call.set(None if self._watch is None else _call_of(self._watch, input.args))
        pulse = _current()
        timeout = activity.info().heartbeat_timeout
        if timeout is None:
            return await super().execute_activity(input)
        beating = asyncio.create_task(_beat_every(timeout.total_seconds() / _BEATS_PER_TIMEOUT, pulse))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating


async def _beat_every(seconds: float, pulse: _Pulse) -> None:
    while True:
        await asyncio.sleep(seconds)
        pulse.beat()


def _call_of(watch: Watch, args: Sequence[Any]) -> _Call:
    """What the running activity is about, by what it is called with."""
    asked = activity.info().activity_type
    match args:
        case [
            PrepareCall(call=stage) | WaitCall(call=stage) | FinishCall(call=stage) | (StageCall() as stage),
            *_,
        ]:
            return _Call(watch, asked, stage.job_id, stage.backend if asked in _ASKS_A_PLACE else "")
    return _Call(watch, asked, "", "")
