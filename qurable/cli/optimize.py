"""`qurable optimize` starts a variational loop; `qurable loop` watches one, and steers it, from any machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Ibm, Json, OwnBudget

if TYPE_CHECKING:
    from qurable.client import Qurable

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Draw the curve until the loop ends.")]


def optimize(
    file: Annotated[
        Path,
        typer.Argument(
            help="A problem: *.edges, *.gset, *.qubo, *.coo, *.tsp, *.lp, *.mps, *.csv, *.parquet, FCIDUMP, or a JSON document "
            "of a problem, a SparsePauliOp, a dimod model or a whole loop."
        ),
    ],
    ansatz: Annotated[
        Optional[str],  # noqa: UP045  typer reads it at run time
        typer.Option(
            help="qaoa, hamiltonian or real_amplitudes, with layers as in qaoa:3, or an OpenQASM file."
        ),
    ] = None,
    optimiser: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="cma_es, spsa, cobyla or nelder_mead; cma_es by default."),
    ] = None,
    shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Of each measured group; exact values without."),
    ] = None,
    seed: Annotated[Optional[int], typer.Option(help="Of everything that is drawn; 0 by default.")] = None,  # noqa: UP045
    evaluations: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="At most so many; 5,000 by default."),
    ] = None,
    tolerance: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="End where the optimiser looks no further than so many radians; 1e-6 by default."),
    ] = None,
    plateau: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="End after so many iterations without a better value."),
    ] = None,
    target: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="End once the best value is as good as this."),
    ] = None,
    deadline: Annotated[Optional[float], typer.Option(help="Seconds in all, after which it ends.")] = None,  # noqa: UP045
    backend: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--backend",
            "-b",
            help="aer by default; anywhere else each iteration is a job, and needs --shots.",
        ),
    ] = None,
    finish: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--finish", help="Explore on --backend, and finish on this one."),
    ] = None,
    finish_shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--finish-shots", help="Of each measured group there."),
    ] = None,
    finish_iterations: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--finish-iterations", help="At most so many there; 10 by default."),
    ] = None,
    finish_after: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--finish-after",
            help="What exploring has to come to: tolerance (the default), plateau, or a number of iterations.",
        ),
    ] = None,
    ibm: Ibm = None,
    budget: OwnBudget = None,
    form: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--format", help="Of the file, where its name does not tell."),
    ] = None,
    index_base: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0, max=1, help="What the file calls its first node or variable; what its format says."
        ),
    ] = None,
    table: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="What the numbers of a CSV or Parquet table are, maxcut or qubo; what its columns say."
        ),
    ] = None,
    mapping: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="How the modes of a FCIDUMP become qubits, jordan_wigner or parity; jordan_wigner by default."
        ),
    ] = None,
    objective: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A registered objective, which is told the expectation values."),
    ] = None,
    objective_data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="JSON object that the objective is given."),
    ] = None,
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Idempotency key: the same key is the same loop."),
    ] = None,
    project: Annotated[str, typer.Option(help="Public slug of letters, digits and dashes.")] = "default",
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Find the parameters of a circuit at which a problem's value is best; starts a local service if none runs."""
    from qurable.cli import loop_places as places
    from qurable.cli import show_loops as show

    async def command(qurable: Qurable) -> int:
        wanted = show.read_loop(
            file,
            ansatz,
            form,
            index_base,
            table,
            mapping,
            {
                **show.wishes(
                    optimiser, shots, seed, evaluations, tolerance, plateau, target, deadline, key, project
                ),
                **places.wishes(backend, finish, finish_shots, finish_iterations, finish_after, ibm, budget),
                **show.read_objective(objective, objective_data),
            },
        )
        loop = await qurable.optimise(*wanted[:2], **wanted[2])
        with show.left_behind(loop):
            if follow and not json:
                await show.follow(loop)
            report = await loop.report()
        show.report(report, json=json)
        return 0

    with_service(command, json=json, start=True)


def loop(
    loop_id: Annotated[str, typer.Argument(help="A loop's id, as `optimize` prints it.")],
    follow: Follow = False,
    stop: Annotated[bool, typer.Option("--stop", help="End it now, with the best so far.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Have it wait.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Have it go on.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give it up.")] = False,
    shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Of all iterations from now on."),
    ] = None,
    switch: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--switch",
            metavar="BACKEND",
            help="Where all iterations from now on are evaluated; one that failed is run again there.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show where a variational loop stands, or steer it; a change takes effect about a second later, or after the job that runs."""
    from qurable.cli import show_loops as show

    async def command(qurable: Qurable) -> int:
        found = qurable.attach_loop(loop_id)
        steering = show.read_steering(stop=stop, pause=pause, resume=resume, shots=shots, switch=switch)
        if cancel:
            await found.cancel()
        elif steering is not None:
            await found.steer(steering)
        if follow and not json:
            await show.follow(found)
            show.report(await found.report(), json=False)
            return 0
        show.status(await found.status(), json=json)
        return 0

    with_service(command, json=json, start=False)
