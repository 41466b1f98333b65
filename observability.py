"""Logs, metrics and health; set up by the composition roots."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.runtime import LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig, TelemetryFilter

from qurable.errors import RequestRejected


def set_up_logs(level: str) -> None:
    """One JSON line per event on standard error, readable lines on a terminal."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def make_runtime(metrics_address: str) -> Runtime | None:
    """The SDK's runtime with Prometheus metrics where an address is given; one per process, before any client."""
    if not metrics_address:
        return None
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR")),
            metrics=PrometheusConfig(
                bind_address=metrics_address, durations_as_seconds=True, counters_total_suffix=True
            ),
        )
    )


Probe = Callable[[], Awaitable[dict[str, bool]]]
"""Says of each service that this process needs whether it answers."""


@contextlib.asynccontextmanager
async def health_endpoint(address: str, probe: Probe) -> AsyncIterator[None]:
    """Serve `GET /health`: 200 while every service answers, 503 otherwise, with the parts in the body.

    Args:
        address: `host:port`; empty serves nothing.
        probe: Asked at every request.

    Raises:
        RequestRejected: Nobody can listen there.
    """
    if not address:
        yield
        return

    async def health(_request: Request) -> JSONResponse:
        services = await probe()
        healthy = all(services.values())
        return JSONResponse(
            {"status": "healthy" if healthy else "unhealthy", "services": services},
            status_code=200 if healthy else 503,
        )

    server = _QuietServer(uvicorn.Config(Starlette(routes=[Route("/health", health)]), log_config=None))
    # It listens before anybody is told so; whoever asks early waits in the backlog.
    serving = asyncio.create_task(server.serve(sockets=[_listening(address)]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host or "127.0.0.1", int(port)))
    except (OSError, ValueError, OverflowError) as failure:
        raise RequestRejected(
            f"nobody can listen at {address!r} ({failure}): give HOST:PORT of a free port of this machine"
        ) from None


class _QuietServer(uvicorn.Server):
    """Uvicorn inside another program, which handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
