"""Answers that the same question had before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from qurable.contracts.executions import SubmissionKey
from qurable.contracts.reports import JobReport, State
from store import jobs
from store.database import utc
from store.schema import jobs as job_rows
from store.schema import results, submissions

_AMONG = 1000
"""The newest answers to a question; whoever asks it more often within the age limit has one among them."""


@dataclass(frozen=True)
class Answered:
    """A submission that answered a job.

    Attributes:
        key: Its identity.
        document: Artifact of the whole submission, where it cost money.
        ended: When the job was over.
    """

    key: SubmissionKey
    document: str | None
    ended: datetime


def to_question(connection: Connection, question: str, project: str, since: datetime) -> Sequence[Answered]:
    """What answered a question of a project since a moment, the newest first.

    Args:
        connection: As everywhere.
        question: Digest of what was asked.
        project: Whose jobs; answers never cross projects.
        since: Jobs that ended later, and with what they had asked for.
    """
    query = (
        select(submissions, job_rows.c.ended_at)
        .join(job_rows, job_rows.c.id == submissions.c.job_id)
        .where(
            submissions.c.digest == question,
            submissions.c.withdrawn.is_(False),
            job_rows.c.project == project,
            job_rows.c.state == State.COMPLETED,
            job_rows.c.served_by == submissions.c.backend,
            job_rows.c.ended_at >= since,
        )
        .order_by(job_rows.c.ended_at.desc(), submissions.c.tag)
        .limit(_AMONG)
    )
    return [
        Answered(
            SubmissionKey(job_id=row.job_id, backend=row.backend, digest=row.digest, ordinal=row.ordinal),
            row.document,
            utc(row.ended_at),
        )
        for row in connection.execute(query)
    ]


def report_of(connection: Connection, answered: Answered) -> tuple[JobReport, int] | None:
    """The report of an answered job with the bytes of its raw results; None where this submission is not what it reports."""
    report = jobs.find_report(connection, answered.key.job_id)
    size = connection.execute(
        select(func.sum(func.length(results.c.data))).where(results.c.tag == answered.key.tag)
    ).scalar()
    if report is None or size is None or report.provenance is None:
        return None
    return (report, int(size)) if report.provenance.submission == answered.key.tag else None
