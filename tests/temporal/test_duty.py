"""Somebody always works for a data folder, and nobody works twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qurable.temporal.duty import announced, relieved


class Shift:
    """Work that notes when it begins."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        self.began.set()
        yield
        self.ended.set()


async def test_the_first_works_at_once_and_stops_at_its_end(tmp_path: Path) -> None:
    shift = Shift()

    async with relieved(tmp_path, shift):
        assert shift.began.is_set()
    assert shift.ended.is_set()


async def test_the_second_works_only_when_the_first_has_gone(tmp_path: Path) -> None:
    """Two commands at a time share a worker; the one that waits longer is not left without."""
    first, second = Shift(), Shift()
    leaving = contextlib.AsyncExitStack()
    await leaving.enter_async_context(relieved(tmp_path, first))

    async with relieved(tmp_path, second):
        assert not second.began.is_set()
        await leaving.aclose()
        await asyncio.wait_for(second.began.wait(), 10)


async def test_a_worker_that_has_announced_itself_is_enough(tmp_path: Path) -> None:
    with announced(tmp_path):
        shift = Shift()
        async with relieved(tmp_path, shift):
            pass
        assert not shift.began.is_set()


async def test_workers_stand_beside_each_other(tmp_path: Path) -> None:
    with announced(tmp_path), announced(tmp_path):
        pass


async def test_a_relief_that_cannot_work_says_so(tmp_path: Path) -> None:
    """Waiting for a job that nobody will run would be worse."""

    @contextlib.asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise OSError("no memory left")
        yield

    leaving = contextlib.ExitStack()
    leaving.enter_context(announced(tmp_path))

    async def waits_for_a_job() -> None:
        async with relieved(tmp_path, broken):
            leaving.close()
            await asyncio.Event().wait()

    with pytest.raises(OSError, match="no memory left"):
        await asyncio.wait_for(waits_for_a_job(), 10)


async def test_what_the_one_inside_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    with announced(tmp_path), pytest.raises(ValueError, match="mine"):
        async with relieved(tmp_path, Shift()):
            raise ValueError("mine")
