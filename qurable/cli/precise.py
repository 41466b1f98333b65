"""`qurable precise` estimates to a precision at a price, or goes on watching what was started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json

if TYPE_CHECKING:
    from qurable.client import Qurable


def precise(
    work: Annotated[str, typer.Argument(help="An OpenQASM file, or the id of one that was started.")],
    observable: Annotated[
        Optional[str],  # noqa: UP045  typer reads it at run time
        typer.Option(
            "--observable",
            "-o",
            help='A Pauli label, or a JSON sum such as {"ZZ": 1, "XI": 0.5}; rightmost letter on qubit 0.',
        ),
    ] = None,
    precision: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Standard error to reach, in the observable's unit."),
    ] = None,
    max_price: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Most money for all rounds."),
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the money, such as USD.")] = "",
    max_qpu_seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Most QPU seconds for all rounds."),
    ] = None,
    max_shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Most shots over all groups and rounds; 10,000,000 by default."),
    ] = None,
    parameter: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--parameter", "-p", help="A parameter's value as name=value; may be repeated."),
    ] = None,
    backend: Annotated[str, typer.Option(help="Where all rounds run.")] = "auto",
    seed: Annotated[Optional[int], typer.Option(help="Of simulations.")] = None,  # noqa: UP045
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Idempotency key: the same key is the same estimate, and pays no round twice."),
    ] = None,
    project: Annotated[str, typer.Option(help="Public slug of letters, digits and dashes.")] = "default",
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the one with this id.")] = False,
    json: Json = False,
) -> None:
    """Estimate an observable to a precision, in rounds of jobs, for no more than is allowed; starts a local service if none runs."""
    from qurable.cli import show_precise as show
    from qurable.cli.service import said

    wanted = {
        "precision": precision,
        "max_price": max_price,
        "currency": currency,
        "max_qpu_seconds": max_qpu_seconds,
        "max_shots": max_shots,
        "backend": backend,
        "seed": seed,
        "key": key,
        "project": project,
    }

    known = show.is_id(work)
    with said(json=json):
        show.refuse_strange(work, {**wanted, "observable": observable, "parameter": parameter}, cancel=cancel)
        circuit, values = (None, None) if known else show.read(Path(work), observable, parameter)
        asked = None if known else show.read_observable(observable)

    async def command(qurable: Qurable) -> int:
        if known:
            found = qurable.attach_precise(work)
            if cancel:
                await found.cancel()
                show.stopping(await found.progress(), json=json)
                return 0
        else:
            found = await qurable.start_precise(circuit, asked, values, **show.said(wanted))
        with show.left_behind(found):
            report = await found.report()
        show.report(report, json=json)
        return 0

    with_service(command, json=json, start=not known)
