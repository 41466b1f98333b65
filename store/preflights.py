"""What was found of circuits before they were paid for: a cache by content, beside that of compiled circuits."""

from sqlalchemy import Connection, select

from store.database import insert_once, now
from store.schema import transpiles

# A row of the transpile cache under a key of another word: no key of a compiled circuit is a digest of it, and nobody
# claims it, since to find the same twice costs less than to wait.


def find(connection: Connection, key: str) -> str | None:
    """What was kept under a key, as JSON."""
    found: str | None = connection.execute(
        select(transpiles.c.compiled).where(transpiles.c.key == key)
    ).scalar_one_or_none()
    return found


def keep(connection: Connection, key: str, found: str, seconds: float) -> None:
    """Keep what was found; the first stays."""
    moment = now()
    row = {
        "key": key,
        "compiled": found,
        "seconds": seconds,
        "holder": "",
        "held_until": moment,
        "created_at": moment,
    }
    insert_once(connection, transpiles, row)
