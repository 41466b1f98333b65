"""Readout calibrations by place, target and qubits: what was measured last, and the job that measures now."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from qurable.contracts.base import digest
from qurable.contracts.reports import FINAL, State
from store.database import insert_once, now, utc
from store.schema import calibrations, jobs


@dataclass(frozen=True)
class Wanted:
    """A calibration that a job asks for.

    Attributes:
        place: Where, and how readings are made there.
        target: SHA-256 of the target document.
        qubits: Physical qubits, ascending.
        oldest: One that was measured before this is too old; None for any age.
    """

    place: str
    target: str
    qubits: tuple[int, ...]
    oldest: datetime | None = None

    @property
    def key(self) -> str:
        """Of its row."""
        return digest(json.dumps([self.place, self.target, self.qubits]))


@dataclass(frozen=True)
class Ours:
    """Nobody has it: measure it, then `fill`.

    Attributes:
        key: Of its row.
    """

    key: str


@dataclass(frozen=True)
class Theirs:
    """Another job has measured it, or is measuring it now.

    Attributes:
        key: Of its row.
        measured: Artifact of what was measured; None while it is not there yet.
    """

    key: str
    measured: str | None


def claim(connection: Connection, wanted: Wanted, holder: str, patience: timedelta) -> Ours | Theirs:
    """Look for a calibration of at least these qubits, and claim its measurement where nobody is at it.

    Args:
        connection: As everywhere.
        wanted: What is asked for.
        holder: The job that asks; it may claim again.
        patience: After it, a claim that brought nothing is taken over, as is one of a job that has ended.
    """
    moment = now()
    rows = list(_covering(connection, wanted))
    fresh = [row for row in rows if row.measured and _is_fresh(row, wanted)]
    mine = [row for row in rows if row.key == wanted.key and row.holder == holder]
    if mine:
        return Ours(wanted.key)
    if fresh:
        latest = max(fresh, key=lambda row: utc(row.measured_at))
        return Theirs(latest.key, latest.measured)
    busy = [row for row in rows if _is_held(connection, row, moment)]
    if busy:
        return Theirs(busy[0].key, None)
    claimed = {"holder": holder, "held_until": moment + patience}
    row = {
        "key": wanted.key,
        "place": wanted.place,
        "target": wanted.target,
        "qubits": json.dumps(wanted.qubits),
        **claimed,
    }
    if insert_once(connection, calibrations, row):
        return Ours(wanted.key)
    before = next((row for row in rows if row.key == wanted.key), None)
    seen: list[ColumnElement[bool]] = [calibrations.c.holder.is_(None)]
    if before is not None and before.holder is not None:
        seen.append(calibrations.c.holder == before.holder)
    taken = connection.execute(
        update(calibrations).where(calibrations.c.key == wanted.key, or_(*seen)).values(**claimed)
    )
    return Ours(wanted.key) if taken.rowcount else Theirs(wanted.key, None)


def fill(connection: Connection, key: str, holder: str, measured: str, measured_at: datetime) -> None:
    """Give a claimed row what was measured; a job whose claim was taken over writes nothing."""
    connection.execute(
        update(calibrations)
        .where(calibrations.c.key == key, calibrations.c.holder == holder)
        .values(measured=measured, measured_at=measured_at, holder=None, held_until=None)
    )


def release(connection: Connection, holder: str, *, but: str = "") -> None:
    """Let go of what a job claimed and will not measure, so that nobody waits for it."""
    connection.execute(
        update(calibrations)
        .where(calibrations.c.holder == holder, calibrations.c.key != but)
        .values(holder=None, held_until=None)
    )


def find(connection: Connection, key: str, oldest: datetime | None) -> str | None:
    """Artifact of what was measured, unless that is too old."""
    row = connection.execute(select(calibrations).where(calibrations.c.key == key)).one_or_none()
    if row is None or not row.measured or (oldest is not None and utc(row.measured_at) < oldest):
        return None
    return str(row.measured)


def is_under_way(connection: Connection, key: str) -> bool:
    """Whether a job is measuring it that may still bring it."""
    row = connection.execute(select(calibrations).where(calibrations.c.key == key)).one_or_none()
    return row is not None and _is_held(connection, row, now())


def _covering(connection: Connection, wanted: Wanted) -> Iterator[Any]:
    same = (calibrations.c.place == wanted.place, calibrations.c.target == wanted.target)
    for row in connection.execute(select(calibrations).where(*same)):
        if set(wanted.qubits) <= set(json.loads(row.qubits)):
            yield row


def _is_fresh(row: Any, wanted: Wanted) -> bool:
    return wanted.oldest is None or utc(row.measured_at) >= wanted.oldest


def _is_held(connection: Connection, row: Any, moment: datetime) -> bool:
    if row.holder is None or utc(row.held_until) <= moment:
        return False
    state = connection.execute(select(jobs.c.state).where(jobs.c.id == row.holder)).scalar_one_or_none()
    return state is not None and State(state) not in FINAL
