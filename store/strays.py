"""Jobs at a provider that carry this house's tag and have no row here, since they were first seen."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, delete, select

from store.clock import moment
from store.database import insert_all, utc
from store.schema import strays


def note(connection: Connection, backend: str, ids: Sequence[str], grace: timedelta) -> set[str]:
    """Note what is astray at a backend now, and forget what no longer is.

    Returns:
        Those that were first seen longer ago than the grace. The provider's own times are not asked: after a restore
        its jobs are old, and their owners have yet to come by.
    """
    at = moment(connection)
    connection.execute(delete(strays).where(strays.c.backend == backend, strays.c.id.not_in(ids)))
    insert_all(connection, strays, [{"backend": backend, "id": stray, "seen_at": at} for stray in ids])
    rows = connection.execute(select(strays).where(strays.c.backend == backend))
    return {row.id for row in rows if row.id in ids and at - utc(row.seen_at) >= grace}
