"""Jobs, their events and their stages."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import FINAL, JobEvent, JobReport, JobSummary, StageRecord, State
from store.database import insert_once, utc
from store.schema import events, jobs, stages


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
            "asked": head.asked[:200],
            "served_by": "",
            "labels": json.dumps(labels),
            "request": request,
            "accepted_at": at,
        },
    )
    row = connection.execute(select(jobs).where(jobs.c.id == head.id)).one()
    state = State(row.state)
    if row.owner != owner and row.body_hash == head.body_hash and state not in FINAL:
        connection.execute(update(jobs).where(jobs.c.id == head.id).values(owner=owner))
    ended_by_another = state in FINAL and row.owner != owner
    return Owned(row.body_hash, state, read_report(row) if ended_by_another else None)


def add_event(
    connection: Connection,
    job_id: str,
    state: State,
    *,
    at: datetime,
    rung: int = 0,
    backend: str = "",
    detail: str = "",
) -> None:
    """Record that a job entered a state; the first record of a state on a rung stands."""
    new = insert_once(
        connection,
        events,
        {
            "job_id": job_id,
            "rung": rung,
            "state": state,
            "at": at,
            "backend": backend,
            "detail": detail[:2000],
        },
    )
    if new:
        connection.execute(
            update(jobs).where(jobs.c.id == job_id, jobs.c.ended_at.is_(None)).values(state=state)
        )


def finished_stage(connection: Connection, job_id: str, step: str) -> bytes | None:
    """What a step returned when it ran to its end; None if it has not."""
    output = connection.execute(
        select(stages.c.output).where(stages.c.job_id == job_id, stages.c.step == step)
    ).scalar()
    return None if output is None else zlib.decompress(output)


def finish_stage(connection: Connection, job_id: str, step: str, record: StageRecord, output: bytes) -> bytes:
    """Record that a step ran to its end; gives back what the first to finish it returned."""
    new = insert_once(
        connection,
        stages,
        {
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
        },
    )
    return output if new else finished_stage(connection, job_id, step) or output


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
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else read_report(row)


def read_report(row: Row[Any]) -> JobReport | None:
    """The report in a row of `jobs`."""
    return None if row.report is None else JobReport.read(zlib.decompress(row.report))


def find(connection: Connection, job_id: str) -> Row[Any] | None:
    """A job's row."""
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()


def events_of(connection: Connection, job_id: str) -> tuple[JobEvent, ...]:
    """Every state change of a job, oldest first."""
    rows = connection.execute(select(events).where(events.c.job_id == job_id).order_by(events.c.id))
    return tuple(
        JobEvent(state=State(row.state), at=utc(row.at), backend=row.backend, detail=row.detail)
        for row in rows
    )


def stages_of(connection: Connection, job_id: str) -> tuple[StageRecord, ...]:
    """Every stage of a job that ran to its end, oldest first."""
    rows = connection.execute(select(stages).where(stages.c.job_id == job_id).order_by(stages.c.started_at))
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
    query = select(jobs).order_by(jobs.c.accepted_at.desc(), jobs.c.id).limit(limit)
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
        )
        for row in connection.execute(query)
    )


def labels_of(row: Row[Any]) -> dict[str, str]:
    """The caller's own marks in a row of `jobs`."""
    labels: dict[str, str] = json.loads(row.labels)
    return labels
