"""A place that fails is left alone, probed by one at a time, and asked again once a probe went well."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fallback.breaker import (
    PROBE_SECONDS,
    BreakerRules,
    after_fault,
    after_probe,
    after_success,
    claimed,
    is_bounded,
    is_fault,
)
from qurable.contracts.health import Breaker, BreakerState
from qurable.errors import BY_CODE, HybridError, JobFailed

START = datetime(2026, 3, 1, tzinfo=UTC)
RULES = BreakerRules(faults_in_a_row=3, cool_down_seconds=10, longest_seconds=35)
ALONE = {"calls": 1, "faults": 1}
"""A window that opens nothing by its rate."""

OURS = [cls for cls in BY_CODE.values() if cls is not JobFailed]


def failed(breaker: Breaker, at: datetime, rules: BreakerRules = RULES, **window: int) -> Breaker:
    """After a fault of a call that took no time."""
    return after_fault(breaker, rules, at=at, began=at, reason="HTTP 503", **(window or ALONE))


def opened(at: datetime = START) -> Breaker:
    """By as many faults as it takes."""
    breaker = Breaker(since=START)
    for _ in range(RULES.faults_in_a_row):
        breaker = failed(breaker, at)
    return breaker


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_only_what_the_place_itself_did_is_its_fault(kind: type[HybridError]) -> None:
    """No circuit, budget, account, limit or cancellation of one user keeps others from a place."""
    assert is_fault(kind("w")) == (kind.__name__ in {"TargetUnavailable", "ResultRefused"})


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_what_may_be_paid_for_is_asked_after_without_a_budget(kind: type[HybridError]) -> None:
    """A submission whose fate is unknown is looked for until it is known."""
    assert is_bounded(kind("w")) == (kind.__name__ in {"TargetUnavailable", "TargetSaturated"})


def test_a_share_of_faults_opens_it_as_well() -> None:
    """A place that answers every other call never fails often in a row; few calls say nothing."""
    breaker = Breaker(since=START)
    few = failed(breaker, START, calls=9, faults=9)
    fine = failed(breaker, START, calls=100, faults=49)
    bad = failed(breaker, START, calls=10, faults=5)

    assert (few.state, fine.state, bad.state) == ("closed", "closed", "open")
    assert bad.reason == "5 of its last 10 calls failed, the last with: HTTP 503"


def test_a_call_from_before_it_closed_says_nothing_of_the_place_since() -> None:
    """Requests that hang for a minute end after a probe has found the place well again."""
    closed = after_probe(
        claimed(opened(), at=START + timedelta(seconds=10), probe="p"),
        RULES,
        at=START + timedelta(seconds=11),
        probe="p",
        failure=None,
    )
    late = after_fault(closed, RULES, at=START + timedelta(seconds=12), began=START, reason="", **ALONE)

    assert closed.state is BreakerState.CLOSED
    assert late == closed


def test_it_stays_open_twice_as_long_each_time_and_no_longer_than_the_longest() -> None:
    """Until it was closed for long: then what was is forgotten."""
    breaker, waits = opened(), []
    for _ in range(4):
        assert breaker.until is not None
        waits.append((breaker.until - breaker.since).total_seconds())
        half = claimed(breaker, at=breaker.until, probe="p")
        breaker = after_probe(half, RULES, at=breaker.until, probe="p", failure="HTTP 503")
    assert breaker.until is not None
    half = claimed(breaker, at=breaker.until, probe="p")
    closed = after_probe(half, RULES, at=breaker.until, probe="p", failure=None)
    soon, late = (closed.since + timedelta(seconds=seconds) for seconds in (60, 80))
    one = BreakerRules(faults_in_a_row=1, cool_down_seconds=10, longest_seconds=35)

    assert waits == [10, 20, 35, 35]
    assert (failed(closed, soon, one).openings, failed(closed, late, one).openings) == (6, 1)


@dataclass
class Model:
    """What a breaker should be, told by its history alone."""

    in_a_row: int = 0
    blocked: bool = False
    due: datetime | None = None
    probing: str = ""
    openings: int = 0
    closed_at: datetime = field(default=START - timedelta(days=7))

    def wait(self) -> float:
        return float(min(10 * 2 ** (self.openings - 1), 35))

    def open(self, at: datetime) -> None:
        self.blocked, self.probing = True, ""
        self.openings += 1
        self.due = at + timedelta(seconds=self.wait())


class BreakerMachine(RuleBasedStateMachine):
    """Calls, faults, time and several probers in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START
        self.breaker = Breaker(since=START - timedelta(days=7))
        self.model = Model()
        self.claims: list[str] = []

    @rule(seconds=st.sampled_from([1, 5, 10, 40, 100]))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @rule()
    def a_call_goes_well(self) -> None:
        self.breaker = after_success(self.breaker)
        if not self.model.blocked:
            self.model.in_a_row = 0

    @rule(lasted=st.sampled_from([0, 30]))
    def a_call_fails(self, lasted: int) -> None:
        began = self.at - timedelta(seconds=lasted)
        self.breaker = after_fault(self.breaker, RULES, at=self.at, began=began, reason="", **ALONE)
        model = self.model
        if model.blocked or began < model.closed_at:
            return
        model.in_a_row += 1
        if model.in_a_row >= 3:
            if model.openings and self.at - model.closed_at > timedelta(seconds=2 * model.wait()):
                model.openings = 0
            model.open(self.at)

    @rule()
    def somebody_wants_to_probe(self) -> None:
        name = f"probe {len(self.claims)}"
        self.claims.append(name)
        self.breaker = claimed(self.breaker, at=self.at, probe=name)
        model = self.model
        allowed = model.blocked and model.due is not None and self.at >= model.due
        assert (self.breaker.probe == name) == allowed
        if allowed:
            model.probing, model.due = name, self.at + timedelta(seconds=PROBE_SECONDS)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), well=st.booleans())
    def some_probe_ends(self, data: st.DataObject, well: bool) -> None:
        name = data.draw(st.sampled_from(self.claims))
        self.breaker = after_probe(
            self.breaker, RULES, at=self.at, probe=name, failure=None if well else "HTTP 503"
        )
        model = self.model
        if not model.blocked or model.probing != name:
            return
        if not well:
            model.open(self.at)
            return
        model.blocked, model.probing, model.in_a_row, model.due = False, "", 0, None
        model.closed_at = self.at

    @invariant()
    def it_is_as_its_history_says(self) -> None:
        model = self.model
        half = bool(model.probing)
        state = "closed" if not model.blocked else "half_open" if half else "open"
        assert self.breaker.state == state
        assert self.breaker.until == model.due
        assert self.breaker.openings == model.openings
        assert self.breaker.probe == model.probing
        if state == "closed":
            assert self.breaker.in_a_row == model.in_a_row


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
