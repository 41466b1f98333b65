"""Jobs, their events and their stages."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import FINAL, JobEvent, JobReport, JobSummary, StageRecord, State
from qurable.errors import InternalError
from store.database import insert_once, utc
from store.schema import events, jobs, shadows, stages


@dataclass(frozen=True)
class Owned:
    """Who owns a job after an attempt to accept it.

    Attributes:
        body_hash: Of the request that created it.
        state: Its state.
        report: Its report, where it has ended.
    """

    body_hash: str
    state: State
    report: JobReport | None


def accept(
    connection: Connection, head: JobHead, *, owner: str, request: str, labels: dict[str, str], at: datetime
) -> Owned:
    """Create a job, or find the one that already has the id.

    A job that has not ended and has the same body is taken over: its owner is a workflow that Temporal has
    lost, since no two of one id run at once.
    """
    insert_once(
        connection,
        jobs,
        {
            "id": head.id,
            "project": head.project,
            "kind": head.kind,
            "body_hash": head.body_hash,
            "owner": owner,
            "state": State.ACCEPTED,
            "asked": _text(head.asked, 200),
            "served_by": "",
            "labels": json.dumps(labels),
            "request": request,
            "accepted_at": at,
        },
    )
    row = connection.execute(_JOB, {"job_id": head.id}).one()
    state = State(row.state)
    if row.owner != owner and row.body_hash == head.body_hash and state not in FINAL:
        connection.execute(update(jobs).where(jobs.c.id == head.id).values(owner=owner))
    ended_by_another = state in FINAL and row.owner != owner
    return Owned(row.body_hash, state, read_report(row) if ended_by_another else None)


def _text(words: str, longest: int) -> str:
    """Words as both databases take them: PostgreSQL refuses null bytes."""
    return words[:longest].replace("\0", "�")


def owned_by(connection: Connection, job_id: str, owner: str) -> Owned | None:
    """The job, if this execution has accepted it before."""
    row = find(connection, job_id)
    if row is None or row.owner != owner:
        return None
    return Owned(row.body_hash, State(row.state), None)


def add_events(connection: Connection, job_id: str, entered: Sequence[JobEvent], *, rung: int = 0) -> None:
    """Record that a job entered states; the first record of a state on a rung stands."""
    new = False
    for event in entered:
        row = {
            "job_id": job_id,
            "rung": rung,
            "state": event.state,
            "at": event.at,
            "backend": event.backend,
            "detail": _text(event.detail, 2000),
        }
        new = insert_once(connection, events, row) or new
    if new:
        connection.execute(_ENTER, {"job": job_id, "entered": entered[-1].state})


_ENTER = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.ended_at.is_(None))
    .values(state=bindparam("entered"))
)


def outputs(connection: Connection, job_id: str) -> dict[str, bytes]:
    """What each step that ran to its end returned, deflated."""
    return {row.step: row.output for row in connection.execute(_OUTPUTS, {"job_id": job_id})}


_OUTPUTS = select(stages.c.step, stages.c.output).where(stages.c.job_id == bindparam("job_id"))


def finish_stages(
    connection: Connection, job_id: str, ended: Sequence[tuple[str, StageRecord, bytes]]
) -> bool:
    """Record that steps ran to their end, each with what it returned; whether nobody had recorded any of them."""
    first = True
    for step, record, output in ended:
        row = {
            "job_id": job_id,
            "step": step,
            "stage": record.stage,
            "rung": record.rung,
            "started_at": record.started,
            "ended_at": record.ended,
            "attempt": record.attempt,
            "worker": record.worker[:200],
            "parts": json.dumps(record.parts),
            "output": zlib.compress(output, 1),
        }
        first = insert_once(connection, stages, row) and first
    return first


def end(connection: Connection, report: JobReport, *, at: datetime) -> JobReport:
    """Give a job its report; the first report stands and is given back."""
    slim = report.model_copy(update={"results": ()})
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == report.id, jobs.c.ended_at.is_(None))
        .values(
            state=report.state,
            served_by=report.served_by,
            ended_at=at,
            report=zlib.compress(slim.model_dump_json().encode(), 1),
        )
    )
    if changed.rowcount:
        return report
    kept = find_report(connection, report.id)
    return report if kept is None else kept


def find_report(connection: Connection, job_id: str) -> JobReport | None:
    """The report of a job that has ended, without its pubs' results."""
    row = find(connection, job_id)
    return None if row is None else read_report(row)


def read_report(row: Row[Any]) -> JobReport | None:
    """The report in a row of `jobs`."""
    return None if row.report is None else JobReport.read(zlib.decompress(row.report))


def find(connection: Connection, job_id: str) -> Row[Any] | None:
    """A job's row."""
    return connection.execute(_JOB, {"job_id": job_id}).one_or_none()


_JOB = select(jobs).where(jobs.c.id == bindparam("job_id"))


def need(connection: Connection, job_id: str) -> Row[Any]:
    """The row of a job that must be there.

    Raises:
        InternalError: It is not.
    """
    row = find(connection, job_id)
    if row is None:
        raise InternalError(f"job {job_id!r} was never accepted")
    return row


def events_of(connection: Connection, job_id: str) -> tuple[JobEvent, ...]:
    """Every state change of a job, oldest first."""
    rows = connection.execute(_EVENTS, {"job_id": job_id})
    return tuple(
        JobEvent(state=State(row.state), at=utc(row.at), backend=row.backend, detail=row.detail)
        for row in rows
    )


_EVENTS = select(events).where(events.c.job_id == bindparam("job_id")).order_by(events.c.id)


def stages_of(connection: Connection, job_id: str) -> tuple[StageRecord, ...]:
    """Every stage of a job that ran to its end, oldest first."""
    rows = connection.execute(_STAGES, {"job_id": job_id})
    return tuple(
        StageRecord(
            stage=row.stage,
            rung=row.rung,
            started=utc(row.started_at),
            ended=utc(row.ended_at),
            attempt=row.attempt,
            worker=row.worker,
            parts=json.loads(row.parts),
        )
        for row in rows
    )


_STAGES = (
    select(*(column for column in stages.c if column.name != "output"))
    .where(stages.c.job_id == bindparam("job_id"))
    .order_by(stages.c.started_at)
)


def summaries(
    connection: Connection,
    *,
    project: str | None = None,
    states: Sequence[State] = (),
    limit: int = 50,
    before: datetime | None = None,
) -> tuple[JobSummary, ...]:
    """Jobs, newest first.

    Args:
        connection: As everywhere.
        project: Of this project alone.
        states: In one of these states alone.
        limit: At most so many.
        before: Accepted before this moment, for the next page.
    """
    shadowed = jobs.outerjoin(shadows, shadows.c.shadow_id == jobs.c.id)
    query = select(jobs, shadows.c.job_id.label("shadow_of")).select_from(shadowed)
    query = query.order_by(jobs.c.accepted_at.desc(), jobs.c.id).limit(limit)
    if project is not None:
        query = query.where(jobs.c.project == project)
    if states:
        query = query.where(jobs.c.state.in_(list(states)))
    if before is not None:
        query = query.where(jobs.c.accepted_at < before)
    return tuple(
        JobSummary(
            id=row.id,
            project=row.project,
            kind=row.kind,
            state=State(row.state),
            asked=row.asked,
            served_by=row.served_by,
            accepted=utc(row.accepted_at),
            ended=None if row.ended_at is None else utc(row.ended_at),
            labels=labels_of(row),
            shadow_of=row.shadow_of or "",
        )
        for row in connection.execute(query)
    )


def labels_of(row: Row[Any]) -> dict[str, str]:
    """The caller's own marks in a row of `jobs`."""
    labels: dict[str, str] = json.loads(row.labels)
    return labels
