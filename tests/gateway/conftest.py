"""A gateway on a real socket, and a client for it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from temporalio.client import Client

from gateway.app import Server
from qurable.temporal.connect import connected
from qurable.temporal.embedded import Address, embedded_server
from settings import Settings
from tests.chaos.ports import free_port
from tests.conftest import MEMORY_MIB, Service

ROOT = Path(__file__).parents[2]

_SECONDS = 60.0
_AGAIN_SECONDS = 0.02


class Http:
    """A client that blocks, from a test that does not: each call waits in a thread.

    Args:
        base: URL of the gateway.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    async def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request and its whole answer."""

        def send() -> requests.Response:
            with requests.Session() as session:
                return session.request(method, self.base + path, timeout=_SECONDS, **options)

        return await asyncio.to_thread(send)

    async def get(self, path: str, **options: Any) -> requests.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, document: Any = None, **options: Any) -> requests.Response:
        return await self.call("POST", path, json=document, **options)

    async def delete(self, path: str) -> requests.Response:
        return await self.call("DELETE", path)

    async def until(self, path: str, claim: Callable[[Any], bool]) -> Any:
        """The document at a path, as soon as the claim holds of it."""
        async with asyncio.timeout(_SECONDS):
            while True:
                document = (await self.get(path)).json()
                if claim(document):
                    return document
                await asyncio.sleep(_AGAIN_SECONDS)

    async def ended(self, job_id: str) -> Any:
        """The report of a job, as soon as it has ended."""
        return await self.until(f"/jobs/{job_id}", lambda job: "provenance" in job)


class _InTests(Server):
    """The gateway's server beside a test, to which signals belong."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[Http]:
    """A gateway on a free port."""
    server = _InTests(settings.model_copy(update={"gateway_address": "127.0.0.1:0"}))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(_SECONDS):
            while not server.started and not serving.done():
                await asyncio.sleep(_AGAIN_SECONDS)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Http(f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await serving


@pytest.fixture(scope="session")
async def http(service: Service) -> AsyncIterator[Http]:
    """A gateway of the service that tests share."""
    async with running_gateway(service.settings) as http:
        yield http


@dataclass(frozen=True)
class Idle:
    """A Temporal server and a data folder, and nobody who works."""

    settings: Settings
    temporal: Client
    server: Address


NoWorker = Callable[[], AbstractAsyncContextManager[Idle]]


@pytest.fixture
def without_worker(tmp_path: Path) -> NoWorker:
    """Makes services without a worker."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[Idle]:
        settings = Settings(home=tmp_path, memory_mib=MEMORY_MIB, admission_folder=tmp_path / "admission")
        async with (
            embedded_server(tmp_path) as server,
            connected(address=server.target, home=tmp_path) as client,
        ):
            yield Idle(settings, client, server)

    return make


@pytest.fixture(scope="session")
def make_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `make up` runs, in a process and a data folder of its own; gives out the gateway's URL."""
    with up(tmp_path_factory.mktemp("up")) as (base, _):
        yield base


@contextlib.contextmanager
def up(home: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run what `make up` runs for a data folder, until Ctrl-C."""
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "QURABLE_HOME": str(home), "QURABLE_GATEWAY_ADDRESS": address}
    with (home / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "starter.py"), "--up"],
            env=environment,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not wait_until_healthy(f"http://{address}", process):
                pytest.fail((home / "output.txt").read_text())
            yield f"http://{address}", process
        finally:
            press_ctrl_c(process)


def press_ctrl_c(process: "subprocess.Popen[bytes]") -> int:
    """What a terminal does: the whole group hears it. Gives back the exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    return process.wait(_SECONDS)


def wait_until_healthy(base: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a gateway that was started says that all is well; whether it did."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.ConnectionError), requests.Session() as session:
            if session.get(f"{base}/health", timeout=_SECONDS).json()["status"] == "healthy":
                return True
        time.sleep(_AGAIN_SECONDS)
    return False
