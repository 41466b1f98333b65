"""One health of each backend for all workers: nothing is lost, one probes, what is old goes."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from fallback.breaker import BreakerRules, after_fault, after_probe, claimed
from qurable.contracts.health import Breaker, BreakerState
from store import health
from store.clock import moment
from store.database import Database
from store.health import Calls, Window
from store.schema import health as health_rows
from store.schema import health_calls, health_waits, job_retries

PLACE = "ibm:manila"
RULES = BreakerRules(faults_in_a_row=20, least_calls=1000, cool_down_seconds=30)
WELL = Calls("submit", "", 3, 1.5)
FAULT = Calls("submit", "TargetUnavailable", 1, 0.1)


def _url(database: Database) -> str:
    return database._engine.url.render_as_string(hide_password=False)


def _fails(breaker: Breaker, at: datetime, window: Window) -> Breaker:
    return after_fault(
        breaker, RULES, at=at, began=at, reason="down", calls=window.calls, faults=window.faults
    )


def _stays(breaker: Breaker, _at: datetime, _window: Window) -> Breaker:
    return breaker


def _claim(probe: str) -> Callable[[Breaker, datetime], Breaker]:
    def claim(breaker: Breaker, at: datetime) -> Breaker:
        return claimed(breaker, at=at, probe=probe)

    return claim


def _went_well(probe: str) -> Callable[[Breaker, datetime], Breaker]:
    def end(breaker: Breaker, at: datetime) -> Breaker:
        return after_probe(breaker, RULES, at=at, probe=probe, failure=None)

    return end


def _overdue(connection: Connection) -> None:
    """Let the time of a breaker's next probe have come."""
    due = moment(connection) - timedelta(seconds=1)
    connection.execute(update(health_rows).values(until=due))


def _older(hours: float) -> Callable[[Connection], None]:
    """Everything that was counted, so many hours earlier."""

    def age(connection: Connection) -> None:
        for table, column in ((health_calls, "minute"), (health_waits, "at"), (job_retries, "at")):
            for row in connection.execute(select(table)).mappings().all():
                key = [table.c[each.name] == row[each.name] for each in table.primary_key]
                moved = row[column] - timedelta(hours=hours)
                connection.execute(update(table).where(*key).values({column: moved}))

    return age


async def test_no_fault_of_any_worker_is_lost_and_one_of_many_probes(database: Database) -> None:
    """Two workers count 20 faults at the same time, which just open it; then 16 of them want to probe."""
    await database.write(health.note, PLACE, [WELL], RULES.window, _stays)
    async with Database(_url(database)) as other:
        workers = (database, other) * 10
        noted = await asyncio.gather(
            *(worker.write(health.note, PLACE, [FAULT], RULES.window, _fails) for worker in workers)
        )
        seen = (await other.read(health.look, RULES.window)).backends[PLACE]
        early = await other.write(health.change, PLACE, _claim("early"))
        await database.write(_overdue)
        names = [f"probe {number}" for number in range(16)]
        halves = await asyncio.gather(
            *(
                worker.write(health.change, PLACE, _claim(name))
                for worker, name in zip(workers, names, strict=False)
            )
        )
        winner = halves[0].probe
        closed = [
            await other.write(health.change, PLACE, _went_well(name))
            for name in [*(name for name in names if name != winner), winner]
        ]

    assert sorted(breaker.in_a_row for breaker in noted) == list(range(1, 21))
    assert (seen.breaker.state, seen.calls, seen.faults) == (BreakerState.OPEN, 23, 20)
    assert seen.error_rate == 20 / 23
    assert seen.latency_seconds == 0.5
    assert early.state is BreakerState.OPEN
    assert {(breaker.state, breaker.probe) for breaker in halves} == {(BreakerState.HALF_OPEN, winner)}
    assert [breaker.state for breaker in closed] == [BreakerState.HALF_OPEN] * 15 + [BreakerState.CLOSED]


async def test_a_restart_finds_the_breaker_as_it_was(database: Database) -> None:
    """To the microsecond, time zones included."""
    async with Database(_url(database)) as first:
        left = [await first.write(health.note, PLACE, [FAULT], RULES.window, _fails) for _ in range(20)][-1]
    async with Database(_url(database)) as second:
        found = (await second.read(health.look, RULES.window)).backends

    assert left.state is BreakerState.OPEN
    assert {name: known.breaker for name, known in found.items()} == {PLACE: left}


async def test_what_failed_before_it_closed_opens_nothing(database: Database) -> None:
    """The rate that is shown is of the last minutes; the one that decides begins with the closing."""
    windows: list[Window] = []

    def note_window(breaker: Breaker, _at: datetime, window: Window) -> Breaker:
        windows.append(window)
        return breaker

    for _ in range(20):
        await database.write(health.note, PLACE, [FAULT], RULES.window, _fails)
    await database.write(_overdue)
    await database.write(health.change, PLACE, _claim("p"))
    await database.write(health.change, PLACE, _went_well("p"))
    await database.write(health.note, PLACE, [FAULT], RULES.window, note_window)
    shown = (await database.read(health.look, RULES.window)).backends[PLACE]

    assert windows[0].calls <= 1  # a minute that began after it closed may hold the last one
    assert (shown.calls, shown.faults) == (21, 21)


async def test_the_median_of_the_latest_waits_is_kept_and_the_rest_goes(database: Database) -> None:
    """A job that is noted twice has waited once."""
    for number in range(60):
        await database.write(health.note_wait, PLACE, f"tag {number}", float(number))
    await database.write(health.note_wait, PLACE, "tag 59", 1e6)
    await database.write(health.note_wait, "ibm:lima", "other", 7.0)
    found = (await database.read(health.look, RULES.window)).backends
    kept = await database.read(
        lambda connection: connection.execute(select(func.count()).select_from(health_waits)).scalar_one()
    )

    assert (found[PLACE].wait_seconds, found["ibm:lima"].wait_seconds) == (49.0, 7.0)
    assert kept == 22


async def test_retries_are_counted_by_the_hour_and_by_the_job(database: Database) -> None:
    """Over all workers; an hour later the backend has its retries again, a day later the job."""
    async with Database(_url(database)) as other:
        await asyncio.gather(
            *(
                worker.write(health.count_retry, PLACE, f"job {number % 2}")
                for number, worker in enumerate((database, database, other, other, other))
            )
        )
    await database.write(health.count_retry, "ibm:lima", "job 0")
    at_once = await database.write(health.count_retry, PLACE, "job 0")
    await database.write(_older(2))
    later = await database.write(health.count_retry, PLACE, "job 0")
    await database.write(_older(25))
    next_day = await database.write(health.count_retry, PLACE, "job 0")

    assert (at_once.backend, at_once.job) == (6, 5)
    assert (later.backend, later.job) == (1, 6)
    assert (next_day.backend, next_day.job) == (1, 1)


async def test_what_is_counted_is_bounded(database: Database) -> None:
    """By the minute, and no longer than is looked at."""
    for _ in range(30):
        await database.write(health.note, PLACE, [WELL, FAULT], RULES.window, _stays)
    await database.write(_older(2))
    before = (await database.read(health.look, RULES.window)).backends[PLACE]
    await database.write(health.note, PLACE, [WELL], RULES.window, _stays)
    rows = await database.read(
        lambda connection: connection.execute(select(func.count()).select_from(health_calls)).scalar_one()
    )

    assert (before.calls, before.error_rate, before.latency_seconds) == (0, 0.0, None)
    assert rows == 1
