"""What a job stands on is gone for a while: it waits, says for what, and ends as if nothing had been."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from qiskit import QuantumCircuit
from sqlalchemy import Connection, event

from isolation.pool import Nursery
from qurable.client import Job, Qurable
from qurable.contracts.reports import State
from qurable.errors import ServiceUnreachable
from qurable.temporal.connect import connected
from qurable.temporal.embedded import Address
from settings import Settings
from tests.bad_input.asking import NOTHING_HANGS_SECONDS, runs_a_bell
from tests.chaos.harness import StoreServer, TemporalServer, until
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL
from tests.conftest import MEMORY_MIB, MemoryJournal, Service, Stack
from tests.store.locks import holding
from worker import Hooks, workers


def _large() -> QuantumCircuit:
    """A circuit whose documents do not fit between the rows that are there."""
    circuit = QuantumCircuit(4)
    for layer in range(4000):
        circuit.rx(0.001 * layer, layer % 4)
        circuit.cx(layer % 4, (layer + 1) % 4)
    circuit.measure_all()
    return circuit


async def _waits_for(job: Job, reason: str) -> None:
    """Until the job's status says what it waits for."""
    last = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NOTHING_HANGS_SECONDS):
            while reason not in last:
                await asyncio.sleep(0.02)
                last = (await job.status()).last_failure
            return
    raise AssertionError(f"it does not say {reason!r}, but {last!r}")


async def _ends_well(service: Service, job: Job) -> None:
    report = await asyncio.wait_for(job.result(), NOTHING_HANGS_SECONDS)

    assert report.state is State.COMPLETED
    assert service.journal.steps(job.id).count("await_done-0") == 1
    await runs_a_bell(service)


async def test_a_job_waits_for_a_full_disk(stack: Stack) -> None:
    """Whoever frees some space has done everything that has to be done."""
    async with stack() as service:
        room = {"pages": 1}  # SQLite takes it for what is there already

        @event.listens_for(service.database._engine, "begin")
        def _limit(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count={room['pages']}")

        job = await service.qurable.submit(_large(), shots=10, backend="aer")
        await _waits_for(job, "is full; free some space, the job waits and goes on")
        room["pages"] = 2**30

        await _ends_well(service, job)


async def test_a_job_waits_for_a_store_on_a_disk_that_is_full(stack: Stack, small_disk: Path) -> None:
    """The same with a file system that has no room."""
    async with stack(database_url=SecretStr(f"sqlite:///{small_disk / 'store.db'}")) as service:
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))
        job = await service.qurable.submit(_large(), shots=10, backend="aer")
        await _waits_for(job, "is full; free some space, the job waits and goes on")
        filler.unlink()

        await _ends_well(service, job)


async def test_a_job_waits_for_a_store_that_is_locked(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a backup, or by a curious colleague."""
    monkeypatch.setattr("store.database._BUSY_MILLISECONDS", 50)
    async with stack() as service:
        with holding(service.settings.home / "store.db") as holder:
            job = await service.qurable.submit(BELL, shots=10, backend="aer")
            await _waits_for(job, "is locked by another process; the job waits and goes on")
            holder.communicate("done\n")

        await _ends_well(service, job)


async def test_a_job_waits_for_a_postgresql_that_was_stopped(stack: Stack, store_server: StoreServer) -> None:
    """Jobs are taken meanwhile; Temporal keeps them."""
    await _answers(store_server.url)
    async with stack(database_url=SecretStr(store_server.url)) as service:
        await runs_a_bell(service)
        store_server.kill()
        job = await service.qurable.submit(BELL, shots=10, backend="aer")
        await _waits_for(job, "does not answer")
        assert "the job waits and goes on" in (await job.status()).last_failure
        store_server.start()

        await _ends_well(service, job)


async def _answers(url: str) -> None:
    import psycopg

    def takes_connections() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return True
        return False

    await until("PostgreSQL answers", takes_connections)


@contextlib.asynccontextmanager
async def _on(server: TemporalServer, folder: Path, nursery: Nursery) -> AsyncIterator[Service]:
    """A service on a Temporal server that may be killed, and may not have been started yet."""
    settings = Settings(home=folder, memory_mib=MEMORY_MIB, admission_folder=folder / "admission")
    journal = MemoryJournal()
    hooks = Hooks(journal=journal, sandboxed=True, nursery=nursery)
    async with (
        connected(address=server.target, home=folder, patience_seconds=30) as client,
        workers(settings, client, hooks) as database,
    ):
        yield Service(Qurable(client), client, database, settings, Address(server.target, "", 0), journal)


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[TemporalServer]:
    """A server that is not started yet."""
    server = TemporalServer(tmp_path / "temporal")
    yield server
    with contextlib.suppress(AssertionError):
        server.kill()


async def test_a_worker_may_start_before_temporal(
    temporal: TemporalServer, tmp_path: Path, nursery: Nursery
) -> None:
    """In a cluster nobody decides who comes first."""
    waiting = _on(temporal, tmp_path, nursery)
    starting = asyncio.create_task(waiting.__aenter__())
    with pytest.raises(ServiceUnreachable):
        async with Qurable.connect(temporal.target):
            pytest.fail("nobody is there")
    assert not starting.done()
    temporal.start()
    service = await asyncio.wait_for(starting, NOTHING_HANGS_SECONDS)

    await runs_a_bell(service)
    await waiting.__aexit__(None, None, None)


async def test_a_job_goes_on_when_temporal_is_back(
    temporal: TemporalServer, tmp_path: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the job runs and started again on its database file; whoever asks meanwhile is told."""
    monkeypatch.setattr("qurable.client._RPC", timedelta(seconds=2))
    temporal.start()
    async with _on(temporal, tmp_path, nursery) as service:
        await runs_a_bell(service)
        job = await service.qurable.submit(_busy(), shots=100, seed=5, backend="aer")
        await until("it runs", lambda: "await_done-0" in service.journal.steps(job.id))
        temporal.kill()
        with pytest.raises(ServiceUnreachable, match=r"jobs that it has go on .* or set TEMPORAL_ADDRESS"):
            await job.status()
        temporal.start()

        report = await asyncio.wait_for(job.result(), NOTHING_HANGS_SECONDS)
        again = await service.run(_busy(), shots=100, seed=5, backend="aer")
        assert report.results == again.results
        await runs_a_bell(service)


def _busy() -> QuantumCircuit:
    """A few seconds of simulation."""
    circuit = QuantumCircuit(20)
    for layer in range(40):
        for qubit in range(20):
            circuit.rx(0.1 * (layer + qubit + 1), qubit)
        for qubit in range(layer % 2, 19, 2):
            circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


async def test_a_client_without_temporal_is_told_the_way_out(tmp_path: Path) -> None:
    """Somebody's address where nobody listens, and no address at all."""
    with pytest.raises(
        ServiceUnreachable, match=r"does not answer at .*: start it, for instance with `make up`"
    ):
        async with Qurable.connect(f"127.0.0.1:{free_port()}"):
            pytest.fail("nobody is there")
    with pytest.raises(ServiceUnreachable, match=r"set TEMPORAL_ADDRESS, or start one with `make up`"):
        async with Qurable.connect(home=tmp_path):
            pytest.fail("nobody is there")


@pytest.mark.parametrize(
    "command", [["submit", "-"], ["status", "default-1"], ["list"], ["cancel", "default-1"]]
)
@pytest.mark.parametrize("configured", [True, False])
def test_a_command_without_temporal_exits_with_five(
    tmp_path: Path, command: list[str], configured: bool
) -> None:
    """So that a script knows it from a job that failed."""
    environment = {name: value for name, value in os.environ.items() if name != "TEMPORAL_ADDRESS"}
    environment["QURABLE_HOME"] = str(tmp_path)
    if configured:
        environment["TEMPORAL_ADDRESS"] = f"127.0.0.1:{free_port()}"
    program = Path(sys.executable).with_name("qurable")
    ended = subprocess.run(
        [program, *command],
        env=environment,
        input=BELL,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 5
    assert ended.stdout == ""
    assert ended.stderr.startswith("qurable: ")
    assert "`make up`" in ended.stderr
    assert "TEMPORAL_ADDRESS" in ended.stderr
    assert "Traceback" not in ended.stderr
