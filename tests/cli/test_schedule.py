"""`qurable schedule`: what is said to make one, what is shown, and what is refused."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from qurable.cli.options import Wishes
from qurable.cli.schedules import ScheduleWords, read_moment, read_schedule
from qurable.contracts.schedules import HookInput, QueryInput, ScheduleStatus
from qurable.errors import RequestRejected
from qurable.requests import AnyJob
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Stack


def _read(*files: Path, wishes: Wishes | None = None, **words: Any) -> tuple[Any, list[AnyJob]]:
    said: dict[str, Any] = {
        "name": "nightly",
        "files": files,
        "cron": ["0 2 * * *"],
        "calendars": [],
        "zone": "Europe/Vienna",
        "overlap": "skip",
        "catch_up": "1h",
        "jitter": "0s",
        "start": None,
        "end": None,
        "hook": None,
        "again": [],
        "within": None,
        "label": None,
        "export": "",
        "note": "",
    }
    return read_schedule(ScheduleWords(**{**said, **words}), wishes or Wishes())


@pytest.fixture
def bell(tmp_path: Path) -> Path:
    file = tmp_path / "bell.qasm"
    file.write_text(BELL)
    return file


def test_files_are_jobs_of_the_schedules_project(bell: Path) -> None:
    """With the options that `qurable run` has."""
    spec, jobs = _read(bell, bell, wishes=Wishes(shots=7, project="chemistry"), catch_up="10min")

    assert [job.project for job in jobs] == ["chemistry"] * 2
    assert (spec.project, spec.catch_up) == ("chemistry", timedelta(minutes=10))


def test_moments_are_meant_in_the_time_zone_of_the_schedule(bell: Path) -> None:
    """Unless they name their own."""
    spec, _ = _read(
        bell, start="2027-07-01", end="2027-12-01T12:00+05:00", calendars=["hour=3 month=jan-jun"]
    )

    assert spec.start.isoformat() == "2027-07-01T00:00:00+02:00"
    assert spec.end.isoformat() == "2027-12-01T12:00:00+05:00"
    assert spec.calendars[0].cron == "0 0 3 * jan-jun * *"
    assert read_moment("--from", "2026-11-01T02:00", "UTC").isoformat() == "2026-11-01T02:00:00+00:00"


def test_a_hook_or_a_query_takes_the_place_of_files() -> None:
    """Both belong to the project that is said."""
    hooked, _ = _read(hook="tonight@nightly", wishes=Wishes(project="chemistry"))
    again, jobs = _read(again=["failed", "cancelled"], within="7d", label="study=one")

    assert isinstance(hooked.input, HookInput)
    assert (hooked.input.hook.activity, hooked.input.hook.task_queue) == ("tonight", "nightly")
    assert hooked.project == "chemistry"
    assert isinstance(again.input, QueryInput)
    assert (again.input.within, again.input.label) == (timedelta(days=7), "study=one")
    assert jobs == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, "give one of FILE, --hook and --again, not none"),
        ({"hook": "a@b", "again": ["failed"]}, "not --hook and --again"),
        ({"hook": "tonight"}, "is not ACTIVITY@QUEUE"),
        ({"hook": "a@b", "wishes": Wishes(shots=5)}, "options of a job belong to a FILE"),
        ({"hook": "a@b", "wishes": Wishes(key="k")}, "--key is one job's"),
        ({"again": ["broken"]}, "Input should be"),
        ({"again": ["failed"], "overlap": "sometimes"}, "overlap: Input should be"),
        ({"again": ["failed"], "catch_up": "soon"}, "catch_up: "),
        ({"again": ["failed"], "calendars": ["2:00"]}, "'2:00' is no field; write name=value with second"),
        ({"again": ["failed"], "start": "tomorrow"}, "--start 'tomorrow' is no moment"),
        (
            {"again": ["failed"], "start": "2027-01-01", "zone": "Mars/Base"},
            "there is no time zone 'Mars/Base'",
        ),
        ({"again": ["failed"], "export": "../x.csv"}, "export: String should match"),
    ],
)
def test_words_that_make_no_schedule_are_refused(words: dict[str, Any], why: str) -> None:
    """Naming the option, before the service is looked for."""
    with pytest.raises(RequestRejected, match=why):
        _read(**words)


@pytest.mark.long
async def test_a_schedule_from_a_shell(stack: Stack, bell: Path) -> None:
    """Made, shown, fired, backfilled, paused, resumed and taken away; programs read the same as JSON."""
    make = ["schedule", "create", "nightly", str(bell), "--cron", "0 12 * * *", "--zone", "Europe/Vienna"]
    wishes = ["--backend", "aer", "--shots", "10", "--export", "nightly.csv", "--note", "every noon"]
    span = ["--from", "2026-11-01", "--to", "2026-11-02T23:00"]
    async with stack() as service:
        made = await qurable(service, *make, *wishes, "--json")
        ran = await qurable(service, "schedule", "run", "nightly")
        refused = await qurable(service, *make[:-1], "Europe/Viena", "--json")
        replaced = await qurable(service, *make, *wishes, "--jitter", "1s", "--replace", "--json")
        filled = await qurable(service, "schedule", "backfill", "nightly", *span)
        paused = await qurable(service, "schedule", "pause", "nightly", "--reason", "calibration", "--json")
        listed = await qurable(service, "schedule", "list")
        resumed = await qurable(service, "schedule", "resume", "nightly")
        gone = await qurable(service, "schedule", "delete", "nightly", "--json")
        missing = await qurable(service, "schedule", "show", "nightly", "--json")

    assert made.code == 0, made.err
    assert ScheduleStatus.model_validate(made.document).note == "every noon"
    assert ran.code == 0, ran.err
    assert (refused.code, json.loads(refused.out)["error"]["code"]) == (2, "ScheduleRefused")
    assert "did you mean Europe/Vienna" in refused.err
    assert replaced.document["spec"]["jitter"] == "PT1S"
    assert filled.code == 0, filled.err
    assert "0 12 * * *" in filled.out
    assert paused.document["paused"] is True
    assert "every noon · paused: calibration" in listed.out
    assert "next: " in resumed.out
    assert gone.document == {"name": "nightly", "deleted": True}
    assert (missing.code, missing.document["error"]["code"]) == (4, "ScheduleNotFound")
