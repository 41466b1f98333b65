"""Sessions and batches at providers, which cost money while they are open."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, select, update

from store.clock import moment
from store.database import insert_once, utc
from store.schema import sessions


@dataclass(frozen=True)
class Session:
    """A session or batch that was opened for a rung of a job.

    Attributes:
        id: The provider's id of it.
        job_id: Whose it is.
        rung: Position on the job's route.
        backend: Name of the backend.
        account: Label of the account.
        mode: session or batch.
        opened_at: When it was written down.
        closed_at: When it was closed, None while it is open.
    """

    id: str
    job_id: str
    rung: int
    backend: str
    account: str
    mode: str
    opened_at: datetime
    closed_at: datetime | None


def opened(
    connection: Connection, session: str, *, job_id: str, rung: int, backend: str, account: str, mode: str
) -> None:
    """Write down that a session was opened."""
    row = {
        "id": session,
        "job_id": job_id,
        "rung": rung,
        "backend": backend,
        "account": account,
        "mode": mode,
        "opened_at": moment(connection),
    }
    insert_once(connection, sessions, row)


def closed(connection: Connection, backend: str, session: str) -> None:
    """Write down that a session was closed; the first time stands."""
    connection.execute(
        update(sessions)
        .where(sessions.c.backend == backend, sessions.c.id == session, sessions.c.closed_at.is_(None))
        .values(closed_at=moment(connection))
    )


def of_job(connection: Connection, job_id: str) -> tuple[Session, ...]:
    """Every session of a job, oldest first."""
    query = select(sessions).where(sessions.c.job_id == job_id).order_by(sessions.c.opened_at, sessions.c.id)
    return tuple(map(_session, connection.execute(query)))


def left_open(connection: Connection, grace: timedelta) -> tuple[Session, ...]:
    """Every session that is open for longer than the grace, oldest first."""
    query = (
        select(sessions)
        .where(sessions.c.closed_at.is_(None), sessions.c.opened_at <= moment(connection) - grace)
        .order_by(sessions.c.opened_at, sessions.c.id)
    )
    return tuple(map(_session, connection.execute(query)))


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        id=row.id,
        job_id=row.job_id,
        rung=row.rung,
        backend=row.backend,
        account=row.account,
        mode=row.mode,
        opened_at=utc(row.opened_at),
        closed_at=None if row.closed_at is None else utc(row.closed_at),
    )
