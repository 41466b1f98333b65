"""`qurable batch`: any number of jobs from a file of JSON lines."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json, Key, Project

if TYPE_CHECKING:
    from qurable.batches import Batch
    from qurable.client import Qurable


class OnError(StrEnum):
    """What becomes of a batch with a broken line."""

    STOP = "stop"
    GO_ON = "go-on"


def batch(
    file: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it at run time
        typer.Argument(help="A file with a job as JSON on each line."),
    ] = None,
    key: Key = None,
    project: Project = "default",
    on_error: Annotated[
        OnError,
        typer.Option(help="Where a line is broken: run nothing, or go on without it."),
    ] = OnError.STOP,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print each item as it ends, a JSON document on each line.")
    ] = False,
    attach: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The id of a batch that was started before: wait for it."),
    ] = None,
    rerun: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The id of a batch that has ended: run again what has no answer."),
    ] = None,
    json: Json = False,
) -> None:
    """Run every line of a file as a job, those that differ in values alone together; starts a local service if none runs."""
    from qurable.cli import show_batch as show
    from qurable.cli.service import ANSWERED, FAILED
    from qurable.errors import RequestRejected

    async def command(qurable: Qurable) -> int:
        started = await _started(qurable)
        with show.left_behind(started):
            await show.progress(started, follow=follow, quiet=json)
            report = await started.report()
        show.report(report, json=json, follow=follow)
        return ANSWERED if report.all_answered else FAILED

    async def _started(qurable: Qurable) -> Batch:
        given = [name for name, value in (("FILE", file), ("--attach", attach), ("--rerun", rerun)) if value]
        if len(given) != 1:
            raise RequestRejected(
                f"give one of FILE, --attach and --rerun, not {' and '.join(given) or 'none'}"
            )
        if attach is not None:
            return qurable.attach_batch(attach)
        if rerun is not None:
            return await qurable.run_batch_again(rerun)
        return await qurable.batch(file, key=key, project=project, on_error=on_error.value)

    with_service(command, json=json, start=True)
