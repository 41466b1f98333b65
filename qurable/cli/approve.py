"""`qurable approve`: which jobs wait for somebody's word, and give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json

if TYPE_CHECKING:
    from qurable.client import Qurable


def approve(
    job_id: Annotated[
        Optional[str],  # noqa: UP045  typer reads it at run time
        typer.Argument(help="A job's id; without one, list the jobs that wait."),
    ] = None,
    name: Annotated[
        Optional[str], typer.Option("--as", help="Who decides: a slug, which nobody checks.")  # noqa: UP045
    ] = None,
    reason: Annotated[Optional[str], typer.Option(help="Why, for the record.")] = None,  # noqa: UP045
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse instead of approving.")] = False,
    cap: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="The most it may cost, in the unit that is shown; by default what is shown."),
    ] = None,
    route: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The plan that is decided about, as listed; by default the one that waits now."),
    ] = None,
    json: Json = False,
) -> None:
    """Approve of a job that waits, or refuse it; without an id, list what waits, with what it costs."""
    from qurable.cli import show_approvals as show
    from qurable.errors import RequestRejected

    async def command(qurable: Qurable) -> int:
        if job_id is None:
            if name or reason or refuse or cap is not None or route:
                raise RequestRejected("a decision is about one job: name its id, or leave the options out")
            show.waiting(await qurable.approvals(), json=json)
            return 0
        if name is None or reason is None:
            raise RequestRejected("say who decides and why: --as NAME --reason TEXT")
        if refuse and cap is not None:
            raise RequestRejected("--cap goes with an approval, not with --refuse")
        words: dict[str, Any] = {"by": name, "reason": reason, "route": route or "", "via": "cli"}
        decided = qurable.refuse(job_id, **words) if refuse else qurable.approve(job_id, cap=cap, **words)
        show.decision(job_id, await decided, json=json)
        return 0

    with_service(command, json=json)
