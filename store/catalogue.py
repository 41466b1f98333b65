"""The backends that workers offer, as they last described them."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from qurable.contracts.targets import TargetSnapshot
from store.database import now
from store.schema import backends


def publish(connection: Connection, snapshots: Iterable[TargetSnapshot]) -> None:
    """Describe backends anew."""
    rows = [
        {"name": snapshot.name, "snapshot": snapshot.model_dump_json(), "seen_at": now()}
        for snapshot in snapshots
    ]
    if rows:
        connection.execute(delete(backends).where(backends.c.name.in_([row["name"] for row in rows])))
        connection.execute(insert(backends), rows)


def published(connection: Connection) -> tuple[TargetSnapshot, ...]:
    """Every backend that was ever described, by name."""
    rows = connection.execute(select(backends.c.snapshot).order_by(backends.c.name))
    return tuple(TargetSnapshot.read(row.snapshot) for row in rows)
