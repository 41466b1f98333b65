"""The commands. `--help` imports none of Temporal, pydantic or Qiskit; each command imports what it needs.

Exit codes: 0 answered, 2 bad usage or input refused, 3 degraded and `--strict` was given, 4 failed, 5 the service
cannot be reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from qurable.cli.approve import approve
from qurable.cli.batch import batch
from qurable.cli.budget import budget
from qurable.cli.command import with_service
from qurable.cli.compare import compare, hedge
from qurable.cli.cut import cut
from qurable.cli.kernel import features, kernel
from qurable.cli.optimize import loop, optimize
from qurable.cli.options import File, JobId, Json, Shots, Strict, Wishes, with_wishes
from qurable.cli.precise import precise
from qurable.cli.rollout import rollout
from qurable.cli.route import route
from qurable.cli.schedule import schedule
from qurable.cli.why import why

if TYPE_CHECKING:
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

app.add_typer(budget)

app.add_typer(rollout)

app.add_typer(schedule)


@app.command(epilog="example: qurable run bell.qasm --shots 1000 --seed 7 --backend aer --json")
@with_wishes
def run(file: File, wishes: Wishes, strict: Strict = False, json: Json = False) -> None:
    """Run a job and print its report; starts a local service if none runs."""
    from qurable.cli import show
    from qurable.cli.jobs import read_job
    from qurable.cli.service import said

    with said(json=json):
        asked = read_job(file, wishes)

    async def command(qurable: Qurable) -> int:
        job = await qurable.submit(asked)
        with show.left_behind(job):
            await show.progress(job, quiet=json)
            report = await job.result()
        show.report(report, json=json)
        return 3 if report.degraded and strict else 0

    with_service(command, json=json, start=True)


@app.command(epilog="example: qurable submit bell.qasm --backend fake_torino --key night-17")
@with_wishes
def submit(file: File, wishes: Wishes, json: Json = False) -> None:
    """Start a job and print its id; it runs without this terminal."""
    from qurable.cli import show
    from qurable.cli.jobs import read_job
    from qurable.cli.service import said

    with said(json=json):
        asked = read_job(file, wishes)

    async def command(qurable: Qurable) -> int:
        job = await qurable.submit(asked)
        show.status(await job.status(), json=json)
        return 0

    with_service(command, json=json)


app.command(epilog="example: qurable batch jobs.jsonl --follow")(batch)


app.command(
    epilog="example: qurable cut wide.qasm --observable ZZZZZZZZZZ --backend fake_manila --max-overhead 300 --price"
)(cut)


app.command(epilog="example: qurable compare bell.qasm --on aer,fake_torino,classical --shots 4000")(compare)


app.command(epilog="example: qurable hedge bell.qasm --on ibm:torino,aer --after 30s")(hedge)


app.command(epilog="example: qurable route bell.qasm --backend ibm:torino --shots 4000")(route)


app.command(
    epilog="example: qurable optimize graph.gset --ansatz qaoa:2 --optimiser cobyla --seed 7 --follow"
)(optimize)


app.command(epilog="example: qurable precise bell.qasm -o ZZ --precision 0.01 --max-price 20")(precise)


app.command(epilog="example: qurable loop loop-default-1f2e3d4c5b6a7988 --follow")(loop)


app.command(epilog="example: qurable kernel map.qasm --data train.csv --test test.csv --output kernel.npz")(
    kernel
)


app.command(epilog="example: qurable features map.qasm --data train.csv -o ZI -o IZ --output features.npz")(
    features
)


app.command(epilog="example: qurable why default-1f2e3d4c5b6a7988")(why)


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

    with_service(command, json=json)


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

    with_service(command, json=json, start=wait)


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

    with_service(command, json=json)


app.command(epilog="example: qurable approve default-1f2e3d4c5b6a7988 --as grace --reason reviewed --cap 60")(
    approve
)


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

    with_service(command, json=json)


@app.command(epilog="example: qurable backends --json")
def backends(json: Json = False) -> None:
    """List the backends that the workers offer."""
    from qurable.cli import show

    async def command(qurable: Qurable) -> int:
        show.backends(await qurable.backends(), json=json)
        return 0

    with_service(command, json=json, start=True)


@app.command(epilog="example: qurable emulate --queue 600 --speed 60")
def emulate(
    port: Annotated[int, typer.Option(help="Of 127.0.0.1; 0 takes a free one.")] = 8917,
    home: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of its jobs; `emulator` in the data folder by default."),
    ] = None,
    speed: Annotated[Optional[float], typer.Option(help="Seconds of its clock per real second.")] = None,  # noqa: UP045
    queue: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Seconds that every job waits behind other people's."),
    ] = None,
    json: Json = False,
) -> None:
    """Emulate IBM Runtime on this machine until Ctrl-C: queues, prices and faults for the real client."""
    _with_application("emulate", port=port, home=home, speed=speed, queue=queue, json_output=json)


@app.command(epilog="example: qurable rehearse bell.qasm --backend ibm:brisbane --runs 50 --seed 7")
def rehearse(
    file: Annotated[
        Path,
        typer.Argument(help="An OpenQASM 2 or 3 file, a job as JSON, or jobs that run together as *.jsonl."),
    ],
    backend: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--backend", "-b", help="ibm or ibm:<device>; what the job names, else ibm."),
    ] = None,
    shots: Shots = None,
    runs: Annotated[int, typer.Option(help="Moments of the month at which the job is run.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the weather: the same seed draws the same month.")] = 7,
    weather: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="What a month is like, as JSON; a guess by default."),
    ] = None,
    json: Json = False,
) -> None:
    """Run a job under a month of emulated queues, outages and faults, and say what it would cost and take."""
    _with_application(
        "rehearse",
        file=file,
        backend=backend,
        shots=shots,
        runs=runs,
        seed=seed,
        weather=weather,
        json_output=json,
    )


def _with_application(name: str, *, json_output: bool, **options: Any) -> None:
    """Run a command of the application, where that is installed beside the wheel."""
    from importlib.metadata import entry_points

    from qurable.cli.service import complain
    from qurable.errors import HybridError, ServiceUnreachable
    from qurable.names import COMMANDS_GROUP

    found = next(iter(entry_points(group=COMMANDS_GROUP, name=name)), None)
    try:
        if found is None:
            raise ServiceUnreachable(
                f"this is the client alone; `qurable {name}` needs more: install the application"
            )
        code: int | None = found.load()(json_output=json_output, **options)
    except HybridError as error:
        raise typer.Exit(complain(error, json=json_output)) from None
    raise typer.Exit(code or 0)
