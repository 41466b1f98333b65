"""When a job elsewhere is looked at again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from activities.waiting import Pacing, at_most
from qurable.contracts.executions import JobState, Phase

_SOON = timedelta(seconds=0.05)
_HOUR = timedelta(hours=1)


@given(
    ahead=st.none() | st.integers(0, 10_000),
    starts=st.none() | st.timedeltas(timedelta(0), 24 * _HOUR),
    left=st.timedeltas(timedelta(microseconds=1), 24 * _HOUR),
    longest=st.timedeltas(timedelta(seconds=1), _HOUR),
)
def test_nothing_is_looked_at_after_its_limit_has_passed(
    ahead: int | None, starts: timedelta | None, left: timedelta, longest: timedelta
) -> None:
    """However far back in the queue it is, and whatever the jitter: a limit is kept when it ends, not at the next look."""
    state = JobState(
        phase=Phase.QUEUED,
        queue_position=ahead,
        starts_at=None if starts is None else datetime.now(UTC) + starts,
    )

    again = Pacing(timedelta(seconds=1), longest).next(state, left)

    assert _SOON <= again <= max(left, _SOON)
    assert again <= 1.2 * longest


@given(again=st.timedeltas(timedelta(0), _HOUR), left=st.timedeltas(timedelta(0), _HOUR))
def test_what_a_place_proposes_ends_with_the_time_that_is_left(again: timedelta, left: timedelta) -> None:
    """As a simulator without room does, which knows nothing of the job's limits."""
    assert at_most(again, left) == max(_SOON, min(again, left))
