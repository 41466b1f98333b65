"""What the cache has for a job: an answer of the sort that was asked, from there or from next door, and asked for alike."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from activities.earlier_answers import EarlierAnswers
from backends.registry import Registry
from fallback.table import AsksFor
from fallback.wish import Offer, Wish
from isolation.admission import Admission
from isolation.pool import ChildPool
from isolation.runs import Engine
from qurable.contracts.fallback import Fallback
from qurable.contracts.ibm import DynamicalDecoupling, IbmOptions
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from store.database import Database, now
from store.schema import artifacts
from store.shelf import StoreShelf
from tests.fallback.places import aer, device
from tests.store.answered import DEVICE, answer

CACHE = TargetSnapshot(name="cache", answer_kind=AnswerKind.CACHE, simulator=True)
WEEK = timedelta(days=7)
AT = now()


@pytest.fixture
def cache(database: Database, pool: ChildPool, tmp_path: Path) -> EarlierAnswers:
    shelf = StoreShelf(database)
    return EarlierAnswers(database, shelf, Registry(Engine(pool, Admission(2**20, tmp_path), shelf, cores=1)))


async def _offer(cache: EarlierAnswers, *asked: TargetSnapshot, **fields: Any) -> Offer:
    wish = Wish(**{"asked": DEVICE, "asks_for": AsksFor.HARDWARE, "question": "q", **fields})
    there = [Offer(target.name, target) for target in asked or (device(),)]
    return await cache.offer(CACHE, wish, "lab", WEEK, there)


async def _job(cache: EarlierAnswers, *asked: TargetSnapshot, **fields: Any) -> str:
    """The job whose answer is offered, empty for none."""
    offer = await _offer(cache, *asked, **fields)
    assert (offer.earlier is None) == bool(offer.beside)
    return "" if offer.earlier is None else offer.earlier.key.job_id


async def test_the_place_itself_comes_before_its_neighbour(cache: EarlierAnswers, database: Database) -> None:
    """However new the neighbour's is; and the newest of each."""
    await answer(database, 1, at=AT - timedelta(hours=3))
    await answer(database, 2, at=AT - timedelta(hours=2))
    await answer(database, 3, at=AT - timedelta(hours=1), backend="ibm:fez")
    offer = await _offer(cache)

    assert await _job(cache) == "job-2"
    assert await _job(cache, asked="ibm:kyiv") == "job-2"
    assert await _job(cache, device("ibm:fez"), asked="ibm") == "job-3"
    assert await _job(cache, device("lab_qpu"), asked="lab_qpu") == ""
    assert await _job(cache, fallback=Fallback(cache_age=timedelta(hours=1.5))) == "job-3"
    assert await _job(cache, question="") == ""
    assert offer.earlier is not None
    assert offer.earlier.until - offer.earlier.answered == WEEK
    assert 7200 <= offer.earlier.age_seconds < 7200 + 3600


async def test_no_simulator_and_no_rehearsal_stands_for_a_device(
    cache: EarlierAnswers, database: Database
) -> None:
    """A rehearsal stands for a rehearsal, and a simulator for itself, whatever name it went by."""
    rehearsed: dict[str, Any] = {"answer_kind": AnswerKind.NOISY_SIMULATOR, "emulated": True}
    simulated: dict[str, Any] = {"answer_kind": AnswerKind.SIMULATOR, "paid": False}
    await answer(database, 1, at=AT, backend="aer", **simulated)
    await answer(database, 2, at=AT, **rehearsed)
    await answer(database, 3, at=AT + timedelta(seconds=1), **simulated)

    assert await _job(cache) == ""
    assert await _job(cache, device(**rehearsed)) == "job-2"
    assert (await _offer(cache, device(**rehearsed))).target == CACHE.model_copy(update={"emulated": True})
    assert await _job(cache, aer(), asked="aer", asks_for=AsksFor.SIMULATOR) == "job-1"


async def test_only_what_was_mitigated_alike_is_the_same(cache: EarlierAnswers, database: Database) -> None:
    """How long a job may run decides nothing of its answer; and what was deleted tells nobody."""
    decoupled = IbmOptions(dynamical_decoupling=DynamicalDecoupling())
    await answer(database, 1, at=AT, ibm=decoupled)
    longer = decoupled.model_copy(update={"max_execution_time": 60, "mode": "batch"})
    found = [await _job(cache, ibm=options) for options in (decoupled, longer, IbmOptions())]
    await database.write(_forget)
    forgetful = EarlierAnswers(database, StoreShelf(database), cache._registry)

    assert found == ["job-1", "job-1", ""]
    assert await _job(forgetful, ibm=decoupled) == ""


def _forget(connection: Connection, /) -> None:
    connection.execute(delete(artifacts))
