"""The composition root: settings -> Temporal client and store -> routes.

It starts whether or not Temporal and the store are there.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

import observability
from gateway import approvals, backends, batches, budgets, events, jobs, rollout, tasks, why
from gateway.address import Address
from gateway.bodies import BodyLimit
from gateway.connections import Connections
from gateway.errors import handle_errors
from gateway.origins import OwnOrigins
from qurable.errors import HybridError
from qurable.temporal.run_main import run_main
from settings import Settings

_GRACEFUL_STOP_SECONDS = 5


def create_app(connections: Connections, names: Sequence[str] = ("*",)) -> FastAPI:
    """The application, with its routes.

    Args:
        connections: To Temporal and the store; closed when the application stops.
        names: What a request may call the gateway, and whose pages may send it.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connections:
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
    for routes in (
        jobs.router,
        batches.router,
        approvals.router,
        events.router,
        backends.router,
        budgets.router,
        rollout.router,
        tasks.router,
        why.router,
    ):
        app.include_router(routes)
    handle_errors(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(OwnOrigins, names=names)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=names)
    return app


class Server(uvicorn.Server):
    """Uvicorn on the gateway's address; when it stops, streams and waiting requests end first.

    Args:
        settings: Of the gateway.

    Raises:
        RequestRejected: The address may not be listened on, or the store's URL names no store.
    """

    def __init__(self, settings: Settings) -> None:
        address = Address.of(settings.gateway_address, settings.gateway_hosts)
        self._connections = Connections(settings.home, settings.store_url)
        super().__init__(
            uvicorn.Config(
                create_app(self._connections, address.names),
                host=address.host,
                port=address.port,
                log_config=None,
                timeout_graceful_shutdown=_GRACEFUL_STOP_SECONDS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self._connections.stopping.set()
        await super().shutdown(sockets)


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def cli() -> None:
    """Entry point of `python -m gateway.app`."""
    parser = argparse.ArgumentParser(prog="python -m gateway.app", description="Serve jobs over HTTP.")
    parser.add_argument(
        "--until-eof",
        action="store_true",
        help="stop when standard input ends, as it does when whoever started this has died",
    )
    if parser.parse_args().until_eof:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        settings = Settings.read()
        observability.set_up_logs(settings.log_level)
        run_main(Server(settings).serve())
    except HybridError as error:
        raise SystemExit(f"gateway: {error.message}") from None


if __name__ == "__main__":
    cli()
