"""One measurement for all who ask at the same time; a claim that brings nothing holds nobody up."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, update

from qurable.contracts.reports import State
from store.calibrations import Ours, Theirs, Wanted, claim, fill, find, is_under_way, release
from store.database import Database, now
from store.schema import calibrations, jobs

_HOUR = timedelta(hours=1)
_ALL = Wanted("ibm_a", "t" * 64, (0, 1, 2))
_SOME = Wanted("ibm_a", "t" * 64, (0, 2))


def _begin(connection: Connection, *ids: str) -> None:
    for name in ids:
        connection.execute(
            insert(jobs).values(
                id=name,
                project="p",
                kind="sample",
                body_hash="",
                owner="",
                state=State.RUNNING,
                asked="",
                request="",
                accepted_at=now(),
            )
        )


async def test_the_first_measures_and_all_others_take_part(database: Database) -> None:
    """Also those who ask for fewer qubits; the first may ask again; another place or target is another matter."""

    def story(connection: Connection) -> list[object]:
        _begin(connection, "first", "second")
        return [
            claim(connection, _ALL, "first", _HOUR),
            claim(connection, _ALL, "first", _HOUR),
            claim(connection, _ALL, "second", _HOUR),
            claim(connection, _SOME, "second", _HOUR),
            claim(connection, Wanted("ibm_b", _ALL.target, _ALL.qubits), "second", _HOUR),
            claim(connection, Wanted(_ALL.place, "u" * 64, _ALL.qubits), "second", _HOUR),
        ]

    first, again, second, fewer, elsewhere, anew = await database.write(story)

    assert first == again == Ours(_ALL.key)
    assert second == fewer == Theirs(_ALL.key, None)
    assert isinstance(elsewhere, Ours)
    assert isinstance(anew, Ours)
    assert await database.read(is_under_way, _ALL.key)


async def test_what_was_measured_serves_until_it_is_too_old(database: Database) -> None:
    """Then the next to come measures anew, and the old stays for those who take any age."""
    measured_at = datetime.now(UTC) - 2 * _HOUR

    def story(connection: Connection) -> list[object]:
        _begin(connection, "first", "second")
        claim(connection, _ALL, "first", _HOUR)
        fill(connection, _ALL.key, "first", "found", measured_at)
        strict = Wanted(_ALL.place, _ALL.target, _ALL.qubits, now() - _HOUR)
        return [
            claim(connection, _SOME, "second", _HOUR),
            find(connection, _ALL.key, now() - _HOUR),
            claim(connection, strict, "second", _HOUR),
            find(connection, _ALL.key, None),
        ]

    shared, too_old, anew, old = await database.write(story)

    assert shared == Theirs(_ALL.key, "found")
    assert too_old is None
    assert anew == Ours(_ALL.key)
    assert old == "found"


@pytest.mark.parametrize("how", ["ended", "expired", "released"])
async def test_a_claim_that_brings_nothing_is_taken_over(database: Database, how: str) -> None:
    """Its late result, if it comes after all, does not overwrite the other's."""

    def story(connection: Connection) -> tuple[object, bool]:
        _begin(connection, "first", "second")
        claim(connection, _ALL, "first", _HOUR)
        if how == "ended":
            connection.execute(update(jobs).where(jobs.c.id == "first").values(state=State.FAILED))
        elif how == "expired":
            connection.execute(update(calibrations).values(held_until=now() - _HOUR))
        else:
            release(connection, "first")
        under_way = is_under_way(connection, _ALL.key)
        taken = claim(connection, _ALL, "second", _HOUR)
        fill(connection, _ALL.key, "first", "late", now())
        assert find(connection, _ALL.key, None) is None
        fill(connection, _ALL.key, "second", "found", now())
        assert find(connection, _ALL.key, None) == "found"
        return taken, under_way

    taken, under_way = await database.write(story)

    assert taken == Ours(_ALL.key)
    assert not under_way


async def test_of_two_at_once_one_measures(database: Database) -> None:
    """Both look at the same moment, each in a transaction of its own."""
    await database.write(lambda connection: _begin(connection, *(f"job-{at}" for at in range(8))))
    claims = await asyncio.gather(*(database.write(claim, _ALL, f"job-{at}", _HOUR) for at in range(8)))

    assert sum(isinstance(found, Ours) for found in claims) == 1
