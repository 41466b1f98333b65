"""A reconciler that is killed, doubled or left without a store does in the end what one undisturbed pass would."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy import Connection, delete, update
from temporalio.exceptions import ApplicationError

from qurable.contracts.executions import IncidentKind
from qurable.errors import StoreUnavailable
from store import provider_jobs, sessions
from store.database import Database
from store.ledger import StoreLedger
from store.schema import provider_jobs as rows
from tests.activities.paid_house import GRACE, KEY, House, forget
from tests.fakes.paid import PaidScriptedBackend, Provider
from tests.store.ageing import pass_time

T = TypeVar("T")


@pytest.fixture
def house(database: Database) -> House:
    return House(database, PaidScriptedBackend("qpu", Provider(), StoreLedger(database)))


class _Killed(BaseException):
    """The process is gone."""


class _Dying:
    """A store whose user is killed at the nth line, just before or just after it; or one that fails there once."""

    def __init__(self, database: Database, at: int, failure: BaseException | None = None) -> None:
        self._database = database
        self._left = at
        self._failure = failure or _Killed()

    def _line(self) -> None:
        self._left -= 1
        if self._left == -1 or (self._left < 0 and isinstance(self._failure, _Killed)):
            raise self._failure

    async def read(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        self._line()
        return await self._database.read(function, *args, **kwargs)

    async def write(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        self._line()
        answer = await self._database.write(function, *args, **kwargs)
        self._line()
        return answer


async def _all_loose_ends(house: House) -> None:
    """One of everything: without an owner, with a twin, without a row, with a session."""
    lost = KEY.model_copy(update={"job_id": "lab-2"})
    await house.sent(lost)
    await house.database.write(forget)
    await house.reconcile()
    await house.sent()
    await house.database.write(lambda it: it.execute(update(rows).values(attempts=2)) and None)
    house.provider.post(KEY.tag, await house.qpu.ledger.house())
    await house.database.write(
        sessions.opened, "s1", job_id="lab-1", rung=0, backend="qpu", account="default", mode="session"
    )
    await pass_time(house.database, GRACE)


async def _nothing_is_left(house: House) -> bool:
    twins = [incident.kind for incident in await house.incidents()]
    orphans = [incident.kind for incident in await house.database.read(_orphans)]
    return (
        house.provider.alive() == []
        and house.provider.closed_sessions != []
        and twins == [IncidentKind.DUPLICATE]
        and len(orphans) == 1
        and await house.database.read(provider_jobs.open_submissions) == []
    )


def _orphans(connection: Connection, /) -> list[Any]:
    from store.schema import incidents as table

    return list(connection.execute(table.select().where(table.c.kind == IncidentKind.ORPHAN)))


async def test_a_reconciler_may_be_killed_at_any_line(house: House) -> None:
    """The next pass does what is left, and nothing is lost or counted twice."""
    for line in range(200):
        await house.database.write(_clear)
        house.qpu = PaidScriptedBackend("qpu", Provider(), StoreLedger(house.database))
        await _all_loose_ends(house)
        killed = False
        try:
            await house.reconcile(cast("Database", _Dying(house.database, line)))
        except _Killed:
            killed = True
        await pass_time(house.database, GRACE)
        await house.until_over()

        assert await _nothing_is_left(house), f"killed at line {line}"
        if not killed:
            break
    assert line > 20


def _clear(connection: Connection, /) -> None:
    from store.schema import metadata

    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


async def test_two_reconcilers_at_once_do_it_once(house: House) -> None:
    """A pass that was given to a second worker may still run on the first."""
    await _all_loose_ends(house)
    await asyncio.gather(*(house.reconcile() for _ in range(4)))
    await pass_time(house.database, GRACE)
    await asyncio.gather(*(house.reconcile() for _ in range(4)))
    await house.until_over()

    assert await _nothing_is_left(house)
    assert len(house.provider.cancellations) == len(set(house.provider.cancellations)) == 3


async def test_many_submissions_are_looked_after_in_one_pass(house: House) -> None:
    """More than are looked after at a time; a store that fails in the middle ends the pass, and the next goes on."""
    jobs = [await house.sent(KEY.model_copy(update={"job_id": f"lab-{number}"})) for number in range(20)]
    with pytest.raises(ApplicationError, match="the store is down"):
        await house.reconcile(
            cast("Database", _Dying(house.database, 30, StoreUnavailable("the store is down")))
        )
    report = await house.reconcile()

    assert report.looked == len(jobs)
    assert sorted(house.provider.cancellations) == sorted(job.handle for job in jobs)
