"""A house that pays: Temporal, a store, workers and the emulator as processes, each of which may be killed."""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from emulator.api import NAME
from emulator.serving import INSTANCE
from fallback.table_file import DEFAULT
from store.database import Database
from tests.chaos.harness import Fleet, House, StoreServer, house, wait_for_the_end_of
from tests.emulator.running import EmulatorProcess
from tests.paid import save_account

SPEED = 4.0
"""Seconds of the emulator's clock per real second."""

READ_SECONDS = 4.0
SETTLING_SECONDS = 10.0
"""Sending, answer and tag index together: as long a second attempt waits with the settings below."""

GRACE = timedelta(seconds=2)
"""For so long the reconciler leaves alone what has no living owner."""

BY_NAME = "by-name"
"""Label of the account whose instance has to be looked up, and project that pays with it."""

ENDED = frozenset({"Completed", "Failed", "Cancelled"})
"""The emulator's words for jobs that have ended."""

VARIABLES = {
    "QURABLE_IBM_SEND_WITHIN": "PT5S",
    "QURABLE_IBM_TAG_LAG": "PT1S",
    "QURABLE_IBM_READ_TIMEOUT": f"PT{READ_SECONDS:g}S",
    "QURABLE_IBM_SUBMISSIONS_PER_MINUTE": "1000",
    "QURABLE_POLL_SHORTEST": "PT0.2S",
    "QURABLE_POLL_LONGEST": "PT1S",
    "QURABLE_RECONCILE_EVERY": "PT2S",
    "QURABLE_RECONCILE_GRACE": f"PT{GRACE.total_seconds():g}S",
}

FAIR: dict[str, Any] = {
    "hold": False,
    "prepare_seconds": 1.0,
    "seconds_per_queued_job": 0.0,
    "tag_lag_seconds": 0.0,
    "usage_lag_seconds": 0.5,
    "submissions_per_minute": None,
    "usage_limit_seconds": None,
    "run_factor": 1.0,
    "noise": False,
}
"""The emulator's settings between rounds."""


class Kind(StrEnum):
    """What a house is like."""

    USUAL = "usual"
    SQLITE = "SQLite"
    BY_NAME = "account by name"
    HARDWARE = "SQLite, and taken for hardware"


class Part(StrEnum):
    """What is killed."""

    WORKER = "worker"
    TEMPORAL = "Temporal"
    STORE = "PostgreSQL"
    EMULATOR = "emulator"


class SqliteStore:
    """SQLite's file in the data folder: whoever uses it is killed where a server would be.

    Attributes:
        fleet: The workers, once they are there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = 0
        self.fleet: Fleet | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self._file}"

    def start(self) -> None:
        """Let workers come again."""
        if self.fleet is not None:
            self.fleet.size = self._size

    def kill(self) -> None:
        """Kill every worker, and let none come until it is started."""
        assert self.fleet is not None
        self._size, self.fleet.size = self.fleet.size or self._size, 0
        pids = self.fleet.pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_for_the_end_of(pid)

    def back_up(self, folder: Path) -> None:
        """Copy the database while nobody writes."""
        folder.mkdir(parents=True)
        _copy(self._file, folder / self._file.name)

    def restore(self, folder: Path) -> None:
        """Write the copy over the database while no worker runs; whoever judges has it open."""
        _copy(folder / self._file.name, self._file)


def _copy(source: Path, target: Path) -> None:
    """Copy a SQLite database as SQLite does, so that nobody reads its old write-ahead log on top of the copy."""
    with (
        contextlib.closing(sqlite3.connect(source)) as have,
        contextlib.closing(sqlite3.connect(target)) as want,
    ):
        have.backup(want)


@dataclass
class PaidHouse:
    """The processes of one lane of the matrix.

    Attributes:
        house: Temporal, workers, journal and client.
        store: PostgreSQL, or SQLite's file.
        emulator: The provider.
        database: The same store, for whoever judges.
        folder: For backups.
        down: What was killed and not started again.
    """

    house: House
    store: StoreServer | SqliteStore
    emulator: EmulatorProcess
    database: Database
    folder: Path
    down: set[Part] = field(default_factory=set)

    @property
    def control(self) -> Any:
        """The emulator's control API."""
        return self.emulator.control

    def kill(self, part: Part) -> None:
        """Kill -9; workers come back by themselves."""
        if part is not Part.WORKER:
            self.down.add(part)
        match part:
            case Part.WORKER:
                self.kill_workers()
            case Part.TEMPORAL:
                self.house.server.kill()
            case Part.STORE:
                self.store.kill()
            case Part.EMULATOR:
                self.emulator.kill()

    async def start(self, part: Part) -> None:
        """Start it again where it was."""
        self.down.discard(part)
        match part:
            case Part.TEMPORAL:
                self.house.server.start()
            case Part.STORE:
                self.store.start()
            case Part.EMULATOR:
                self.emulator.start()
                await self.emulator.ready()

    async def bring_up(self) -> None:
        """Start what a round has left dead."""
        for part in list(self.down):
            await self.start(part)

    def kill_workers(self) -> None:
        """Kill every worker, and with each its children."""
        for pid in self.house.fleet.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def fair_weather(self) -> None:
        """No faults, nobody stopped, usual settings."""
        self.house.disarm()
        await self.control.clear()
        await self.control.tokens(revoke=False, accept=None)
        await self.control.settings(**FAIR)

    async def unspent(self) -> list[str]:
        """What was set for this round and never struck: failpoints and faults."""
        armed = [file.name for file in self.house.armed.iterdir() if file.suffix != ".stopped"]
        faults = (await self.control.call("GET", "/faults"))["faults"]
        unstruck = [fault for fault in faults if fault["left"] == fault.get("times", 1)]
        return [*armed, *(f"{fault['mode']} on {fault['route']}" for fault in unstruck)]


@contextlib.asynccontextmanager
async def paid_house(folder: Path, kind: Kind = Kind.USUAL, /, **variables: str) -> AsyncIterator[PaidHouse]:
    """A house of real processes that submits to an emulator.

    Args:
        folder: For all of it; made here.
        kind: On SQLite instead of PostgreSQL, with a second account, or with one that is taken for hardware.
        **variables: Of the workers, beside those of every round.
    """
    emulator = EmulatorProcess(folder / "emulator", speed=SPEED)
    emulator.start()
    inside = folder / "house"
    on_sqlite = kind in (Kind.SQLITE, Kind.HARDWARE)
    store = SqliteStore(inside / "store.db") if on_sqlite else StoreServer(folder / "postgresql")
    store.start()
    strategy = {} if kind is Kind.HARDWARE else {"QURABLE_STRATEGY": str(_that_leaves_nobody_alone(folder))}
    environment = VARIABLES | emulator.environment | strategy | variables
    if kind is Kind.BY_NAME:
        environment |= _account_by_name(folder / "accounts.json", emulator.url)
        del environment["QISKIT_FUNCTIONS_EXPERIMENTAL"]  # it would spare the client the look-up
    if kind is Kind.HARDWARE:
        environment |= _account_of_hardware(folder / "accounts.json", emulator.url)
    try:
        await emulator.ready()
        async with (
            house(inside, database_url=store.url, variables=environment) as inner,
            Database(store.url) as database,
        ):
            if isinstance(store, SqliteStore):
                store.fleet = inner.fleet
            home = PaidHouse(inner, store, emulator, database, folder)
            await home.fair_weather()
            yield home
    finally:
        if isinstance(store, StoreServer):
            store.kill()
        emulator.kill()


def _that_leaves_nobody_alone(folder: Path) -> Path:
    """The shipped table without breakers: the rounds of one house break its provider hundreds of times."""
    table = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    never = ("faults_in_a_row", "least_calls", "retries_per_hour", "retries_per_job")
    table["breaker"] = dict.fromkeys(never, 1_000_000)
    file = folder / "strategy.yaml"
    file.write_text(yaml.safe_dump(table), encoding="utf-8")
    return file


def _account_of_hardware(file: Path, url: str) -> dict[str, str]:
    """Variables with which the saved account is the one that pays: nothing tells it from one of IBM's own."""
    save_account(file, "saved", url=url, token="emulator", instance=INSTANCE)
    account = {"name": "saved", "filename": str(file), "price_per_second": 1.6}
    return {"QURABLE_IBM_ACCOUNTS": json.dumps({"default": account})}


def _account_by_name(file: Path, url: str) -> dict[str, str]:
    """Variables of a second account, saved as one of IBM Cloud's with an instance that is told by its name.

    The client finds the emulator where it asks IBM Cloud's hosts, as a proxy.
    """
    saved = {
        "channel": "ibm_quantum_platform",
        "url": "http://localhost",
        "token": "emulator",
        "instance": NAME,
        "proxies": {"urls": {"http": url}},
        "verify": True,
        "private_endpoint": False,
    }
    file.write_text(json.dumps({BY_NAME: saved}), encoding="utf-8")
    account = {"name": BY_NAME, "filename": str(file), "projects": [BY_NAME]}
    return {"QURABLE_IBM_ACCOUNTS": json.dumps({BY_NAME: account})}
