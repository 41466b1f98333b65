"""What `qurable schedule` prints."""

import zoneinfo
from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from qurable.cli.printing import out, print_json, print_table
from qurable.contracts.schedules import HookInput, JobsInput, ScheduleEntry, ScheduleSpec, ScheduleStatus

_NEXT = 3
_RECENT = 5


def schedules(found: Sequence[ScheduleEntry], *, json: bool) -> None:
    """Every schedule on a line."""
    if json:
        print_json([entry.model_dump(mode="json") for entry in found])
        return
    if not found:
        out.print("no schedules; make one with `qurable schedule create`")
        return
    table = Table("schedule", "project", "next (UTC)", "last (UTC)", "note", box=None)
    for entry in found:
        coming = "paused" if entry.paused else _written(entry.next[0]) if entry.next else "never again"
        last = _written(entry.last.at) if entry.last else ""
        table.add_row(entry.name, entry.project, coming, last, entry.note)
    print_table(table)


def schedule(status: ScheduleStatus, *, json: bool) -> None:
    """When one fires, in its own time zone, and how its fires went."""
    if json:
        print_json(status.model_dump(mode="json"))
        return
    spec = status.spec
    zone = zoneinfo.ZoneInfo(spec.zone)
    out.print(f"{status.name} ({status.project}){': ' if status.note else ''}{status.note}")
    out.print(f"  runs {_what(spec)}{f', adds rows to {spec.export}' if spec.export else ''}")
    lines = [*spec.cron, *(calendar.cron for calendar in spec.calendars)]
    out.print(f"  at {' and '.join(map(repr, lines))}, {spec.zone}; overlap {spec.overlap}")
    out.print(f"  makes up for what it missed within {spec.catch_up}; jitter {spec.jitter}")
    out.print("  paused" if status.paused else f"  next: {_moments(status.next[:_NEXT], zone)}")
    out.print(f"  fired {status.fired}, skipped {status.skipped} for overlap, missed {status.missed}")
    if status.running:
        out.print(f"  running: {', '.join(status.running)}")
    if status.recent:
        table = Table("run", f"for ({spec.zone})", "started", box=None)
        for run in status.recent[:_RECENT]:
            table.add_row(run.id, _written(run.at.astimezone(zone)), _written(run.started.astimezone(zone)))
        print_table(table)


def deleted(name: str, *, json: bool) -> None:
    """That it is gone."""
    if json:
        print_json({"name": name, "deleted": True})
        return
    out.print(f"schedule {name} is deleted; what runs goes on")


def _what(spec: ScheduleSpec) -> str:
    match spec.input:
        case JobsInput(count=count):
            return f"{count} job{'s' * (count != 1)}"
        case HookInput(hook=hook):
            return f"what {hook.activity} on {hook.task_queue} returns"
        case query:
            marked = f" marked {query.label}" if query.label else ""
            return f"jobs again that are {' or '.join(query.states)}{marked}, accepted within {query.within}"


def _moments(moments: Sequence[datetime], zone: zoneinfo.ZoneInfo) -> str:
    return ", ".join(_written(moment.astimezone(zone)) for moment in moments) or "never again"


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
