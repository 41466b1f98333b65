"""Who works for a data folder: with an embedded Temporal, a command brings the worker if nobody else has."""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

from qurable.home import made

_FILE = "worker.lock"
_LOOK_AGAIN_SECONDS = 0.2


@contextlib.contextmanager
def announced(home: Path) -> Iterator[None]:
    """Say for as long as it lasts that a worker of this process takes the folder's jobs."""
    with _opened(home) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.asynccontextmanager
async def relieved(
    home: Path, work: Callable[[], contextlib.AbstractAsyncContextManager[object]]
) -> AsyncIterator[None]:
    """See that somebody works for the folder: another process, and this one as soon as the last other has gone.

    Args:
        home: Data folder.
        work: Starts a worker, and stops it at its end.

    Raises:
        Exception: What `work` raised.
    """
    with _opened(home) as file:
        if _is_first(file):
            async with work():
                yield
            return
        try:
            async with asyncio.TaskGroup() as group:
                standing_by = group.create_task(_stand_by(file, work))
                yield
                standing_by.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None


def _opened(home: Path) -> IO[str]:
    return (made(home) / _FILE).open("w")


def _is_first(file: IO[str]) -> bool:
    """Whether nobody works yet; if so, this process now says that it does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_SH)
    return True


async def _stand_by(
    file: IO[str], work: Callable[[], contextlib.AbstractAsyncContextManager[object]]
) -> None:
    while not _is_first(file):
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    async with work():
        await asyncio.Event().wait()
