"""Questions that jobs wait on, and what was decided: one decision for each, ever."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from qurable.contracts.approvals import Approval, Decision, Question
from store.clock import moment
from store.database import insert_once, utc
from store.schema import approvals, jobs


def ask(connection: Connection, question: Question, decision: Decision | None = None) -> Approval:
    """Write a question down, with what was decided where somebody has; gives back what stands.

    The first question and the first decision stand: whoever comes later is told of them.
    """
    row = {
        "job_id": question.job_id,
        "rung": question.rung,
        "route": question.route,
        "project": question.project,
        "question": question.model_dump_json(),
        "asked_at": question.asked,
    }
    insert_once(connection, approvals, row)
    if decision is not None:
        connection.execute(
            update(approvals)
            .where(*_of(question.job_id, question.rung, question.route), approvals.c.decided_at.is_(None))
            .values(
                approve=decision.approve,
                by=decision.by,
                reason=decision.reason,
                cap=decision.cap,
                via=decision.via,
                decided_at=decision.at or moment(connection),
            )
        )
    standing = find(connection, question.job_id, question.rung, question.route)
    assert standing is not None  # noqa: S101  it was written a moment ago
    return standing


def find(connection: Connection, job_id: str, rung: int, route: str) -> Approval | None:
    """What was asked about a rung of a plan, and what was decided."""
    row = connection.execute(select(approvals).where(*_of(job_id, rung, route))).one_or_none()
    return None if row is None else _approval(row)


def of_job(connection: Connection, job_id: str) -> tuple[Approval, ...]:
    """All that was asked about a job, in that order."""
    query = select(approvals).where(approvals.c.job_id == job_id)
    return tuple(map(_approval, connection.execute(query.order_by(approvals.c.asked_at, approvals.c.rung))))


def waiting(connection: Connection) -> tuple[Question, ...]:
    """What is asked of jobs that have not ended, the longest first; of each the question of its last plan."""
    query = (
        select(approvals)
        .join(jobs, jobs.c.id == approvals.c.job_id)
        .where(jobs.c.ended_at.is_(None))
        .order_by(approvals.c.asked_at)
    )
    last = {row.job_id: _approval(row) for row in connection.execute(query)}
    still = [approval.question for approval in last.values() if approval.decision is None]
    return tuple(sorted(still, key=lambda question: question.asked))


def _of(job_id: str, rung: int, route: str) -> tuple[ColumnElement[bool], ...]:
    return approvals.c.job_id == job_id, approvals.c.rung == rung, approvals.c.route == route


def _approval(row: Row[Any]) -> Approval:
    decision = None
    if row.decided_at is not None:
        decision = Decision(
            approve=row.approve,
            by=row.by,
            reason=row.reason,
            cap=row.cap,
            route=row.route,
            via=row.via,
            at=utc(row.decided_at),
        )
    return Approval(question=Question.read(row.question), decision=decision)
