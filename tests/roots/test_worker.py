"""`worker.py` as a service manager runs it: chosen queues, a health endpoint, a graceful stop."""

import asyncio
import contextlib
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from qurable.client import Job, Qurable
from qurable.contracts.reports import JobReport, StageRecord, State
from qurable.temporal.connect import connected
from qurable.temporal.embedded import find_running
from tests.chaos.harness import TemporalServer, until
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL, brickwork
from tests.cli.shell import Running, environment, started, stop_server

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "worker.py"

_SECONDS = 90.0


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[TemporalServer]:
    server = TemporalServer(tmp_path / "temporal")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client(temporal: TemporalServer, tmp_path: Path) -> AsyncIterator[Qurable]:
    async with connected(address=temporal.target, home=tmp_path, patience_seconds=30) as connection:
        yield Qurable(connection)


@pytest.fixture
def shell(temporal: TemporalServer, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, temporal.target) | {"QURABLE_HEARTBEAT": "PT2S"}


@contextlib.asynccontextmanager
async def working(shell: dict[str, str], *options: str) -> AsyncIterator[Running]:
    """A worker that has begun to work."""
    async with started(shell, sys.executable, WORKER, *options) as running:
        await running.says('"working"')
        yield running


async def _report(job: Job) -> JobReport:
    return await asyncio.wait_for(job.result(), _SECONDS)


async def _runs(job: Job) -> None:
    """Until its simulation is under way."""

    async def running() -> bool:
        return (await job.status()).state is State.RUNNING

    await until("its simulation is under way", running, _SECONDS)


def _simulation(report: JobReport) -> StageRecord:
    return next(record for record in report.stages if record.stage == "await_done")


@pytest.mark.long
async def test_queues_are_served_by_whoever_is_told_to(client: Qurable, shell: dict[str, str]) -> None:
    """A job goes from worker to worker, and waits where none serves its next queue."""
    others = ["qurable", "qurable-compile", "qurable-submit", "qurable-hardware"]
    async with working(shell, "--queues", *others) as planning:
        job = await client.submit(BELL, shots=10, backend="aer")
        await _runs(job)
        waiting = await job.status()
        async with working(shell, "--queues", "qurable-sim") as simulating:
            report = await _report(job)

    assert waiting.stage == "await_done"
    assert _simulation(report).worker.startswith(f"{simulating.process.pid}@")
    assert {record.worker for record in report.stages} - {_simulation(report).worker} == {
        next(
            record.worker for record in report.stages if record.worker.startswith(f"{planning.process.pid}@")
        )
    }


async def _stopped_in_mid_simulation(
    client: Qurable, shell: dict[str, str], *, whole_group: bool
) -> tuple[Job, Running]:
    async with working(shell) as running:
        job = await client.submit(brickwork(20, 60), shots=50, seed=4, backend="aer")
        await _runs(job)
        if whole_group:
            running.signal(signal.SIGTERM)
        else:
            running.process.terminate()
        ended = await running.ended()
    assert ended.code == 0
    assert '"stopping"' in ended.err
    assert "Traceback" not in ended.err
    return job, running


@pytest.mark.long
@pytest.mark.parametrize("whole_group", [False, True], ids=["to the worker", "to its whole group"])
async def test_a_worker_that_is_told_to_stop_finishes_what_it_runs(
    client: Qurable, shell: dict[str, str], whole_group: bool
) -> None:
    """Within its grace: the simulation is not begun again, also where its child is sent the signal too."""
    # Nobody dies here: a heartbeat that a busy machine delays must not have the simulation run elsewhere too.
    patient = shell | {"QURABLE_GRACEFUL_STOP": "PT60S", "QURABLE_HEARTBEAT": "PT20S"}
    job, first = await _stopped_in_mid_simulation(client, patient, whole_group=whole_group)
    async with working(shell):
        report = await _report(job)

    assert _simulation(report).attempt == 1
    assert _simulation(report).worker.startswith(f"{first.process.pid}@")


@pytest.mark.long
async def test_what_does_not_end_within_the_grace_goes_to_another_worker(
    client: Qurable, shell: dict[str, str]
) -> None:
    """Which gives the counts that the first would have given."""
    hasty = shell | {"QURABLE_GRACEFUL_STOP": "PT0.1S"}
    job, first = await _stopped_in_mid_simulation(client, hasty, whole_group=False)
    async with working(shell) as second:
        report = await _report(job)
        calm = await _report(await client.submit(brickwork(20, 60), shots=50, seed=4, backend="aer"))

    assert _simulation(report).worker.startswith(f"{second.process.pid}@")
    assert not _simulation(report).worker.startswith(f"{first.process.pid}@")
    assert report.results == calm.results


def _get(address: str) -> tuple[int, Any]:
    import json

    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


async def test_health_says_what_a_worker_stands_on(
    client: Qurable, shell: dict[str, str], temporal: TemporalServer
) -> None:
    """200 while both answer, 503 while one does not, and 200 again."""
    address = f"127.0.0.1:{free_port()}"

    async def healthy() -> bool:
        return (await asyncio.to_thread(_get, address))[0] == 200

    async with working(shell, "--health", address) as running:
        well = await asyncio.to_thread(_get, address)
        temporal.kill()
        ill = await asyncio.to_thread(_get, address)
        temporal.start()
        await until("it is well again", healthy, _SECONDS)

    assert "Traceback" not in "".join(running.err)
    assert well == (200, {"status": "healthy", "services": {"temporal": True, "store": True}})
    assert ill == (503, {"status": "unhealthy", "services": {"temporal": False, "store": True}})


async def test_a_health_address_that_is_taken_is_named(client: Qurable, shell: dict[str, str]) -> None:
    """A worker whose health nobody can ask would be killed by whoever asks."""
    taken = client.temporal.service_client.config.target_host
    async with started(shell, sys.executable, WORKER, "--health", taken) as running:
        ended = await running.ended()

    assert ended.code == 1
    assert f"worker.py: nobody can listen at {taken!r}" in ended.err
    assert "Traceback" not in ended.err


async def test_an_embedded_server_comes_and_goes_with_its_worker(tmp_path: Path) -> None:
    """Clients of the same data folder need no address."""
    try:
        async with working(environment(tmp_path, None), "--embedded") as running:
            async with Qurable.connect(home=tmp_path) as client:
                report = await _report(await client.submit(BELL, shots=10))
            server = find_running(tmp_path)
            running.process.terminate()
            ended = await running.ended()
    finally:
        stop_server(tmp_path)

    assert report.state is State.COMPLETED
    assert ended.code == 0
    assert server is not None
    await until("the server is gone", lambda: not server.alive)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--queues", "qurable-nonsense"], "invalid choice: 'qurable-nonsense'"),
        (["--queues"], "expected at least one argument"),
        (["--helth", "127.0.0.1:1"], "unrecognized arguments"),
    ],
)
async def test_a_mistyped_option_is_refused_by_its_word(
    tmp_path: Path, options: list[str], named: str
) -> None:
    """Before anything is started."""
    async with started(environment(tmp_path, None), sys.executable, WORKER, *options) as running:
        ended = await running.ended()

    assert ended.code == 2
    assert named in ended.err


async def test_a_worker_that_finds_no_temporal_names_the_way_out(tmp_path: Path) -> None:
    """Nothing is configured and nothing runs: that will not change by waiting."""
    async with started(environment(tmp_path, None), sys.executable, WORKER) as running:
        ended = await running.ended()

    assert ended.code == 1
    assert "worker.py: no Temporal service is configured and none runs" in ended.err
    assert "set TEMPORAL_ADDRESS, or start one with `make up`" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("root", ["worker.py", "starter.py"])
async def test_a_setting_that_cannot_be_is_named_by_its_variable(tmp_path: Path, root: str) -> None:
    """Each of them, in one sentence; what it held is not repeated, it may be a password."""
    odd = {"QURABLE_CORES": "hunter2", "QURABLE_HEARTBEAT": "soon"}
    async with started(environment(tmp_path, None) | odd, sys.executable, ROOT / root) as running:
        ended = await running.ended()

    assert ended.code != 0
    assert f"{root}: the settings are not acceptable: " in ended.err
    assert "QURABLE_CORES: " in ended.err
    assert "QURABLE_HEARTBEAT: " in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


async def test_help_shows_an_example() -> None:
    """Of each root."""
    for root in (WORKER, ROOT / "starter.py"):
        async with started({}, sys.executable, root, "--help") as running:
            ended = await running.ended()
        assert ended.code == 0
        assert f"example: python {root.name} " in ended.out
