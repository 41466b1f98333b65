"""Errors cross into Temporal with their class, their document, and the right advice on retrying."""

import dataclasses
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.boundary import STILL_WAITING, KeepAsking, speaks_temporal, to_failure
from qurable.backend import StillWaiting
from qurable.contracts.errors import ErrorDocument
from qurable.errors import (
    BY_CODE,
    AccountRefused,
    CircuitRejected,
    HybridError,
    JobFailed,
    RequestRejected,
    StoreUnavailable,
    TargetUnavailable,
)

OURS = [cls for cls in BY_CODE.values() if cls is not JobFailed]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_is_retried_as_its_class_says(kind: type[HybridError]) -> None:
    """Never, so many times, or until the job's own limits."""
    failures = [to_failure(kind("words", size=3), attempt) for attempt in (1, 2, 5, 100)]
    again = [not failure.non_retryable for failure in failures]

    attempts = kind.attempts if kind.attempts is not None else 10**9
    assert again == [kind.retry_here and attempt < attempts for attempt in (1, 2, 5, 100)]
    assert {failure.type for failure in failures} == {kind.__name__}
    assert failures[0].details[0] == ErrorDocument(code=kind.__name__, message="words", details={"size": 3})


def test_a_request_that_must_change_is_nobodys_alarm() -> None:
    """Failure metrics and warnings are for what operators can do something about."""
    benign = {kind for kind in OURS if to_failure(kind("w"), 1).category is ApplicationErrorCategory.BENIGN}

    assert benign == {kind for kind in OURS if issubclass(kind, RequestRejected)}


async def _failure_of(error: Exception) -> ApplicationError:
    @speaks_temporal
    async def stage() -> None:
        raise error

    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(stage)
    return failure.value


async def test_an_activity_speaks_temporals_language() -> None:
    """Whatever it raises."""
    rejected = await _failure_of(CircuitRejected("circuit 'a', line 1", line=1))
    waiting = await _failure_of(StillWaiting("queued", again_in=timedelta(seconds=7)))
    defect = await _failure_of(KeyError("missing"))
    own = await _failure_of(ApplicationError("mine", type="Mine"))

    assert (rejected.type, rejected.non_retryable) == ("CircuitRejected", True)
    assert waiting.type == STILL_WAITING
    assert waiting.next_retry_delay == timedelta(seconds=7)
    assert waiting.category is ApplicationErrorCategory.BENIGN
    assert (defect.type, defect.non_retryable) == ("InternalError", False)
    assert "failed with KeyError: 'missing'" in defect.message
    assert own.type == "Mine"


async def test_failures_are_counted_in_a_row_and_waits_are_none() -> None:
    """The fifth failure in a row ends it, the fifth attempt does not; an attempt that only waited begins anew."""
    script: list[Exception] = [
        *(TargetUnavailable("down") for _ in range(4)),
        StillWaiting("queued", again_in=timedelta(seconds=1)),
        *(TargetUnavailable("down") for _ in range(5)),
    ]

    @speaks_temporal
    async def stage(error: Exception) -> None:
        raise error

    ended: list[bool] = []
    details: tuple[object, ...] = ()
    for number, error in enumerate(script):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            ActivityEnvironment.default_info(), attempt=number + 1, heartbeat_details=details
        )
        beats: list[tuple[object, ...]] = []
        environment.on_heartbeat = lambda *beat, beats=beats: beats.append(beat)
        with pytest.raises(ApplicationError) as failure:
            await environment.run(stage, error)
        details = beats[-1] if beats else details
        ended.append(failure.value.non_retryable)

    assert ended == [False] * 9 + [True]


async def test_what_is_paid_for_is_asked_again_however_often_it_failed() -> None:
    """Only the job's own limits end such a wait."""

    @speaks_temporal
    async def stage() -> None:
        raise KeepAsking(AccountRefused("expired token"), timedelta(seconds=3))

    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(ActivityEnvironment.default_info(), attempt=1000)
    with pytest.raises(ApplicationError) as failure:
        await environment.run(stage)

    assert failure.value.type == "AccountRefused"
    assert not failure.value.non_retryable
    assert failure.value.next_retry_delay == timedelta(seconds=3)
    assert failure.value.category is not ApplicationErrorCategory.BENIGN


async def test_waiting_costs_no_attempt_of_a_real_error() -> None:
    """A store that is down is waited for; a target that is down is given up after a while."""
    assert not to_failure(StoreUnavailable("down"), 10_000).non_retryable
    assert not to_failure(TargetUnavailable("down"), 4).non_retryable
    assert to_failure(TargetUnavailable("down"), 5).non_retryable
