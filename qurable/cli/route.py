"""`qurable route`: where a job would run, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qurable.cli.command import with_service
from qurable.cli.options import File, Json, Wishes, with_wishes

if TYPE_CHECKING:
    from qurable.client import Qurable


@with_wishes
def route(file: File, wishes: Wishes, json: Json = False) -> None:
    """Show where a job would run, what it would take there, and what was thought of every other place; nothing runs."""
    from qurable.cli import show_route
    from qurable.cli.jobs import read_job
    from qurable.cli.service import REFUSED, said

    with said(json=json):
        job = read_job(file, wishes)

    async def command(qurable: Qurable) -> int:
        found = await qurable.route(job)
        show_route.plan(found, json=json)
        return 0 if found.rungs else REFUSED

    with_service(command, json=json, start=True)
