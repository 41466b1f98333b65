"""Find the service, or start a local one where the application is installed beside the wheel."""

import asyncio
import contextlib
import json as json_module
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import typer

from qurable.client import Qurable
from qurable.errors import (
    HybridError,
    JobCancelled,
    JobFailed,
    NoWorker,
    RequestRejected,
    ServiceUnreachable,
)
from qurable.names import COMMANDS_GROUP
from qurable.temporal.connect import configured
from qurable.temporal.run_main import run_main

ANSWERED, REFUSED, FAILED, UNREACHABLE = 0, 2, 4, 5
INTERRUPTED = 130

_SERVICE = "service"


def run_command(command: Callable[[Qurable], Awaitable[int]], *, json: bool, start: bool) -> int:
    """Run a command against the service; gives back the exit code."""
    try:
        return run_main(_run(command, start=start))
    except HybridError as error:
        return complain(error, json=json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("qurable: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


async def _run(command: Callable[[Qurable], Awaitable[int]], *, start: bool) -> int:
    async with service(start=start) as qurable:
        return await command(qurable)


@contextlib.asynccontextmanager
async def service(*, start: bool) -> AsyncIterator[Qurable]:
    """A client of the configured service, of the local one, or of one that is started for as long as it is needed.

    Raises:
        ServiceUnreachable: There is none, and none may or can be started.
    """
    if start and not configured():
        local = next(iter(entry_points(group=COMMANDS_GROUP, name=_SERVICE)), None)
        if local is not None:
            async with local.load()() as qurable:
                yield qurable
            return
    try:
        stack = contextlib.AsyncExitStack()
        qurable = await stack.enter_async_context(Qurable.connect())
    except ServiceUnreachable as failure:
        if start and not configured():
            raise ServiceUnreachable(
                f"{failure.message}; this is the client alone, which can start none: install the application for that"
            ) from None
        raise
    async with stack:
        yield qurable


def complain(error: HybridError, *, json: bool, program: str = "qurable") -> int:
    """Say what went wrong; gives back the exit code."""
    if json:
        document: dict[str, Any] = {"error": error.document().model_dump(mode="json")}
        if isinstance(error, JobFailed | JobCancelled) and "job_id" in error.details:
            document = {"id": error.details["job_id"], "state": _state(error), "results": [], **document}
        if isinstance(error, JobFailed):
            document["error"] = error.error.model_dump(mode="json")
        print(json_module.dumps(document))  # noqa: T201
    print(f"{program}: {error.message}", file=sys.stderr)  # noqa: T201
    match error:
        case ServiceUnreachable() | NoWorker():
            return UNREACHABLE
        case JobFailed() if error.error.code in _REFUSALS:
            return REFUSED
        case RequestRejected():
            return REFUSED
    return FAILED


@contextlib.contextmanager
def said(*, json: bool) -> Iterator[None]:
    """Say what is refused of a command line, and leave: the service is not looked for."""
    try:
        yield
    except HybridError as error:
        raise typer.Exit(complain(error, json=json)) from None


def _state(error: HybridError) -> str:
    return "cancelled" if isinstance(error, JobCancelled) else "failed"


_REFUSALS = frozenset(
    {
        "RequestRejected",
        "CircuitRejected",
        "UnsupportedCircuit",
        "UnknownBackend",
        "JobTooLarge",
        "CutTooDear",
        "SurvivalTooLow",
        "PreflightRefused",
        "GuardrailBroken",
        "KeyReused",
    }
)
