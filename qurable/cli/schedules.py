"""From the words of `qurable schedule create` to a schedule and its jobs."""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.contracts.base import explain
from qurable.contracts.schedules import Calendar, ScheduleSpec
from qurable.errors import RequestRejected
from qurable.requests import AnyJob


@dataclass(frozen=True, kw_only=True)
class ScheduleWords:
    """What a command line says of a schedule."""

    name: str
    files: Sequence[Path]
    cron: Sequence[str]
    calendars: Sequence[str]
    zone: str
    overlap: str
    catch_up: str
    jitter: str
    start: str | None
    end: str | None
    hook: str | None
    again: Sequence[str]
    within: str | None
    label: str | None
    export: str
    note: str


def read_schedule(words: ScheduleWords, wishes: Wishes) -> tuple[ScheduleSpec, list[AnyJob]]:
    """A schedule, and its jobs where it is given any.

    Raises:
        RequestRejected: Naming the option.
    """
    if wishes.key is not None:
        raise RequestRejected(
            "--key is one job's, and every fire of a schedule has jobs of its own: leave it out"
        )
    jobs = [read_job(file, wishes) for file in words.files]
    given = _given(words, wishes)
    try:
        spec = ScheduleSpec.model_validate(
            {
                "name": words.name,
                "project": jobs[0].project if jobs else wishes.project or "default",
                "cron": list(words.cron),
                "calendars": [_calendar(word) for word in words.calendars],
                "zone": words.zone,
                "overlap": words.overlap,
                "catch_up": words.catch_up,
                "jitter": words.jitter,
                "start": words.start and read_moment("--start", words.start, words.zone),
                "end": words.end and read_moment("--end", words.end, words.zone),
                "export": words.export,
                "note": words.note,
                **given,
            }
        )
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the schedule")) from None
    return spec, jobs


def _given(words: ScheduleWords, wishes: Wishes) -> dict[str, Any]:
    """What is run: files, what a hook returns, or jobs of the store."""
    ways = [
        option
        for option, said in (("FILE", words.files), ("--hook", words.hook), ("--again", words.again))
        if said
    ]
    if len(ways) != 1:
        raise RequestRejected(
            f"a schedule runs files, what a hook returns, or jobs again: give one of FILE, --hook and --again, not {' and '.join(ways) or 'none'}"
        )
    if words.files:
        return {}
    if wishes != Wishes(project=wishes.project):
        raise RequestRejected(
            f"options of a job belong to a FILE: with {ways[0]}, only --project can be said"
        )
    if words.hook:
        activity, at, queue = words.hook.partition("@")
        if not (activity and at and queue):
            raise RequestRejected(
                f"--hook {words.hook!r} is not ACTIVITY@QUEUE: name the activity and its task queue"
            )
        return {"input": {"kind": "hook", "hook": {"activity": activity, "task_queue": queue}}}
    chosen = {"within": words.within, "label": words.label}
    return {
        "input": {
            "kind": "query",
            "states": list(words.again),
            **{name: value for name, value in chosen.items() if value is not None},
        }
    }


def _calendar(words: str) -> dict[str, str]:
    """Fields such as `hour=2 day_of_week=mon-fri`."""
    fields = {}
    for word in words.split():
        name, equals, value = word.partition("=")
        if not equals or name not in Calendar.model_fields:
            raise RequestRejected(
                f"--calendar {words!r}: {word!r} is no field; write name=value with {', '.join(Calendar.model_fields)}"
            )
        fields[name] = value
    return fields


def read_moment(option: str, text: str, zone: str) -> datetime:
    """A moment as ISO 8601 writes it, in this time zone unless it names its own.

    Raises:
        RequestRejected: It is none, or the time zone is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestRejected(
            f"{option} {text!r} is no moment: write 2026-11-01 or 2026-11-01T02:00"
        ) from None
    if moment.tzinfo is not None:
        return moment
    try:
        return moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise RequestRejected(f"there is no time zone {zone!r}; names are like Europe/Vienna") from None
