"""A clock that goes on, faster where it is asked to, and never back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.answers import Refusal
from emulator.clock import Clock, as_text, from_text


class Real:
    """Real time as a test has it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_it_goes_at_its_speed_from_where_it_was_set() -> None:
    """A change of speed is no jump."""
    real = Real()
    clock = Clock(real=real)
    clock.advance(100)
    clock.run_at(60)
    real.now += 2

    assert clock.now() == 1_800_000_220
    clock.run_at(0)
    real.now += 1000
    assert clock.now() == 1_800_000_220


def test_it_goes_on_while_nobody_runs_it() -> None:
    """A restart is no holiday."""
    real = Real()
    clock = Clock(real=real)
    clock.run_at(10)
    real.now += 7

    assert Clock(clock.setting, real).now() == clock.now() == 1_800_000_070


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e12])
def test_it_is_never_put_back(seconds: float) -> None:
    """Jobs that have ended cannot begin again."""
    clock = Clock()

    with pytest.raises(Refusal, match="time goes on"):
        clock.advance(seconds)
    with pytest.raises(Refusal, match="must lie between"):
        clock.run_at(-1)


@given(st.floats(0, 4e9).map(lambda seconds: round(seconds, 6)))
def test_a_time_as_text_is_the_same_time(seconds: float) -> None:
    """`created_after` of a job's own time finds the job."""
    text = as_text(seconds)

    assert from_text(text) == seconds
    assert str(text).endswith("Z")


@pytest.mark.parametrize("text", ["", "yesterday", None, 7, "2026-13-01", "9" * 30])
def test_what_is_no_time_is_refused(text: object) -> None:
    """With an example of one."""
    with pytest.raises(Refusal, match="write it as"):
        from_text(text)
