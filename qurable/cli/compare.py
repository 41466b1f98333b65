"""`qurable compare` asks several places the same; `qurable hedge` keeps the first good answer of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json, Wishes, with_wishes

if TYPE_CHECKING:
    from qurable.client import Qurable
    from qurable.comparing import Comparison

MaybeFile = Annotated[
    Optional[Path],  # noqa: UP045  typer reads it at run time
    typer.Argument(
        help="An OpenQASM 2 or 3 file, a job or a problem as JSON, a program as *.lp or *.mps, or - for OpenQASM from standard input."
    ),
]
Attach = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The id of one that was started before: wait for it."),
]
WithFallback = Annotated[
    bool,
    typer.Option(
        "--with-fallback",
        help="Let others stand in for a place that does not answer; its row is its error else.",
    ),
]


@with_wishes
def compare(
    wishes: Wishes,
    file: MaybeFile = None,
    on: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Places, with commas between them; may be repeated."),
    ] = None,
    decide: Annotated[
        str,
        typer.Option(
            help="best_objective, majority, fidelity_weighted, first_good, or one that a package registers."
        ),
    ] = "auto",
    classical: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--classical/--no-classical",
            help="Ask the classical solver that suits best, too; for problems by default.",
        ),
    ] = None,
    with_fallback: WithFallback = False,
    attach: Attach = None,
    json: Json = False,
) -> None:
    """Run the same at several places and show the answers side by side; starts a local service if none runs."""
    fields: dict[str, Any] = {"decide": decide, "classical": classical, "fallback": with_fallback}
    _run(file, on, wishes, fields, attach, json=json)


@with_wishes
def hedge(
    wishes: Wishes,
    file: MaybeFile = None,
    on: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Places in the order in which they are asked, with commas between them; may be repeated."
        ),
    ] = None,
    after: Annotated[
        str, typer.Option(help="How long a place has before the next one is asked too, such as 30s or 5min.")
    ] = "30s",
    with_fallback: WithFallback = False,
    attach: Attach = None,
    json: Json = False,
) -> None:
    """Run at one place, and at the next too where that takes long; keep the first good answer and withdraw the others."""
    _run(file, on, wishes, {"after": after, "fallback": with_fallback}, attach, json=json)


def _run(
    file: Path | None,
    on: list[str] | None,
    wishes: Wishes,
    fields: dict[str, Any],
    attach: str | None,
    *,
    json: bool,
) -> None:
    from qurable.cli import show_comparisons as show
    from qurable.cli.service import ANSWERED, said

    with said(json=json):
        asked = show.read_comparison(file, on, wishes, fields, attach)

    async def started(qurable: Qurable) -> Comparison:
        if asked is None:
            return qurable.attach_comparison(attach or "")
        return await qurable.start_comparison(asked)

    async def command(qurable: Qurable) -> int:
        comparison = await started(qurable)
        with show.left_behind(comparison):
            await show.progress(comparison, quiet=json)
            report = await show.ended(comparison, quiet=json)
            answer = await comparison.answer() if report.hedged else None
        show.report(report, answer, json=json)
        return ANSWERED

    with_service(command, json=json, start=True)
