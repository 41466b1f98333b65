"""Schedules as documents: what is refused before anybody is asked, and what a moment's keys are made of."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from qurable.contracts.fires import Fire
from qurable.contracts.schedules import Calendar, Overlap, QueryInput, ScheduleSpec, documents_of
from qurable.requests import sample
from tests.circuits_at_hand import BELL


def _spec(**fields: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"name": "nightly", "cron": ["0 2 * * *"], **fields})


def test_what_nobody_says_is_what_the_page_says() -> None:
    """Temporal's own catch-up window is a year: an outage would be followed by a year of jobs."""
    spec = _spec()

    assert (spec.overlap, spec.catch_up, spec.jitter) == (Overlap.SKIP, timedelta(hours=1), timedelta(0))
    assert (spec.zone, spec.project) == ("UTC", "default")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"cron": []}, "it fires at no time"),
        ({"name": "qurable-reconciler"}, "the house's own"),
        ({"name": "Nightly run"}, "String should match pattern"),
        ({"start": "2027-01-02T00:00Z", "end": "2027-01-01T00:00Z"}, "before it starts"),
        ({"start": "2027-01-02T00:00"}, "timezone"),
        ({"cron": ["0 2 * * * # nightly"]}, "String should match pattern"),
        ({"cron": ["CRON_TZ=Europe/Vienna 0 2 * * *"]}, "String should match pattern"),
        ({"calendars": [{"hour": "2 3"}]}, "String should match pattern"),
        ({"calendars": [{"hours": "2"}]}, "Extra inputs"),
        ({"catch_up": "5s"}, r"greater than or equal to .*seconds=10"),
        ({"jitter": "2d"}, r"less than or equal to .*days=1"),
        ({"overlap": "terminate"}, "Input should be"),
        ({"export": "../nightly.csv"}, "String should match pattern"),
        ({"export": "/etc/nightly.csv"}, "String should match pattern"),
        ({"export": "a/../nightly.csv"}, "String should match pattern"),
        ({"export": ".hidden.csv"}, "String should match pattern"),
        ({"export": "nightly.xlsx"}, "String should match pattern"),
        ({"input": {"kind": "query", "states": ["running"]}}, "jobs that are running have not ended"),
        ({"input": {"kind": "query", "label": "red"}}, "String should match pattern"),
        ({"input": {"kind": "hook"}}, "Field required"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(fields: dict[str, Any], why: str) -> None:
    """With the field and the reason, before Temporal sees it."""
    with pytest.raises(ValidationError, match=why):
        _spec(**fields)


def test_a_calendar_is_a_line_of_seven_fields() -> None:
    """Which Temporal reads; what is left out is midnight of every day."""
    assert Calendar(hour="2", day_of_week="mon-fri").cron == "0 0 2 * * mon-fri *"
    assert Calendar(minute="*/15", hour="8-17", month="jan", year="2027").cron == "0 */15 8-17 * jan * 2027"


def test_spans_are_written_with_their_units() -> None:
    """As everywhere on the command line."""
    spec = _spec(catch_up="30min", jitter="90s", input={"kind": "query", "within": "7d"})

    assert (spec.catch_up, spec.jitter) == (timedelta(minutes=30), timedelta(seconds=90))
    assert isinstance(spec.input, QueryInput)
    assert spec.input.within == timedelta(days=7)


def test_the_same_jobs_are_the_same_input_whatever_keys_they_were_given() -> None:
    """A schedule that is created again is compared with the one that stands."""
    first, second, other = (sample(BELL, shots=shots) for shots in (10, 10, 11))
    marked = sample(BELL, shots=10, labels={"study": "one"})
    newer = _spec(schema_version=2).with_jobs([second])

    assert first.key != second.key
    assert _spec().with_jobs([first]).is_same_as(newer)
    assert not _spec().with_jobs([first]).is_same_as(_spec().with_jobs([other]))
    assert not _spec().with_jobs([first]).is_same_as(_spec().with_jobs([marked]))
    assert documents_of([first]) == documents_of([second])


def test_a_moment_has_the_same_keys_in_every_time_zone() -> None:
    """One for each position, and others a second later."""
    at = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)
    fire = Fire(schedule="nightly", project="p", at=at)
    abroad = Fire(schedule="nightly", project="p", at=at.astimezone(timezone(timedelta(hours=5))))
    later = Fire(schedule="nightly", project="p", at=at + timedelta(seconds=1))

    assert fire.key(1) == abroad.key(1) == "nightly/2026-11-01T01:30:00Z/1"
    assert len({fire.key(1), fire.key(2), later.key(1)}) == 3
