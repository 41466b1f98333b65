"""Matrices: what is asked, the value of each entry, and the report. A value that is kept stays."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from qurable.contracts.matrices import MatrixReport, MatrixState, MatrixStatus, PreparedMatrix
from store import artifacts
from store.artifacts import ArtifactKind
from store.clock import moment
from store.database import insert_all, insert_once
from store.schema import matrices, matrix_entries

_AT_ONCE = 500
_ELSEWHERE = -1
"""The round of an entry that an earlier matrix had."""


@dataclass(frozen=True)
class Entry:
    """An entry that has a value.

    Attributes:
        number: Its place in `PreparedMatrix.entries`.
        value: Float64, little-endian.
        error: Standard errors, likewise.
        shots: Of each measured group; 0 where it was computed without.
        origin: How the errors arose.
        job_id: That it was a part of.
        served_by: Who answered.
        degraded: Whether that was a lower rung than asked for.
    """

    number: int
    value: bytes
    error: bytes
    shots: int
    origin: str
    job_id: str
    served_by: str
    degraded: bool


def take_in(
    connection: Connection,
    identity: str,
    project: str,
    body_hash: str,
    owner: str,
    prepared: PreparedMatrix,
    addresses: Sequence[str],
) -> None:
    """Keep a matrix with its entries, those that are known elsewhere with their values; one that is there stays as it is."""
    row = {
        "id": identity,
        "project": project,
        "body_hash": body_hash,
        "owner": owner,
        "round": 0,
        "state": MatrixState.RUNNING,
        "kind": prepared.request.kind,
        "samples": len(prepared.train) + len(prepared.test),
        "prepared": zlib.compress(prepared.model_dump_json().encode(), 1),
        "seen": 0,
        "accepted_at": moment(connection),
    }
    if not insert_once(connection, matrices, row):
        return
    rows = [
        {
            "matrix_id": identity,
            "number": number,
            "address": address,
            "round": 0,
            "shots": 0,
            "origin": "",
            "job_id": "",
            "served_by": "",
            "degraded": False,
        }
        for number, address in enumerate(addresses)
    ]
    insert_all(connection, matrix_entries, rows)
    _take_over(connection, identity)


def run_again(connection: Connection, identity: str, owner: str) -> None:
    """Have the entries without a value run again; once for each execution that asks."""
    row = connection.execute(select(matrices).where(matrices.c.id == identity).with_for_update()).one()
    if row.owner == owner or row.state == MatrixState.COMPLETED:
        return
    if (
        row.state == MatrixState.RUNNING
    ):  # its workflow was ended from outside; its batch may run, and is gone on with
        claim(connection, identity, owner)
        return
    turn = row.round + 1
    connection.execute(
        update(matrix_entries)
        .where(matrix_entries.c.matrix_id == identity, matrix_entries.c.value.is_(None))
        .values(round=turn)
    )
    connection.execute(
        update(matrices)
        .where(matrices.c.id == identity)
        .values(owner=owner, round=turn, state=MatrixState.RUNNING, seen=0, report=None, ended_at=None)
    )
    _take_over(connection, identity)


def claim(connection: Connection, identity: str, owner: str) -> None:
    """Let an execution go on with a matrix that runs: an earlier one that was ended from outside, or is lost, does not."""
    connection.execute(
        update(matrices)
        .where(matrices.c.id == identity, matrices.c.state == MatrixState.RUNNING)
        .values(owner=owner)
    )


def _take_over(connection: Connection, identity: str) -> None:
    """Give open entries the values that other matrices have for the same question, where nothing stood in for an answer."""
    query = select(matrix_entries.c.number, matrix_entries.c.address).where(
        matrix_entries.c.matrix_id == identity, matrix_entries.c.value.is_(None)
    )
    waiting = {row.address: row.number for row in connection.execute(query)}
    known: dict[str, Row[Any]] = {}
    addresses = list(waiting)
    for start in range(0, len(addresses), _AT_ONCE):
        found = select(matrix_entries).where(
            matrix_entries.c.address.in_(addresses[start : start + _AT_ONCE]),
            matrix_entries.c.value.is_not(None),
            matrix_entries.c.degraded.is_(False),
        )
        known |= {row.address: row for row in connection.execute(found)}
    entries = [_entry(row, waiting[address]) for address, row in known.items()]
    _write(connection, identity, entries, {"round": _ELSEWHERE})


def _entry(row: Row[Any], number: int) -> Entry:
    return Entry(
        number=number,
        value=bytes(row.value),
        error=bytes(row.error),
        shots=row.shots,
        origin=row.origin,
        job_id=row.job_id,
        served_by=row.served_by,
        degraded=row.degraded,
    )


def _write(connection: Connection, identity: str, entries: Iterable[Entry], beside: dict[str, Any]) -> None:
    """Give entries their values, unless they have some."""
    rows = [{f"its_{name}": value for name, value in vars(entry).items()} for entry in entries]
    if not rows:
        return
    columns = ("value", "error", "shots", "origin", "job_id", "served_by", "degraded")
    connection.execute(
        update(matrix_entries)
        .where(
            matrix_entries.c.matrix_id == identity,
            matrix_entries.c.number == bindparam("its_number"),
            matrix_entries.c.value.is_(None),
        )
        .values({**{name: bindparam(f"its_{name}") for name in columns}, **beside}),
        rows,
    )


def keep(connection: Connection, identity: str, turn: int, entries: Sequence[Entry], seen: int) -> None:
    """Keep values that a round's batch has brought, and how much of it has been looked at."""
    _write(connection, identity, entries, {})
    connection.execute(
        update(matrices)
        .where(matrices.c.id == identity, matrices.c.round == turn, matrices.c.seen < seen)
        .values(seen=seen)
    )


def find(connection: Connection, identity: str) -> Row[Any] | None:
    """A matrix's row."""
    return connection.execute(select(matrices).where(matrices.c.id == identity)).one_or_none()


def prepared_of(row: Row[Any]) -> PreparedMatrix:
    """What is kept of a matrix that was taken in."""
    return PreparedMatrix.read(zlib.decompress(row.prepared))


def asked_in(connection: Connection, identity: str, turn: int) -> list[int]:
    """Entries that a round's batch runs, whether or not they have a value by now; always the same ones."""
    query = (
        select(matrix_entries.c.number)
        .where(matrix_entries.c.matrix_id == identity, matrix_entries.c.round == turn)
        .order_by(matrix_entries.c.number)
    )
    return list(connection.execute(query).scalars())


def known(connection: Connection, identity: str) -> list[Entry]:
    """Entries that have a value, in their order."""
    query = (
        select(matrix_entries)
        .where(matrix_entries.c.matrix_id == identity, matrix_entries.c.value.is_not(None))
        .order_by(matrix_entries.c.number)
    )
    return [_entry(row, row.number) for row in connection.execute(query)]


def status(connection: Connection, identity: str) -> MatrixStatus | None:
    """Where a matrix stands, but for its batch; None where there is none."""
    row = find(connection, identity)
    if row is None:
        return None
    ours = matrix_entries.c.matrix_id == identity
    total, kept = connection.execute(
        select(func.count(), func.count(matrix_entries.c.value)).where(ours)
    ).one()
    reused = connection.execute(
        select(func.count()).select_from(matrix_entries).where(ours, matrix_entries.c.round == _ELSEWHERE)
    ).scalar_one()
    return MatrixStatus(
        id=identity,
        project=row.project,
        kind=row.kind,
        state=MatrixState(row.state),
        samples=row.samples,
        entries=total,
        kept=kept,
        reused=reused,
    )


def end(connection: Connection, report: MatrixReport, owner: str, file: bytes | None) -> MatrixReport:
    """Give a matrix its report and keep its file; the first report of an execution stands and is given back."""
    if file is not None:
        artifacts.put(connection, ArtifactKind.MATRIX, [file])
    given = connection.execute(
        update(matrices)
        .where(matrices.c.id == report.id, matrices.c.owner == owner, matrices.c.report.is_(None))
        .values(
            state=report.state,
            report=zlib.compress(report.model_dump_json().encode()),
            ended_at=report.ended,
        )
    )
    if given.rowcount:
        return report
    return find_report(connection, report.id) or report


def find_report(connection: Connection, identity: str) -> MatrixReport | None:
    """The report of a matrix that has ended."""
    body = connection.execute(select(matrices.c.report).where(matrices.c.id == identity)).scalar()
    return None if body is None else MatrixReport.read(zlib.decompress(body))
