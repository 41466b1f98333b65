"""The cache gives an answer again: once, whole, while it may, and says when it cannot."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fallback.cache_backend import CacheBackend
from isolation.admission import Admission
from isolation.pool import ChildPool
from isolation.runs import Engine
from qurable.contracts.executions import EarlierAnswer, Phase, Piece, Submission, SubmissionKey
from qurable.errors import EarlierAnswerGone, HybridError, InternalError, UnsupportedCircuit
from qurable.testing.shelf import MemoryShelf
from store.database import now

EARLIER = SubmissionKey(job_id="first", backend="ibm:torino", digest="q")
MINE = SubmissionKey(job_id="second", backend="cache", digest="q")
PIECES = [Piece(pub=0, start=0, stop=2, data=b"a"), Piece(pub=1, start=0, stop=1, data=b"b", notes={"n": 1})]


class Killed(Exception):
    """The worker dies here."""


LINES = ("cache:read", "cache:kept")
"""Failpoints between reading an earlier answer and having it again."""


def cache(pool: ChildPool, folder: Path, shelf: MemoryShelf, dies_at: str = "") -> CacheBackend:
    def failpoint(name: str) -> None:
        if name == dies_at:
            raise Killed(name)

    return CacheBackend("cache", Engine(pool, Admission(2**20, folder), shelf, 1, failpoint))


def submission(**fields: Any) -> Submission:
    known = {
        "key": EARLIER,
        "answered": now(),
        "until": now() + timedelta(hours=1),
        "age_seconds": 0.0,
        **fields,
    }
    return Submission(key=MINE, kind="sample", pubs=(), earlier=EarlierAnswer.model_validate(known))


@pytest.mark.parametrize("dies_at", ["", *LINES])
async def test_an_answer_is_given_again_whole(pool: ChildPool, tmp_path: Path, dies_at: str) -> None:
    """Whoever dies over it leaves nothing, or all of it; what becomes of the earlier one after that does not matter."""
    shelf = MemoryShelf()
    await shelf.keep_pieces(EARLIER, PIECES)
    job = await cache(pool, tmp_path, shelf).submit(submission())
    before = await cache(pool, tmp_path, shelf).state(job)
    if dies_at:
        with pytest.raises(Killed):
            await cache(pool, tmp_path, shelf, dies_at).run(job, print)
    left = await shelf.pieces(MINE)
    await cache(pool, tmp_path, shelf).run(job, print)
    shelf._pieces.pop(EARLIER.tag)
    await cache(pool, tmp_path, shelf).run(job, print)
    backend = cache(pool, tmp_path, shelf)

    assert before.phase is Phase.QUEUED
    assert list(left) == ([*PIECES] if dies_at == "cache:kept" else [])
    assert list(await backend.result(job)) == PIECES
    assert (await backend.state(job)).phase is Phase.DONE
    assert await backend.find(MINE) == job


async def test_what_is_gone_or_too_old_is_said_to_be(pool: ChildPool, tmp_path: Path) -> None:
    """Before anything is kept, and again when it is to be given: the route may be hours old by then."""
    shelf = MemoryShelf()
    backend = cache(pool, tmp_path, shelf)
    errors: list[HybridError] = []
    for wanted in (submission(), submission(until=now())):
        with pytest.raises(EarlierAnswerGone) as caught:
            await backend.submit(wanted)
        errors.append(caught.value)
    await shelf.keep_pieces(EARLIER, PIECES)
    job = await backend.submit(submission())
    shelf._pieces.clear()
    with pytest.raises(EarlierAnswerGone) as caught:
        await backend.run(job, print)

    assert "was deleted after the route was planned" in errors[0].message
    assert "is too old by now" in errors[1].message
    assert "was deleted" in caught.value.message
    assert await shelf.pieces(MINE) == []


async def test_it_runs_nothing(pool: ChildPool, tmp_path: Path) -> None:
    """A submission without an answer is a defect of ours, and no circuit is compiled for it."""
    backend = cache(pool, tmp_path, MemoryShelf())

    with pytest.raises(InternalError):
        await backend.submit(Submission(key=MINE, kind="sample", pubs=()))
    with pytest.raises(UnsupportedCircuit):
        await backend.target_document()
    assert not (await backend.target()).reads_circuits
