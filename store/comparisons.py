"""Comparisons: who asked for each, and its report, which outlives the workflow's history."""

import zlib
from datetime import datetime

from sqlalchemy import Connection, select, update

from qurable.contracts.comparisons import ComparisonHead, ComparisonReport, ComparisonState
from qurable.errors import KeyReused
from store.clock import moment
from store.database import insert_once, utc
from store.schema import comparisons


def begin(connection: Connection, head: ComparisonHead, request: str, owner: str) -> None:
    """Keep a comparison; one that is there stays, and another execution takes it over.

    Args:
        connection: To the store.
        head: Of the comparison.
        request: Artifact hash of the whole.
        owner: First run id of the execution.

    Raises:
        KeyReused: Its key belongs to another comparison.
    """
    row = {
        "id": head.id,
        "project": head.project,
        "body_hash": head.body_hash,
        "owner": owner,
        "state": ComparisonState.RUNNING,
        "request": request,
        "report": None,
        "began_at": moment(connection),
        "ended_at": None,
    }
    if insert_once(connection, comparisons, row):
        return
    known = connection.execute(
        select(comparisons.c.body_hash).where(comparisons.c.id == head.id)
    ).scalar_one()
    if known != head.body_hash:
        raise KeyReused(
            f"the idempotency key of comparison {head.id!r} already belongs to another request or other places: use a new key",
            job_id=head.id,
        )
    connection.execute(update(comparisons).where(comparisons.c.id == head.id).values(owner=owner))


def find(connection: Connection, identity: str) -> tuple[str, datetime] | None:
    """Artifact hash of what a comparison asks, and when it was taken in; None where there is none."""
    query = select(comparisons.c.request, comparisons.c.began_at).where(comparisons.c.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], utc(row[1]))


def find_report(connection: Connection, identity: str) -> ComparisonReport | None:
    """The report of a comparison that has ended."""
    body = connection.execute(select(comparisons.c.report).where(comparisons.c.id == identity)).scalar()
    return None if body is None else ComparisonReport.read(zlib.decompress(body))


def end(connection: Connection, report: ComparisonReport) -> ComparisonReport:
    """Give a comparison its report; the first one stands and is given back."""
    given = connection.execute(
        update(comparisons)
        .where(comparisons.c.id == report.id, comparisons.c.report.is_(None))
        .values(
            state=report.state,
            report=zlib.compress(report.model_dump_json().encode()),
            ended_at=report.ended,
        )
    )
    if given.rowcount:
        return report
    return find_report(connection, report.id) or report
