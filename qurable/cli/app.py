"""The commands. `--help` imports none of Temporal, pydantic or Qiskit; each command imports what it needs.

Exit codes: 0 answered, 2 bad usage or input refused, 3 degraded and `--strict` was given, 4 failed, 5 the service
cannot be reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qurable.client import Qurable
    from qurable.contracts.results import Results

app = typer.Typer(
    name="qurable",
    help="Durable workflows for hybrid quantum-classical jobs.",
    epilog="example: qurable run bell.qasm --shots 1000 --backend aer",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
JobId = Annotated[str, typer.Argument(help="A job's id, as `run`, `submit` and `list` print it.")]
File = Annotated[
    Path, typer.Argument(help="An OpenQASM 2 or 3 file, a job as JSON, or - for standard input.")
]
Shots = Annotated[Optional[int], typer.Option(help="Repetitions; 1024 by default.")]  # noqa: UP045  typer reads it at run time
Seed = Annotated[Optional[int], typer.Option(help="Base seed of the simulation; minted if absent.")]  # noqa: UP045
Backend = Annotated[
    str, typer.Option("--backend", "-b", help="auto, or a name that `qurable backends` lists.")
]
Observables = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--observable", "-o", help="Estimate this Pauli label instead of sampling; may be repeated."
    ),
]
Precision = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Target standard error of estimates; 0 for the exact value."),
]
Parameters = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--parameter", "-p", help="A value for a parameter, as name=number; may be repeated."),
]
Key = Annotated[Optional[str], typer.Option(help="Idempotency key: the same key is the same job.")]  # noqa: UP045
Project = Annotated[str, typer.Option(help="Public slug of letters, digits and dashes.")]
Deadline = Annotated[Optional[float], typer.Option(help="Seconds in all, after which the job is given up.")]  # noqa: UP045
Level = Annotated[Optional[int], typer.Option(min=0, max=3, help="Optimisation level of the transpiler.")]  # noqa: UP045
Method = Annotated[Optional[str], typer.Option(help="Simulation method; automatic by default.")]  # noqa: UP045
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 where a lower rung than asked answered.")]


def _job(
    file: Path,
    shots: int | None,
    seed: int | None,
    backend: str,
    observables: list[str] | None,
    precision: float | None,
    parameters: list[str] | None,
    key: str | None,
    project: str,
    deadline: float | None,
    level: int | None,
    method: str | None,
) -> Any:
    """The job that a command line describes."""
    from qurable.cli.jobs import Wishes, read_job

    return read_job(
        file,
        Wishes(
            shots,
            seed,
            backend,
            observables or [],
            precision,
            parameters or [],
            key,
            project,
            deadline,
            level,
            method,
        ),
    )


@app.command(epilog="example: qurable run bell.qasm --shots 1000 --seed 7 --backend aer --json")
def run(
    file: File,
    shots: Shots = None,
    seed: Seed = None,
    backend: Backend = "auto",
    observable: Observables = None,
    precision: Precision = None,
    parameter: Parameters = None,
    key: Key = None,
    project: Project = "default",
    deadline: Deadline = None,
    level: Level = None,
    method: Method = None,
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Run a job and print its report; starts a local service if none runs."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        wishes = _job(
            file,
            shots,
            seed,
            backend,
            observable,
            precision,
            parameter,
            key,
            project,
            deadline,
            level,
            method,
        )
        job = await qurable.submit(wishes)
        with show.left_behind(job):
            await show.progress(job, quiet=json)
            report = await job.result()
        show.report(report, json=json)
        return 3 if report.degraded and strict else 0

    _with_service(command, json=json, start=True)


@app.command(epilog="example: qurable submit bell.qasm --backend fake_torino --key night-17")
def submit(
    file: File,
    shots: Shots = None,
    seed: Seed = None,
    backend: Backend = "auto",
    observable: Observables = None,
    precision: Precision = None,
    parameter: Parameters = None,
    key: Key = None,
    project: Project = "default",
    deadline: Deadline = None,
    level: Level = None,
    method: Method = None,
    json: Json = False,
) -> None:
    """Start a job and print its id; it runs without this terminal."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        wishes = _job(
            file,
            shots,
            seed,
            backend,
            observable,
            precision,
            parameter,
            key,
            project,
            deadline,
            level,
            method,
        )
        job = await qurable.submit(wishes)
        show.status(await job.status(), json=json)
        return 0

    _with_service(command, json=json)


@app.command(epilog="example: qurable status default-1f2e3d4c5b6a7988 --follow")
def status(
    job_id: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print state changes until the job ends.")
    ] = False,
    json: Json = False,
) -> None:
    """Show where a job stands and what comes next."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        if follow:
            async for event in qurable.events(job_id):
                show.event(event, json=json)
            return 0
        show.status(await qurable.status(job_id), json=json)
        return 0

    _with_service(command, json=json)


@app.command(epilog="example: qurable result default-1f2e3d4c5b6a7988 --json")
def result(
    job_id: JobId,
    wait: Annotated[
        bool, typer.Option(help="Wait for the job to end; without, show the pubs that are finished.")
    ] = True,
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Print a job's report; starts a local service if none runs, so that a job that was left behind goes on."""
    from qurable.cli import show
    from qurable.client import Job

    async def command(qurable: Qurable) -> int:
        if not wait:
            status = await qurable.status(job_id)
            if not status.state.final:
                show.unfinished(status, await _finished(qurable, job_id), json=json)
                return 0
        with show.left_behind(Job(job_id, qurable)):
            report = await qurable.result(job_id)
        show.report(report, json=json)
        return 3 if report.degraded and strict else 0

    _with_service(command, json=json, start=wait)


async def _finished(qurable: Qurable, job_id: str) -> Results:
    """Results of the pubs that are finished; none of a job that no worker has accepted yet."""
    from qurable.contracts.results import Results
    from qurable.errors import JobNotFound

    try:
        return await qurable.results(job_id)
    except JobNotFound:
        return Results(pubs=())


@app.command(epilog="example: qurable cancel default-1f2e3d4c5b6a7988")
def cancel(job_id: JobId, json: Json = False) -> None:
    """Cancel a job; a simulation stops within two seconds."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        await qurable.cancel(job_id)
        show.status(await qurable.status(job_id), json=json)
        return 0

    _with_service(command, json=json)


@app.command("list", epilog="example: qurable list --state running --limit 20")
def list_jobs(
    project: Annotated[Optional[str], typer.Option(help="Of this project alone.")] = None,  # noqa: UP045
    state: Annotated[Optional[list[str]], typer.Option(help="In this state alone; may be repeated.")] = None,  # noqa: UP045
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from qurable.cli import show
    from qurable.cli.jobs import read_states

    async def command(qurable: Qurable) -> int:
        show.jobs(
            await qurable.list(project=project, states=read_states(state or []), limit=limit), json=json
        )
        return 0

    _with_service(command, json=json)


@app.command(epilog="example: qurable backends --json")
def backends(json: Json = False) -> None:
    """List the backends that the workers offer."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        show.backends(await qurable.backends(), json=json)
        return 0

    _with_service(command, json=json, start=True)


def _with_service(command: Callable[[Qurable], Awaitable[int]], *, json: bool, start: bool = False) -> None:
    """Run a command against the service, turn errors into exit codes, and leave."""
    from qurable.cli.service import run_command

    raise typer.Exit(run_command(command, json=json, start=start))
