"""The composition root: settings -> Temporal client and store -> routes.

It starts whether or not Temporal and the store are there, and serves on a loopback address until there is
authentication.
"""

import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

import observability
from gateway import backends, events, jobs, tasks
from gateway.bodies import BodyLimit
from gateway.connections import Connections
from gateway.errors import handle_errors
from qurable.errors import HybridError, RequestRejected
from qurable.temporal.run_main import run_main
from settings import Settings

_GRACEFUL_STOP_SECONDS = 5


def create_app(settings: Settings) -> FastAPI:
    """The application, with its routes.

    Raises:
        RequestRejected: The address is not a loopback address.
    """
    host, _ = loopback_address(settings.gateway_address)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Connections(settings) as connections:
            app.state.connections = connections
            yield

    app = FastAPI(
        title="Qurable",
        summary="Durable workflows for hybrid quantum-classical jobs",
        version=version("qurable"),
        lifespan=lifespan,
        docs_url=None,  # these pages fetch their scripts from elsewhere
        redoc_url=None,
    )
    for routes in (jobs.router, events.router, backends.router, tasks.router):
        app.include_router(routes)
    handle_errors(app)
    app.add_middleware(BodyLimit)
    # A page in a browser may reach loopback under a name of its own; it is not served.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host])
    return app


def loopback_address(address: str) -> tuple[str, int]:
    """Host and port of a loopback address.

    Raises:
        RequestRejected: It is another one, or none.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or int(port) > 65535:
        raise RequestRejected(f"QURABLE_GATEWAY_ADDRESS={address!r} is not host:port")
    if not _is_loopback(host):
        raise RequestRejected(
            f"QURABLE_GATEWAY_ADDRESS={address!r} is not on this machine alone: there is no authentication yet, so "
            f"give a loopback address such as 127.0.0.1:{port}, and put what authenticates in front of it"
        )
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server(uvicorn.Server):
    """Uvicorn on the gateway's address; when it stops, streams and waiting requests end first.

    Args:
        settings: Of the gateway.

    Raises:
        RequestRejected: The address is not a loopback address.
    """

    def __init__(self, settings: Settings) -> None:
        host, port = loopback_address(settings.gateway_address)
        self._app = create_app(settings)
        super().__init__(
            uvicorn.Config(
                self._app,
                host=host,
                port=port,
                log_config=None,
                timeout_graceful_shutdown=_GRACEFUL_STOP_SECONDS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self._app.state.connections.stopping.set()
        await super().shutdown(sockets)


def cli() -> None:
    """Entry point of `python -m gateway.app`."""
    settings = Settings()
    observability.set_up_logs(settings.log_level)
    try:
        run_main(Server(settings).serve())
    except HybridError as error:
        raise SystemExit(f"gateway: {error.message}") from None


if __name__ == "__main__":
    cli()
