"""Where a rehearsal plays: an emulator, Temporal and a worker of its own, in a folder that goes with them.

Nothing of the user's is used: no account, no data folder, no Temporal. What the rehearsed service may learn from the
environment is named here, and everything it asks of IBM goes to the emulator.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client

from emulator.app import environment
from emulator.serving import INSTANCE
from qurable.client import Qurable
from qurable.errors import ServiceUnreachable
from qurable.temporal.connect import keep_history
from qurable.temporal.converter import data_converter
from qurable.temporal.embedded import Address, embedded_server
from qurable.temporal.storage import payload_driver

TAG_LAG_SECONDS = 2.0
"""How long the rehearsed service waits for the index of tags."""

USUAL_TAG_LAG_SECONDS = 10.0
"""How long a service does that is told nothing: the weather's lags shrink by the ratio of the two."""

_COMPRESSED = {
    "QURABLE_IBM_TAG_LAG": f"PT{TAG_LAG_SECONDS:g}S",
    "QURABLE_IBM_READ_TIMEOUT": "PT5S",
    "QURABLE_IBM_SUBMISSIONS_PER_MINUTE": "1000",
    "QURABLE_POLL_SHORTEST": "PT0.1S",
    "QURABLE_POLL_LONGEST": "PT0.3S",
    "QURABLE_RECONCILE_EVERY": "PT2S",
    "QURABLE_RECONCILE_GRACE": "PT2S",
    "QURABLE_GRACEFUL_STOP": "PT1S",
    "QURABLE_LOG_LEVEL": "error",
}
"""What a service that lives a month in a minute is told."""

_NEVER = 1_000_000
_TABLE = {
    "rules": [
        {"when": {"asks_for": "auto"}, "first": "simulator"},
        {"when": {"asks_for": "requirements"}, "first": "fitting"},
        {"first": "as_asked"},
    ],
    "rungs": {
        "simulator": {"kind": "simulator", "places": ["aer"]},
        "fitting": {"places": ["fitting"], "most": 1},
        "as_asked": {"places": ["asked"], "most": 1},
    },
    "breaker": {
        "faults_in_a_row": _NEVER,
        "least_calls": _NEVER,
        "retries_per_hour": _NEVER,
        "retries_per_job": _NEVER,
    },
}
"""Its strategy: rehearsed jobs have no ladder, and no place is left alone, as half a minute is a week of the month."""

_KEPT = ("QURABLE_ADMISSION_FOLDER", "QURABLE_CORES", "QURABLE_IBM_PRIMITIVES", "QURABLE_MAX_OPERATIONS",
         "QURABLE_MEMORY_MIB", "QURABLE_OPENQASM2_BYTES", "QURABLE_OPENQASM3_BYTES")  # fmt: skip
"""The user's own settings that decide what a job is, or what it may take of this machine."""

_STRANGE = ("QURABLE_", "QISKIT_", "TEMPORAL_", "IAM_URL")
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_CALL_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.02
_SHOWN_CHARACTERS = 2000


@dataclass
class House:
    """What runs for a rehearsal.

    Attributes:
        qurable: A client of the rehearsed service.
        control: The emulator's control API.
        processes: Emulator and worker, with the files they write to.
    """

    qurable: Qurable
    control: "Control"
    processes: Mapping[str, tuple[asyncio.subprocess.Process, Path]]

    def check(self) -> None:
        """Make sure that both run.

        Raises:
            ServiceUnreachable: One has ended; the message has the end of what it wrote.
        """
        for name, (process, log) in self.processes.items():
            if process.returncode is not None:
                raise ServiceUnreachable(
                    f"the rehearsal's {name} ended with code {process.returncode}: {_end_of(log)}"
                )


class Control:
    """The emulator's control API.

    Args:
        url: Of the emulator.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def state(self) -> dict[str, Any]:
        """Clock, settings, devices, jobs, and what was paid."""
        return await self._call("GET", "/state")

    async def settings(self, **changes: Any) -> None:
        """Change settings."""
        await self._call("PATCH", "/settings", changes)

    async def advance(self, seconds: float) -> float:
        """Put the clock forward; gives back what it shows, in seconds since 1970."""
        answer = await self._call("POST", "/clock", {"advance_seconds": seconds})
        return datetime.fromisoformat(answer["now"]).timestamp()

    async def device(self, name: str, **changes: Any) -> None:
        """Set a device's status, reason, queue_length, until, calibrate_at."""
        await self._call("POST", f"/devices/{name}", changes)

    async def replace_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Have these faults and no others."""
        await self._call("DELETE", "/faults")
        await self._call("POST", "/faults", {"faults": list(faults)})

    async def _call(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self._url}/control{path}", data=body, method=method)  # noqa: S310  our own emulator

        def send() -> dict[str, Any]:
            with self._opener.open(request, timeout=_CALL_SECONDS) as answer:
                answered: dict[str, Any] = json.load(answer)
                return answered

        try:
            return await asyncio.to_thread(send)
        except urllib.error.HTTPError as refusal:
            raise ServiceUnreachable(
                f"the emulator refused {method} /control{path}: {refusal.read(_SHOWN_CHARACTERS).decode(errors='replace')}"
            ) from None
        except OSError as failure:
            raise ServiceUnreachable(
                f"the rehearsal's emulator does not answer {method} /control{path}: {failure}"
            ) from None


@contextlib.asynccontextmanager
async def house(worker: Sequence[str]) -> AsyncIterator[House]:
    """Start everything in a fresh folder; stop it and remove the folder, whatever happens.

    Args:
        worker: The command that runs a worker as its environment says.

    Raises:
        ServiceUnreachable: A part does not start.
    """
    with tempfile.TemporaryDirectory(prefix="qurable-rehearsal-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _strategy(folder).write_text(json.dumps(_TABLE), encoding="utf-8")
        async with contextlib.AsyncExitStack() as parts:
            emulator, url = await parts.enter_async_context(_emulator(folder))
            server = await parts.enter_async_context(_server(folder))
            variables = (
                _environment(folder) | environment(url, INSTANCE) | {"TEMPORAL_ADDRESS": server.target}
            )
            log = folder / "worker.log"
            working = await parts.enter_async_context(_process(worker, variables, log))
            driver = await parts.enter_async_context(payload_driver(folder))
            client = await Client.connect(server.target, data_converter=data_converter(driver))
            await keep_history(client)
            processes = {"emulator": (emulator, folder / "emulator.log"), "worker": (working, log)}
            yield House(Qurable(client), Control(url), processes)


def _strategy(folder: Path) -> Path:
    return folder / "strategy.yaml"


def _environment(folder: Path) -> dict[str, str]:
    """What emulator and worker see: nothing by which the user's own accounts or services would be found."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_STRANGE)
    }
    return {
        **kept,
        **_COMPRESSED,
        "QURABLE_HOME": str(folder),
        "QURABLE_STRATEGY": str(_strategy(folder)),
        "TEMPORAL_CONFIG_FILE": str(folder / "no-temporal.toml"),
    }


@contextlib.asynccontextmanager
async def _emulator(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An emulator on a free port; gives out its address too."""
    log = folder / "emulator.log"
    command = (sys.executable, "-m", "emulator", "--port", "0", "--json", "--home", str(folder / "emulator"))
    async with _process(command, _environment(folder), log) as process:
        async with asyncio.timeout(_START_SECONDS):
            while (url := _announced(log)) is None:
                if process.returncode is not None:
                    raise ServiceUnreachable(f"the emulator does not start: {_end_of(log)}")
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        yield process, url


def _announced(log: Path) -> str | None:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if line.endswith("\n"):
                return str(json.loads(line)["url"])
    return None


@contextlib.asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[Address]:
    """A Temporal server whose process is gone afterwards: its folder is removed next."""
    async with contextlib.AsyncExitStack() as running:
        server = await running.enter_async_context(embedded_server(folder))
        try:
            yield server
        finally:
            await running.aclose()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    while not _reaped(server.pid):
                        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _reaped(pid: int) -> bool:
    """Whether a child of ours has ended, or was reaped before; does not wait."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


@contextlib.asynccontextmanager
async def _process(
    command: Sequence[str], variables: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in a session of its own: Ctrl-C is for the rehearsal, which stops its parts in their order."""
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _end_of(log: Path) -> str:
    return (
        log.read_text(encoding="utf-8", errors="replace").strip()[-_SHOWN_CHARACTERS:] or "it wrote nothing"
    )
