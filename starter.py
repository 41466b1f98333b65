"""The main job from a shell: a circuit file in, a report out, on an embedded Temporal if none is configured.

Ctrl-C leaves a durable job behind; `starter.py --resume`, or any later worker, finishes it.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from qurable.cli import show
from qurable.cli.service import INTERRUPTED, complain
from qurable.client import Job, Qurable
from qurable.contracts.reports import State
from qurable.errors import HybridError
from qurable.requests import as_circuit, sample
from qurable.temporal.connect import configured, connected, keep_history
from qurable.temporal.duty import relieved
from qurable.temporal.embedded import Address, embedded_server
from qurable.temporal.run_main import run_main, until_signalled
from settings import Settings
from worker import workers

EXAMPLE = Path(__file__).parent / "examples" / "circuits" / "ghz_5.qasm"

_GATEWAY_STOP_SECONDS = 10.0


@contextlib.asynccontextmanager
async def local_service() -> AsyncIterator[Qurable]:
    """A client of this data folder's service; server and worker are started where none runs."""
    async with _service(Settings.read()) as (qurable, _):
        yield qurable


@contextlib.asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[tuple[Qurable, Address | None]]:
    async with contextlib.AsyncExitStack() as stack:
        server = None if configured() else await stack.enter_async_context(embedded_server(settings.home))
        client = await stack.enter_async_context(
            connected(address=None if server is None else server.target, home=settings.home)
        )
        if server is not None:
            await keep_history(client)
            await stack.enter_async_context(relieved(settings.home, lambda: workers(settings, client)))
        yield Qurable(client), server


async def run_job(settings: Settings, file: Path, arguments: argparse.Namespace) -> int:
    """Run one job, show its progress, print its report."""
    work = sample(as_circuit(file), shots=arguments.shots, seed=arguments.seed, backend=arguments.backend)
    async with _service(settings) as (qurable, server):
        job = await qurable.submit(work)
        return await _follow(qurable, job, server, json=arguments.json)


async def resume(settings: Settings, arguments: argparse.Namespace) -> int:
    """Finish the jobs that were left behind."""
    async with _service(settings) as (qurable, server):
        open_states = [state for state in State if not state.final]
        left = await qurable.list(states=open_states, limit=1000)
        if not left and not arguments.json:
            print("no job was left behind")
        codes = [
            await _follow(qurable, Job(entry.id, qurable), server, json=arguments.json)
            for entry in reversed(left)
        ]
        return max(codes, default=0)


async def _follow(qurable: Qurable, job: Job, server: Address | None, *, json: bool) -> int:
    """Show a job until it ends; Ctrl-C leaves it running."""
    following = asyncio.create_task(_report(job, json=json))
    stopped = asyncio.create_task(until_signalled())
    await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not following.done():
        following.cancel()
        print(
            f"\njob {job.id} goes on: `python starter.py --resume` or any worker finishes it", file=sys.stderr
        )
        return INTERRUPTED
    stopped.cancel()
    code = await following
    if server is not None and not json:
        print(
            f"web UI   {server.ui}/namespaces/{qurable.temporal.namespace}/workflows/{job.id} (while the service runs)"
        )
    return code


async def _report(job: Job, *, json: bool) -> int:
    await show.progress(job, quiet=json)
    show.report(await job.result(), json=json)
    return 0


async def stay_up(settings: Settings) -> int:
    """Keep server, worker and gateway running until told to stop."""
    async with _service(settings) as (_, server), _gateway() as gateway:
        if server is not None:
            print(f"Temporal  {server.target}\nweb UI    {server.ui}")
        print(
            f"gateway   http://{settings.gateway_address}\nCtrl-C stops all of them; jobs are kept",
            flush=True,
        )
        stopped = asyncio.create_task(until_signalled())
        ended = asyncio.create_task(gateway.wait())
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            return 0
        stopped.cancel()
        print(f"the gateway ended with code {gateway.returncode}", file=sys.stderr)
        return 4


@contextlib.asynccontextmanager
async def _gateway() -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateway, in a process and a session of its own: Ctrl-C in a terminal is for this process to pass on.

    It stops with this process even where that is killed, so that its port is free for the next one.
    """
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.app", "--until-eof"),
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield gateway
    finally:
        if gateway.returncode is None:
            gateway.terminate()
            await _ended(gateway)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was told to stop; one that does not is killed."""
    try:
        await asyncio.wait_for(process.wait(), _GATEWAY_STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def rehearse(*, json_output: bool, **asked: Any) -> int:
    """Run `qurable rehearse`; gives back the exit code.

    Args:
        json_output: Print one JSON document, not text.
        **asked: Fields of `emulator.rehearsal.Asked`.

    Raises:
        HybridError: It cannot be rehearsed.
    """
    from emulator.rehearsal import Asked
    from emulator.rehearsal import rehearse as play

    worker = (sys.executable, "-m", "worker")
    return run_main(_until_interrupted(play(Asked(**asked), worker, json_output=json_output)))


async def _until_interrupted(work: Coroutine[Any, Any, None]) -> int:
    """Work until done, or until a signal comes: then it tidies up first. Gives back the exit code."""
    working = asyncio.create_task(work)
    stopped = asyncio.create_task(until_signalled())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        stopped.cancel()
        await working
        return 0
    print("\ninterrupted: tidying up", file=sys.stderr)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return INTERRUPTED


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="starter.py",
        description="Run a circuit as a durable job; Temporal server and worker are started if none is configured.",
        epilog="example: python starter.py examples/circuits/ghz_5.qasm --shots 1000 --seed 7",
    )
    parser.add_argument("file", nargs="?", type=Path, default=EXAMPLE, help="an OpenQASM 2 or 3 file")
    parser.add_argument("--shots", type=int, default=1024, help="repetitions")
    parser.add_argument("--seed", type=int, help="base seed of the simulation")
    parser.add_argument("--backend", default="auto", help="auto, or a name that `qurable backends` lists")
    parser.add_argument("--resume", action="store_true", help="finish the jobs that were left behind")
    parser.add_argument("--up", action="store_true", help="keep server, worker and gateway running")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    return parser.parse_args()


def cli() -> None:
    """Entry point of `starter.py` and `qurable-starter`."""
    arguments = parse_arguments()
    try:
        settings = Settings.read()
        if arguments.up:
            code = run_main(stay_up(settings))
        elif arguments.resume:
            code = run_main(resume(settings, arguments))
        else:
            code = run_main(run_job(settings, arguments.file, arguments))
    except HybridError as error:
        code = complain(error, json=arguments.json, program="starter.py")
    except KeyboardInterrupt:
        print("starter.py: interrupted before a job was started", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)


if __name__ == "__main__":
    cli()
