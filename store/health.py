"""How backends have done of late: counts of calls by the minute, waits, and a breaker for each.

Whatever changes a backend's breaker holds its row's lock, so that no change is lost and no two workers probe.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, case, delete, func, select, update

from qurable.contracts.health import BackendHealth, Breaker, BreakerState
from store.clock import moment
from store.database import insert_once, utc
from store.schema import health, health_calls, health_waits, job_retries

RETRY = "retry"
"""Stands among what was asked for a fault that is tried again."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_BOUND_DAYS = 7
_WAITS = 21
"""So many waits make the median; older ones go."""

_WELL = ""


@dataclass(frozen=True)
class Calls:
    """Calls of one sort that ended alike.

    Attributes:
        asked: Name of the activity that called.
        code: The error's; empty where they went well.
        count: How many.
        seconds: What they took, together.
        reason: What the last one ended with.
    """

    asked: str
    code: str = _WELL
    count: int = 1
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Window:
    """Calls of a backend over some time.

    Attributes:
        calls: All that count.
        faults: Those that ended in its fault.
        latency_seconds: Mean of those that went well; None without one.
    """

    calls: int = 0
    faults: int = 0
    latency_seconds: float | None = None


Decide = Callable[[Breaker, datetime, Window], Breaker]
"""From a breaker, the present moment and the calls of the window since it closed, to what becomes of it."""


def note(
    connection: Connection, backend: str, calls: Sequence[Calls], window: timedelta, decide: Decide
) -> Breaker:
    """Count calls, and let the breaker follow from them; gives back what it now is."""
    breaker = _locked(connection, backend)
    at = moment(connection)
    for entry in calls:
        _count(connection, backend, at, entry)
    expired = health_calls.c.minute < at - _HOUR - timedelta(minutes=1)
    connection.execute(delete(health_calls).where(health_calls.c.backend == backend, expired))
    since = max(at - window, breaker.since)
    return _kept(
        connection, backend, breaker, decide(breaker, at, _windows(connection, since).get(backend, Window()))
    )


def change(connection: Connection, backend: str, decide: Callable[[Breaker, datetime], Breaker]) -> Breaker:
    """Let the breaker of a backend follow from nothing but the time; gives back what it now is."""
    breaker = _locked(connection, backend)
    return _kept(connection, backend, breaker, decide(breaker, moment(connection)))


def _locked(connection: Connection, backend: str) -> Breaker:
    """The breaker of a backend, which nobody else may change until the transaction ends."""
    long_ago = moment(connection) - _BOUND_DAYS * _DAY
    fresh = {"backend": backend, **Breaker(since=long_ago).model_dump()}
    insert_once(connection, health, fresh)
    query = select(health).where(health.c.backend == backend).with_for_update()
    return _breaker(connection.execute(query).mappings().one())


def _breaker(row: RowMapping) -> Breaker:
    return Breaker(
        state=BreakerState(row["state"]),
        since=utc(row["since"]),
        until=None if row["until"] is None else utc(row["until"]),
        reason=row["reason"],
        in_a_row=row["in_a_row"],
        openings=row["openings"],
        probe=row["probe"],
    )


def _kept(connection: Connection, backend: str, before: Breaker, after: Breaker) -> Breaker:
    if after != before:
        connection.execute(update(health).where(health.c.backend == backend).values(**after.model_dump()))
    return after


def _count(connection: Connection, backend: str, at: datetime, entry: Calls) -> None:
    key = {
        "backend": backend,
        "minute": at.replace(second=0, microsecond=0),
        "asked": entry.asked,
        "code": entry.code,
    }
    added = {"count": entry.count, "seconds": entry.seconds}
    _add(connection, health_calls, key, added)


def _add(connection: Connection, table: Table, key: dict[str, Any], added: dict[str, Any]) -> None:
    """Add to the numbers of a row, which begins with them; whoever calls this holds a lock on it."""
    if insert_once(connection, table, {**key, **added}):
        return
    same = [table.c[name] == value for name, value in key.items()]
    more = {name: table.c[name] + value for name, value in added.items()}
    connection.execute(update(table).where(*same).values(more))


def _windows(connection: Connection, since: datetime) -> Mapping[str, Window]:
    """The calls of every backend in the minutes that began since then."""
    count, seconds, well = health_calls.c.count, health_calls.c.seconds, health_calls.c.code == _WELL
    query = (
        select(
            health_calls.c.backend,
            func.sum(count).label("calls"),
            func.sum(case((well, 0), else_=count)).label("faults"),
            func.sum(case((well, seconds), else_=0.0)).label("seconds"),
        )
        .where(health_calls.c.minute >= since, health_calls.c.asked != RETRY)
        .group_by(health_calls.c.backend)
    )
    found = {}
    for row in connection.execute(query).mappings():
        good = row["calls"] - row["faults"]
        found[row["backend"]] = Window(row["calls"], row["faults"], row["seconds"] / good if good else None)
    return found


def note_wait(connection: Connection, backend: str, tag: str, seconds: float) -> None:
    """Keep what a job waited in a backend's queue, and the median of the latest."""
    _locked(connection, backend)
    at = moment(connection)
    insert_once(connection, health_waits, {"tag": tag, "backend": backend, "seconds": seconds, "at": at})
    own = health_waits.c.backend == backend
    latest = connection.execute(
        select(health_waits.c.tag, health_waits.c.seconds)
        .where(own, health_waits.c.at > at - _DAY)
        .order_by(health_waits.c.at.desc())
        .limit(_WAITS)
    ).all()
    connection.execute(
        delete(health_waits).where(own, health_waits.c.tag.not_in([row.tag for row in latest]))
    )
    median = statistics.median(row.seconds for row in latest)
    connection.execute(update(health).where(health.c.backend == backend).values(wait_seconds=median))


@dataclass(frozen=True)
class Retries:
    """Faults that were tried again.

    Attributes:
        backend: At the backend within the last hour, over all jobs.
        job: For the job within a day, over all its stages.
    """

    backend: int
    job: int


def count_retry(connection: Connection, backend: str, job_id: str) -> Retries:
    """Count one more fault that would be tried again; gives back all of them, this one included."""
    _locked(connection, backend)
    at = moment(connection)
    _count(connection, backend, at, Calls(RETRY))
    return Retries(_retries(connection, at)[backend], count_retry_of_job(connection, job_id))


def count_retry_of_job(connection: Connection, job_id: str) -> int:
    """Count one more retry of a job that asks no place; gives back all that it has made, this one included."""
    at = moment(connection)
    connection.execute(delete(job_retries).where(job_retries.c.at < at - _DAY))
    if not insert_once(connection, job_retries, {"job_id": job_id, "count": 1, "at": at}):
        more = {"count": job_retries.c.count + 1}
        connection.execute(update(job_retries).where(job_retries.c.job_id == job_id).values(more))
    made: int = connection.execute(
        select(job_retries.c.count).where(job_retries.c.job_id == job_id)
    ).scalar_one()
    return made


def _retries(connection: Connection, at: datetime) -> Mapping[str, int]:
    query = (
        select(health_calls.c.backend, func.sum(health_calls.c.count))
        .where(health_calls.c.asked == RETRY, health_calls.c.minute > at - _HOUR)
        .group_by(health_calls.c.backend)
    )
    return {backend: count for backend, count in connection.execute(query)}  # noqa: C416  rows are no pairs to mypy


@dataclass(frozen=True)
class Look:
    """The health of all backends at one moment.

    Attributes:
        at: When, by the database's clock.
        backends: By name; those that are absent have never been called.
    """

    at: datetime
    backends: Mapping[str, BackendHealth]


def look(connection: Connection, window: timedelta) -> Look:
    """The health of every backend that was ever called."""
    at = moment(connection)
    rows = connection.execute(select(health)).mappings().all()
    if not rows:
        return Look(at, {})
    windows, retries = _windows(connection, at - window), _retries(connection, at)
    found = {}
    for row in rows:
        name = row["backend"]
        seen = windows.get(name, Window())
        found[name] = BackendHealth(
            breaker=_breaker(row),
            calls=seen.calls,
            faults=seen.faults,
            latency_seconds=seen.latency_seconds,
            wait_seconds=row["wait_seconds"],
            retries=retries.get(name, 0),
        )
    return Look(at, found)
