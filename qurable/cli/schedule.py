"""`qurable schedule`: jobs that start again and again, by a calendar, while nobody is logged in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json, Wishes, with_wishes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qurable.client import Qurable
    from qurable.contracts.schedules import ScheduleStatus

schedule = typer.Typer(
    name="schedule",
    help="Start jobs again and again: at moments of a calendar, with a policy for overlaps and for what was missed.",
    epilog="example: qurable schedule list --json",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Of the schedule: lower case letters, digits and dashes.")]


@schedule.command(
    epilog='example: qurable schedule create nightly maxcut.json --cron "0 2 * * *" --zone Europe/Vienna --export nightly.csv'
)
@with_wishes
def create(
    name: Name,
    wishes: Wishes,
    files: Annotated[
        Optional[list[Path]],  # noqa: UP045  typer reads it at run time
        typer.Argument(help="Each a job, as `qurable run` takes it; none with --hook or --again."),
    ] = None,
    cron: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help='A line of cron, such as "0 2 * * mon-fri"; every field has to match. May be repeated.'
        ),
    ] = None,
    calendar: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help='Moments by their fields, such as "hour=2 day_of_month=1,15 month=jan-jun"; may be repeated.'
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Time zone that they are meant in, such as Europe/Vienna.")
    ] = "UTC",
    overlap: Annotated[
        str,
        typer.Option(
            help="What becomes of a fire while the one before it runs: skip, buffer_one, buffer_all, cancel_other, allow_all."
        ),
    ] = "skip",
    catch_up: Annotated[
        str, typer.Option(help="A fire that was missed is made up for within this, such as 1h.")
    ] = "1h",
    jitter: Annotated[str, typer.Option(help="Delay each fire by a random time up to this.")] = "0s",
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Fire at no time before this, such as 2027-01-01; in the schedule's time zone."),
    ] = None,
    end: Annotated[Optional[str], typer.Option(help="Fire at no time after this.")] = None,  # noqa: UP045
    hook: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="ACTIVITY@QUEUE: a registered activity that is told of each fire and returns the jobs to run."
        ),
    ] = None,
    again: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Run jobs of the project again that ended so, such as failed; may be repeated."),
    ] = None,
    within: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --again: that were accepted so long before the fire at most; 1d by default."),
    ] = None,
    label: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --again: with this mark, as name=value."),
    ] = None,
    export: Annotated[
        str,
        typer.Option(
            help="CSV or Parquet file below the folder of exports; every fire adds a row for each of its jobs."
        ),
    ] = "",
    note: Annotated[str, typer.Option(help="For people; the web UI shows it.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the one of its name.")
    ] = False,
    json: Json = False,
) -> None:
    """Create a schedule; every fire starts its jobs as `qurable submit` would, each moment under a key of its own."""
    from qurable.cli.schedules import ScheduleWords, read_schedule
    from qurable.cli.service import said

    with said(json=json):
        spec, jobs = read_schedule(
            ScheduleWords(
                name=name,
                files=files or [],
                cron=cron or [],
                calendars=calendar or [],
                zone=zone,
                overlap=overlap,
                catch_up=catch_up,
                jitter=jitter,
                start=start,
                end=end,
                hook=hook,
                again=again or [],
                within=within,
                label=label,
                export=export,
                note=note,
            ),
            wishes,
        )

    def put(qurable: Qurable) -> Awaitable[ScheduleStatus]:
        verb = qurable.schedules.update if replace else qurable.schedules.create
        return verb(spec, jobs)

    _tell(put, json=json)


@schedule.command("list", epilog="example: qurable schedule list --project chemistry")
def list_schedules(
    project: Annotated[Optional[str], typer.Option(help="Of this project alone.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """List the schedules with the next moments at which they fire."""
    from qurable.cli import show_schedules as show

    async def command(qurable: Qurable) -> int:
        show.schedules(await qurable.schedules.list(project=project), json=json)
        return 0

    with_service(command, json=json)


@schedule.command(epilog="example: qurable schedule show nightly")
def show(name: Name, json: Json = False) -> None:
    """Show when a schedule fires next, what it has started, and what was skipped or missed."""
    _tell(lambda qurable: qurable.schedules.describe(name), json=json)


@schedule.command(epilog="example: qurable schedule pause nightly --reason calibration")
def pause(
    name: Name, reason: Annotated[str, typer.Option(help="For whoever looks at it.")] = "", json: Json = False
) -> None:
    """Have a schedule fire at no time until it is resumed; what runs goes on."""
    _tell(lambda qurable: qurable.schedules.pause(name, reason=reason), json=json)


@schedule.command(epilog="example: qurable schedule resume nightly")
def resume(name: Name, json: Json = False) -> None:
    """Have a paused schedule fire again from now on; what was due meanwhile is left out, see `backfill`."""
    _tell(lambda qurable: qurable.schedules.resume(name), json=json)


@schedule.command(epilog="example: qurable schedule run nightly")
def run(name: Name, json: Json = False) -> None:
    """Fire now, besides the moments of the calendar; also where the schedule is paused."""
    _tell(lambda qurable: qurable.schedules.trigger(name), json=json)


@schedule.command(epilog="example: qurable schedule backfill nightly --from 2026-11-01 --to 2026-11-04T12:00")
def backfill(
    name: Name,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="First moment, included, such as 2026-11-01T02:00; in the schedule's time zone."
        ),
    ],
    end: Annotated[str, typer.Option("--to", help="Last moment, included.")],
    json: Json = False,
) -> None:
    """Fire for the moments of a span, one after the other; one that has fired before gives the same jobs, paid once."""
    from qurable.cli.schedules import read_moment

    async def fired(qurable: Qurable) -> ScheduleStatus:
        zone = (await qurable.schedules.describe(name)).spec.zone
        span = read_moment("--from", start, zone), read_moment("--to", end, zone)
        return await qurable.schedules.backfill(name, *span)

    _tell(fired, json=json)


@schedule.command(epilog="example: qurable schedule delete nightly")
def delete(name: Name, json: Json = False) -> None:
    """Take a schedule away; what runs goes on, and its jobs and exports stay."""

    async def command(qurable: Qurable) -> int:
        from qurable.cli import show_schedules as show

        await qurable.schedules.delete(name)
        show.deleted(name, json=json)
        return 0

    with_service(command, json=json)


def _tell(verb: Callable[[Qurable], Awaitable[ScheduleStatus]], *, json: bool) -> None:
    """Do something with a schedule, and show how it stands then."""
    from qurable.cli import show_schedules

    async def command(qurable: Qurable) -> int:
        show_schedules.schedule(await verb(qurable), json=json)
        return 0

    with_service(command, json=json)
