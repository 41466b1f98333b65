"""`qurable kernel` and `qurable features`: matrices over the samples of a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json, Key, Observables, Precision, Project, Seed, Shots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qurable.client import Qurable
    from qurable.matrices import MatrixRun

CircuitFile = Annotated[
    Optional[Path],  # noqa: UP045  typer reads it at run time
    typer.Argument(help="An OpenQASM file with a parameter for each column of the data."),
]
Data = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--data", "-d", help="A CSV file of numbers: a sample on each row, names of columns in the first."
    ),
]
Place = Annotated[
    str, typer.Option("--backend", "-b", help="aer, auto, or a name that `qurable backends` lists.")
]
Output = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--output", help="Write the matrix there, as npz."),
]
Attach = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The id of a matrix that was started before: wait for it."),
]
Rerun = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The id of a matrix that has ended: run again the entries that have no value."),
]
Anew = Annotated[
    bool,
    typer.Option("--anew", help="Run every entry, also those that an earlier matrix of the project has."),
]


def kernel(
    file: CircuitFile = None,
    data: Data = None,
    test: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--test",
            "-t",
            help="A CSV file of samples whose kernel with those of --data is wanted, beside that among them.",
        ),
    ] = None,
    shots: Shots = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Values without shot noise, which simulators alone can give.")
    ] = False,
    backend: Place = "aer",
    seed: Seed = None,
    anew: Anew = False,
    key: Key = None,
    project: Project = "default",
    output: Output = None,
    attach: Attach = None,
    rerun: Rerun = None,
    json: Json = False,
) -> None:
    """Compute the fidelity kernel of samples under a feature map, half of it; starts a local service if none runs."""
    from qurable.errors import RequestRejected

    async def asked(qurable: Qurable) -> MatrixRun:
        from qurable.cli.show_matrices import options, samples

        if exact and shots is not None:
            raise RequestRejected("give --shots or --exact, not both")
        wishes = options(backend, seed, key, project, anew=anew)
        wishes |= {} if shots is None and not exact else {"shots": "exact" if exact else shots}
        return await qurable.kernel(file, samples(data), None if test is None else samples(test), **wishes)

    _run(asked, file, attach, rerun, output, json=json)


def features(
    file: CircuitFile = None,
    data: Data = None,
    observables: Observables = None,
    precision: Precision = None,
    shots: Shots = None,
    backend: Place = "aer",
    seed: Seed = None,
    anew: Anew = False,
    key: Key = None,
    project: Project = "default",
    output: Output = None,
    attach: Attach = None,
    rerun: Rerun = None,
    json: Json = False,
) -> None:
    """Compute expectation values of observables in the states of samples; starts a local service if none runs."""

    async def asked(qurable: Qurable) -> MatrixRun:
        from qurable.cli.show_matrices import options, samples

        wishes = options(backend, seed, key, project, anew=anew)
        wishes |= {"precision": precision, "shots": shots}
        return await qurable.features(file, observables or [], samples(data), **wishes)

    _run(asked, file, attach, rerun, output, json=json)


def _run(
    asked: Callable[[Qurable], Awaitable[MatrixRun]],
    file: Path | None,
    attach: str | None,
    rerun: str | None,
    output: Path | None,
    *,
    json: bool,
) -> None:
    """Start or find a matrix, follow it, print its report and write its file."""
    from qurable.cli import show_matrices as show
    from qurable.cli.service import ANSWERED, FAILED
    from qurable.errors import RequestRejected

    async def started(qurable: Qurable) -> MatrixRun:
        given = {"FILE": file, "--attach": attach, "--rerun": rerun}
        named = [name for name, value in given.items() if value]
        if len(named) != 1:
            raise RequestRejected(
                f"give one of FILE, --attach and --rerun, not {' and '.join(named) or 'none'}"
            )
        if attach is not None:
            return qurable.attach_matrix(attach)
        return await (asked(qurable) if rerun is None else qurable.run_matrix_again(rerun))

    async def command(qurable: Qurable) -> int:
        run: Any = await started(qurable)
        with show.left_behind(run):
            await show.progress(run, quiet=json)
            report = await run.report()
        if output is not None and report.sha256:
            show.save(output, await run.file())
        show.report(report, output if report.sha256 else None, json=json)
        return FAILED if report.missing else ANSWERED

    with_service(command, json=json, start=True)
