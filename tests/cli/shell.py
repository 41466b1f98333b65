"""The command line as a shell runs it: another process, its exit code and its two streams."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qurable.temporal.embedded import find_running
from tests.chaos.harness import until
from tests.conftest import Service

PROGRAM = Path(sys.executable).with_name("qurable")

_SECONDS = 90.0

_HEARS_CTRL_C = ("env", "--default-signal=INT")
"""A shell that runs the tests in the background has their programs ignore it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


def environment(home: Path, address: str | None) -> dict[str, str]:
    """What a command sees: this data folder, this Temporal, and nothing of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TEMPORAL_CONFIG_FILE") if name in os.environ}
    chosen = {} if address is None else {"TEMPORAL_ADDRESS": address}
    return {**kept, **chosen, "QURABLE_HOME": str(home), "QURABLE_MEMORY_MIB": "8192"}


async def qurable(service: Service, *arguments: str, text: str = "") -> Ended:
    """Run a command against a service."""
    return await run(environment(service.settings.home, service.server.target), *arguments, text=text)


async def run(environment: dict[str, str], *arguments: str, text: str = "") -> Ended:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@dataclass
class Running:
    """A program in a session of its own, which may be watched and sent signals as from a terminal."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _pumps: list["asyncio.Task[None]"] = field(default_factory=list)

    def watch(self) -> None:
        """Listen to both streams."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        streams = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._pumps = [asyncio.create_task(_pump(stream, lines)) for stream, lines in streams]

    async def says(self, pattern: str) -> "re.Match[str]":
        """Wait until a line on either stream matches."""

        def found() -> "re.Match[str] | None":
            return next(filter(None, (re.search(pattern, line) for line in (*self.out, *self.err))), None)

        match: re.Match[str] = await until(f"the program says {pattern!r}", found, _SECONDS)
        return match

    def signal(self, number: signal.Signals) -> None:
        """To the program and all that it started, as Ctrl-C and service managers send it."""
        os.killpg(self.process.pid, number)

    async def ended(self) -> Ended:
        """Wait for its end."""
        async with asyncio.timeout(_SECONDS):
            code = await self.process.wait()
            await asyncio.gather(*self._pumps)
        return Ended(code, "".join(self.out), "".join(self.err))


async def _pump(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())


@contextlib.asynccontextmanager
async def started(environment: dict[str, str], *command: str | Path) -> AsyncIterator[Running]:
    """A program that runs meanwhile; nothing is left of it."""
    process = await asyncio.create_subprocess_exec(
        *_HEARS_CTRL_C,
        *map(str, command),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    running = Running(process)
    running.watch()
    try:
        yield running
    finally:
        if process.returncode is None:
            running.signal(signal.SIGKILL)
        await running.ended()


def stop_server(home: Path) -> None:
    """Kill the embedded server that a killed program left behind."""
    left = find_running(home)
    if left is not None:
        os.kill(left.pid, signal.SIGKILL)
