"""The database's own clock: workers' clocks may differ, and what they compare must not."""

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from store.database import now


def moment(connection: Connection) -> datetime:
    """The present moment in UTC, also where the transaction has waited for a lock.

    SQLite has no server: whoever uses the file is on this machine and has its clock.
    """
    if connection.dialect.name == "sqlite":
        return now()
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)
