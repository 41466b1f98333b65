"""`qurable cut`: estimate a circuit that is wider than the backend, in fragments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json, Wishes, with_wishes

if TYPE_CHECKING:
    from qurable.client import Qurable
    from qurable.cutting import Cut


@with_wishes
def cut(
    wishes: Wishes,
    file: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it at run time
        typer.Argument(help="An OpenQASM 2 or 3 file, or an estimation job as JSON."),
    ] = None,
    marginal: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--marginal",
            "-m",
            help="Joint probabilities of these qubits, as 0,3: the first is the rightmost character of an outcome; may be repeated.",
        ),
    ] = None,
    qubits: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Widest fragment; the width of the backend by default."),
    ] = None,
    max_overhead: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Most sampling overhead, of which a CX that is cut is a factor of 9, a wire one of 16; 1000 by default."
        ),
    ] = None,
    gates: Annotated[bool, typer.Option(help="Whether gates may be cut.")] = True,
    wires: Annotated[bool, typer.Option(help="Whether wires may be cut.")] = True,
    price: Annotated[
        bool, typer.Option("--price", help="Show the cuts and what they take, and run nothing.")
    ] = False,
    attach: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The id of a cut that was started before: wait for it."),
    ] = None,
    rerun: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="The id of a cut that ended without an answer: run again the fragments that have none."
        ),
    ] = None,
    cancel: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The id of a cut: give it up, and the jobs of its fragments."),
    ] = None,
    json: Json = False,
) -> None:
    """Estimate a circuit that is wider than a backend, in fragments; starts a local service if none runs."""
    from qurable.cli import show_cut as show
    from qurable.cli.service import said
    from qurable.errors import RequestRejected

    wanted = {"FILE": file, "--attach": attach, "--rerun": rerun, "--cancel": cancel}
    given = [name for name, value in wanted.items() if value]
    with said(json=json):
        if len(given) != 1:
            raise RequestRejected(
                f"give one of FILE, --attach, --rerun and --cancel, not {' and '.join(given) or 'none'}"
            )
        options = {"qubits": qubits, "max_overhead": max_overhead, "gates": gates, "wires": wires}
        asked = None if file is None else show.read_cut(file, wishes, marginal or [], options)

    async def command(qurable: Qurable) -> int:
        if cancel is not None:
            found = qurable.attach_cut(cancel)
            await found.cancel()
            show.status(await found.status(), json=json)
        elif asked is not None and price:
            show.price(await qurable.price_cut(asked), json=json)
        else:
            started = await _started(qurable)
            with show.left_behind(started):
                report = await started.report()
            show.report(report, json=json)
        return 0

    async def _started(qurable: Qurable) -> Cut:
        if attach is not None:
            return qurable.attach_cut(attach)
        if rerun is not None:
            return await qurable.run_cut_again(rerun)
        return await qurable.cut(asked)

    with_service(command, json=json, start=True)
