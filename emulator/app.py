"""The composition root: folder -> service -> routes -> a server on loopback."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulator import api, control
from emulator.loopback import HOST, LoopbackOnly
from emulator.service import Service
from emulator.serving import Log
from qurable.errors import RequestRejected

_GRACEFUL_STOP_SECONDS = 3
_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75
"""Longer than clients wait between polls: a connection that is closed under a POST would look like a lost answer."""


class _Breakable(H11Protocol):
    """Lets an answer break its connection: the transport is in the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


def create_app(service: Service) -> Starlette:
    """The application, with its routes; the service runs as long as it does."""
    log = Log()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    return Starlette(
        routes=[*control.routes(service, log), *api.routes(service, log)],
        middleware=[Middleware(LoopbackOnly)],
        lifespan=lifespan,
    )


class EmulatorServer(uvicorn.Server):
    """The emulator on a port of loopback.

    Args:
        folder: Where jobs are kept.
        port: 0 takes a free one.
        speed: Of the clock, where one is asked for.

    Attributes:
        url: Its address.

    Raises:
        RequestRejected: Another emulator has the folder, or somebody the port.
    """

    def __init__(self, folder: Path, port: int, speed: float | None = None) -> None:
        self._listening = _listen(port)
        self.url = f"http://{HOST}:{self._listening.getsockname()[1]}"
        try:
            self._service = Service(folder, speed)
        except BaseException:
            self._listening.close()
            raise
        super().__init__(
            uvicorn.Config(
                create_app(self._service),
                http=_Breakable,
                ws="none",
                log_config=None,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACEFUL_STOP_SECONDS,
            )
        )

    def queue_everywhere(self, seconds: float) -> None:
        """Have other people's jobs keep every device busy for so long before each of ours (s)."""
        self._service.queue_everywhere(seconds)

    async def run_until_stopped(self) -> None:
        """Serve until a signal comes."""
        await self.serve(sockets=[self._listening])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGINT and SIGTERM, without passing them on: whoever asked for the end got it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; held requests are let go."""
        self._service.weather.clear()
        await super().shutdown(sockets)


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off where the protocol is named; else a poll waits 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except (OSError, OverflowError) as failure:
        listening.close()
        raise RequestRejected(
            f"port {port} of {HOST} cannot be listened on ({failure}): give --port another, or 0 for a free one"
        ) from None
    listening.listen(_BACKLOG)
    return listening


def environment(url: str, instance: str) -> dict[str, str]:
    """Variables with which the real client finds an emulator."""
    return {
        "IAM_URL": url,
        "QISKIT_FUNCTIONS_EXPERIMENTAL": "1",
        "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
        "QISKIT_IBM_TOKEN": "emulator",
        "QISKIT_IBM_URL": f"{url}/experimental",
        "QISKIT_IBM_INSTANCE": instance,
    }
