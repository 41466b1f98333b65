"""What was sent where: one row per submission key, written before anything is sent."""

from sqlalchemy import Connection, select, update

from qurable.contracts.executions import SubmissionKey
from store import reservations
from store.database import insert_once, now
from store.schema import submissions


def intend(connection: Connection, key: SubmissionKey) -> None:
    """Write down that a submission is about to be made."""
    insert_once(
        connection,
        submissions,
        {
            "tag": key.tag,
            "job_id": key.job_id,
            "backend": key.backend,
            "digest": key.digest,
            "ordinal": key.ordinal,
            "withdrawn": False,
            "intended_at": now(),
        },
    )


def settle_handle(connection: Connection, key: SubmissionKey, handle: str) -> str:
    """Set the handle where it is still unset; gives back the one that stands."""
    intend(connection, key)
    connection.execute(
        update(submissions)
        .where(submissions.c.tag == key.tag, submissions.c.handle.is_(None))
        .values(handle=handle, submitted_at=now())
    )
    kept: str = connection.execute(
        select(submissions.c.handle).where(submissions.c.tag == key.tag)
    ).scalar_one()
    return kept


def as_sent(connection: Connection, tag: str, other: str) -> None:
    """A submission was sent as part of another: what was sent is that one's document."""
    sent = select(submissions.c.document).where(submissions.c.tag == other).scalar_subquery()
    connection.execute(update(submissions).where(submissions.c.tag == tag).values(document=sent))


def handle(connection: Connection, tag: str) -> str | None:
    """The handle of a submission."""
    found: str | None = connection.execute(
        select(submissions.c.handle).where(submissions.c.tag == tag)
    ).scalar()
    return found


def withdraw(connection: Connection, key: SubmissionKey) -> None:
    """Mark a submission as withdrawn, and give back what is reserved for parts that nobody can send any more."""
    intend(connection, key)
    connection.execute(update(submissions).where(submissions.c.tag == key.tag).values(withdrawn=True))
    reservations.settle_submission(connection, key.tag)


def is_withdrawn(connection: Connection, tag: str) -> bool:
    """Whether a submission was withdrawn."""
    return bool(connection.execute(select(submissions.c.withdrawn).where(submissions.c.tag == tag)).scalar())


def of_job(connection: Connection, job_id: str, backend: str) -> list[SubmissionKey]:
    """Every submission of a job to a backend, oldest first."""
    query = (
        select(submissions)
        .where(submissions.c.job_id == job_id, submissions.c.backend == backend)
        .order_by(submissions.c.intended_at)
    )
    return [
        SubmissionKey(job_id=row.job_id, backend=row.backend, digest=row.digest, ordinal=row.ordinal)
        for row in connection.execute(query)
    ]
