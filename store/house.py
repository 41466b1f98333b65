"""Which house this is: a short name minted once, carried by everything that is sent to a paid place."""

import secrets
from datetime import datetime

from sqlalchemy import Connection, select

from store.clock import moment
from store.database import insert_once, utc
from store.schema import house

_ONLY = 1


def name(connection: Connection) -> str:
    """The house's name, minted where there is none; a restored copy of the store has the same."""
    known: str | None = connection.execute(select(house.c.name)).scalar()
    if known is not None:
        return known
    insert_once(
        connection, house, {"id": _ONLY, "name": secrets.token_hex(6), "minted_at": moment(connection)}
    )
    minted: str = connection.execute(select(house.c.name)).scalar_one()
    return minted


def minted_at(connection: Connection) -> datetime | None:
    """When the name was minted, before anything was sent; None where nothing ever was."""
    found: datetime | None = connection.execute(select(house.c.minted_at)).scalar()
    return None if found is None else utc(found)
