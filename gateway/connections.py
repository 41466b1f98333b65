"""Temporal and the store, as far as they answer: both may come later than the gateway, and go for a while."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec, Self, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Connection
from temporalio.service import RPCError, RPCStatusCode

from qurable.client import Qurable
from qurable.errors import JobNotFound, NoWorker, ServiceUnreachable, StoreUnavailable
from qurable.temporal.connect import connected
from store import jobs
from store.database import Database

P = ParamSpec("P")
T = TypeVar("T")

_TEMPORAL_SECONDS = 3.0
_STORE_SECONDS = 6.0
"""A little more than SQLite waits for a lock, so that its own word is heard."""
_WORKER_SECONDS = 20.0
_HEALTH = timedelta(seconds=1)


class Connections:
    """What the routes ask, each within a limited time.

    Args:
        home: Data folder.
        store_url: Of the store, with its password.

    Attributes:
        stopping: Set when the gateway stops; whoever waits for something else looks at it.
    """

    def __init__(self, home: Path, store_url: str) -> None:
        self.stopping = asyncio.Event()
        self._home = home
        self._database = Database(store_url)
        self._migrated = False
        self._qurable: Qurable | None = None
        self._connection = contextlib.AsyncExitStack()
        self._connecting = asyncio.Lock()

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read the store.

        Raises:
            StoreUnavailable: It does not answer.
        """
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                if not self._migrated:
                    await self._database.migrate()
                    self._migrated = True
                return await self._database.read(function, *args, **kwargs)
        except TimeoutError:
            raise StoreUnavailable(
                f"the store {self._database.name} does not answer within {_STORE_SECONDS:g} s"
            ) from None

    async def ask(self, question: Callable[[Qurable], Awaitable[T]]) -> T:
        """Ask Temporal.

        Raises:
            JobNotFound: It does not know the job.
            ServiceUnreachable: It does not answer.
        """
        try:
            async with asyncio.timeout(_TEMPORAL_SECONDS):
                return await question(await self.qurable())
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND:
                raise JobNotFound(f"Temporal knows no such job: {failure.message}") from None
            await self._disconnect()
            raise ServiceUnreachable(f"Temporal does not answer: {failure.message}") from None
        except TimeoutError:
            await self._disconnect()
            raise ServiceUnreachable(f"Temporal does not answer within {_TEMPORAL_SECONDS:g} s") from None
        except ServiceUnreachable:
            await self._disconnect()
            raise

    async def ask_a_worker(self, question: Callable[[Qurable], Awaitable[T]]) -> T:
        """Ask something that a worker answers, through Temporal.

        Raises:
            ServiceUnreachable: Temporal does not answer.
            NoWorker: Temporal does, and no worker.
        """
        qurable = await self.ask(_reached)
        try:
            async with asyncio.timeout(_WORKER_SECONDS):
                return await question(qurable)
        except TimeoutError:
            raise NoWorker(
                f"no worker answered within {_WORKER_SECONDS:g} s: start one with `python worker.py` or `make up`"
            ) from None

    async def qurable(self) -> Qurable:
        """The client, connected when it is first needed, and again after Temporal was gone.

        Raises:
            ServiceUnreachable: There is nothing to connect to.
        """
        async with self._connecting:
            if self._qurable is None:
                self._qurable = Qurable(
                    await self._connection.enter_async_context(connected(home=self._home))
                )
            return self._qurable

    async def _disconnect(self) -> None:
        """Look for Temporal anew next time: an embedded server may come back elsewhere."""
        async with self._connecting:
            self._qurable = None
            await self._connection.aclose()

    async def answers(self) -> tuple[bool, bool]:
        """Whether Temporal and the store answer now."""
        return await asyncio.gather(self._temporal_answers(), self._store_answers())

    async def _temporal_answers(self) -> bool:
        try:
            await self.ask(_reached)
        except ServiceUnreachable:
            return False
        return True

    async def _store_answers(self) -> bool:
        try:
            await self.read(jobs.summaries, limit=1)
        except StoreUnavailable:
            return False
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()
        await self._database.close()


async def _reached(qurable: Qurable) -> Qurable:
    """The client of a Temporal that serves."""
    await qurable.temporal.service_client.check_health(timeout=_HEALTH)
    return qurable


def _connections(request: Request) -> Connections:
    connections: Connections = request.app.state.connections
    return connections


Connected = Annotated[Connections, Depends(_connections)]
"""For routes: the connections of the application that serves them."""
