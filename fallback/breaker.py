"""When a backend is asked no more, and when it is asked again. Pure: the time is an argument."""

from datetime import datetime, timedelta

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.health import Breaker, BreakerState
from qurable.errors import HybridError, ResultRefused, TargetUnavailable

_FAULTS = frozenset({TargetUnavailable.__name__, ResultRefused.__name__})
"""Errors that are the place's fault: it does not answer, or with what is no answer.

None of the other classes says so. A request that has to change, a budget, a limit or a cancellation is the job's; an
account, an allowance or a session is the payer's; a certificate, a missing library or an unknown state may be this
worker's; a place that is full or in maintenance answers and says so; a run that failed may be the circuit's doing; and
a submission that is unclear is being looked for at a place that answers.
"""

PROBE_SECONDS = 90.0
"""How long a probe may take before it is taken for lost, and another may go."""

_PEACE = 2
"""Closed for so many times as long as it was open, a breaker's openings are forgotten."""


class BreakerRules(Contract):
    """From where on a backend is asked no more, and how often what failed there is tried again.

    Attributes:
        faults_in_a_row: So many faults without a call that went well open the breaker.
        error_rate: So does this share of faults among the calls of the window, 0 to 1,
        least_calls: once the window has so many.
        window_seconds: How far back calls count (s).
        cool_down_seconds: How long it stays open before a probe (s); twice as long each time it opens again,
        longest_seconds: but no longer than this (s).
        retries_per_hour: Faults of one backend that are tried again in an hour, over all jobs.
        retries_per_job: Faults that are tried again for one job in a day, over all its stages and backends.
    """

    faults_in_a_row: int = Field(default=5, ge=1)
    error_rate: float = Field(default=0.5, gt=0, le=1)
    least_calls: int = Field(default=10, ge=1)
    window_seconds: float = Field(default=600.0, ge=60, le=3600)
    cool_down_seconds: float = Field(default=30.0, gt=0, le=86_400)
    longest_seconds: float = Field(default=900.0, gt=0, le=86_400)
    retries_per_hour: int = Field(default=200, ge=0)
    retries_per_job: int = Field(default=20, ge=0)

    @property
    def window(self) -> timedelta:
        """How far back calls count."""
        return timedelta(seconds=self.window_seconds)

    def cool_down(self, openings: int) -> timedelta:
        """How long a breaker stays open that opened so often."""
        doubled = self.cool_down_seconds * 2.0 ** min(openings - 1, 40)
        return timedelta(seconds=min(doubled, max(self.longest_seconds, self.cool_down_seconds)))


def is_fault(error: HybridError) -> bool:
    """Whether an error says that the place itself is out of order."""
    return error.code in _FAULTS


def is_bounded(error: HybridError) -> bool:
    """Whether trying an error again is bounded by budgets: what may be paid for is asked after however long it takes."""
    return isinstance(error, TargetUnavailable) and error.retry_here and error.attempts is not None


def after_success(breaker: Breaker) -> Breaker:
    """A call went well. Only a probe closes an open breaker: what still answers may be another part of the place."""
    if breaker.state is not BreakerState.CLOSED:
        return breaker
    return breaker.model_copy(update={"in_a_row": 0})


def after_fault(
    breaker: Breaker,
    rules: BreakerRules,
    *,
    at: datetime,
    began: datetime,
    reason: str,
    calls: int,
    faults: int,
) -> Breaker:
    """A call ended in the place's fault.

    Args:
        breaker: As it was.
        rules: From where on it opens.
        at: Now.
        began: When the call was made; one from before the breaker closed says nothing of the place since.
        reason: What went wrong.
        calls: Of the window since it closed, this one included.
        faults: Among these.
    """
    if breaker.state is not BreakerState.CLOSED or began < breaker.since:
        return breaker
    counted = breaker.model_copy(update={"in_a_row": breaker.in_a_row + 1})
    if counted.in_a_row >= rules.faults_in_a_row:
        return _opened(
            counted, rules, at, f"{counted.in_a_row} calls in a row failed, the last with: {reason}"
        )
    if calls >= rules.least_calls and faults >= rules.error_rate * calls:
        return _opened(
            counted, rules, at, f"{faults} of its last {calls} calls failed, the last with: {reason}"
        )
    return counted


def _opened(breaker: Breaker, rules: BreakerRules, at: datetime, reason: str) -> Breaker:
    """Open; a breaker that opens again soon, or from its probe, stays open for longer."""
    openings = breaker.openings + 1
    if (
        breaker.state is BreakerState.CLOSED
        and breaker.openings
        and at - breaker.since > _PEACE * rules.cool_down(breaker.openings)
    ):
        openings = 1
    return Breaker(
        state=BreakerState.OPEN,
        since=at,
        until=at + rules.cool_down(openings),
        reason=reason,
        in_a_row=breaker.in_a_row,
        openings=openings,
    )


def claimed(breaker: Breaker, *, at: datetime, probe: str) -> Breaker:
    """Half open with this probe, where it is time for one and no other is under way; else as it was."""
    if breaker.state is BreakerState.CLOSED or breaker.until is None or at < breaker.until:
        return breaker
    return breaker.model_copy(
        update={
            "state": BreakerState.HALF_OPEN,
            "since": at,
            "until": at + timedelta(seconds=PROBE_SECONDS),
            "probe": probe,
        }
    )


def after_probe(
    breaker: Breaker, rules: BreakerRules, *, at: datetime, probe: str, failure: str | None
) -> Breaker:
    """Closed where the probe went well, else open for longer; a probe that was taken for lost says nothing."""
    if breaker.state is not BreakerState.HALF_OPEN or breaker.probe != probe:
        return breaker
    if failure is None:
        return Breaker(since=at, openings=breaker.openings)
    return _opened(breaker, rules, at, f"a probe failed with: {failure}")
