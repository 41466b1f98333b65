"""Time passes in a store: everything it says happened, happened longer ago."""

from datetime import timedelta

from sqlalchemy import Connection, and_, select, update

from store.database import Database, utc
from store.schema import house, permits, provider_jobs, senders, sessions, strays

_TIMES = (
    provider_jobs.c.intended_at,
    provider_jobs.c.posting_at,
    provider_jobs.c.checked_at,
    permits.c.at,
    senders.c.held_until,
    strays.c.seen_at,
    sessions.c.opened_at,
    house.c.minted_at,
)


async def pass_time(database: Database, by: timedelta) -> None:
    """Let time pass for what paid places keep."""
    await database.write(_shift, by)


def _shift(connection: Connection, by: timedelta) -> None:
    for column in _TIMES:
        keys = list(column.table.primary_key)
        for row in connection.execute(select(*keys, column.label("moment"))).mappings().all():
            if row["moment"] is not None:
                this = and_(*(key == row[key.name] for key in keys))
                values = {column.name: utc(row["moment"]) - by}
                connection.execute(update(column.table).where(this).values(values))
