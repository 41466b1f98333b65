"""The backends that workers offer, as they last described them."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from qurable.contracts.targets import TargetSnapshot
from store.database import now, put_all
from store.schema import backends


def publish(connection: Connection, snapshots: Iterable[TargetSnapshot]) -> None:
    """Describe backends anew."""
    seen = now()
    rows = [
        {"name": snapshot.name, "snapshot": snapshot.model_dump_json(), "seen_at": seen}
        for snapshot in snapshots
    ]
    put_all(connection, backends, rows)


def offered(connection: Connection, name: str) -> TargetSnapshot | None:
    """A backend as the last worker that had it described it."""
    kept = connection.execute(select(backends.c.snapshot).where(backends.c.name == name)).scalar()
    snapshot = None if kept is None else TargetSnapshot.read(kept)
    return snapshot if snapshot is not None and snapshot.available else None
