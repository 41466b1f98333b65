"""How fast one may send: permits in a sliding minute, per user that the provider counts."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from qurable.ledger import NotYet, Sending
from store.clock import moment
from store.database import insert_once, utc
from store.schema import permits, senders

_WINDOW = timedelta(seconds=60)


def take(connection: Connection, sending: Sending, tag: str) -> NotYet | datetime:
    """Take a permit to send the part of a tag; gives back its time, or why there is none.

    The user's row is locked until the transaction ends, so that two never take the last one.
    """
    held_until = _locked(connection, sending.user)
    at = moment(connection)
    if held_until is not None and held_until > at:
        return NotYet(held_until - at, "the provider asked this account to wait")
    connection.execute(delete(permits).where(permits.c.user == sending.user, permits.c.at <= at - _WINDOW))
    if sending.per_minute is None:
        return at
    given = connection.execute(
        select(permits.c.at)
        .where(permits.c.user == sending.user)
        .order_by(permits.c.at.desc())
        .limit(sending.per_minute)
    ).scalars()
    taken = [utc(found) for found in given]
    if len(taken) >= sending.per_minute:
        return NotYet(
            taken[-1] + _WINDOW - at, f"the account may send {sending.per_minute} submissions a minute"
        )
    connection.execute(insert(permits).values(user=sending.user, tag=tag, at=at))
    return at


def used(connection: Connection, tag: str) -> None:
    """The request that the last permit of a tag was taken for is over.

    The provider counted it at some moment before this one; its minute is counted from here, so that no later request
    can come within the provider's.
    """
    last = select(func.max(permits.c.id)).where(permits.c.tag == tag).scalar_subquery()
    connection.execute(update(permits).where(permits.c.id == last).values(at=moment(connection)))


def give_back(connection: Connection, tag: str) -> None:
    """The request that the last permit of a tag was taken for never left: the provider counted none."""
    last = select(func.max(permits.c.id)).where(permits.c.tag == tag).scalar_subquery()
    connection.execute(delete(permits).where(permits.c.id == last))


def hold(connection: Connection, user: str, again_in: timedelta) -> None:
    """Give no permits for a while; a longer hold that stands is not cut short."""
    held_until = _locked(connection, user)
    until = moment(connection) + again_in
    if held_until is None or held_until < until:
        connection.execute(update(senders).where(senders.c.user == user).values(held_until=until))


def _locked(connection: Connection, user: str) -> datetime | None:
    """Lock a user's row, made where there is none; until when it is held up."""
    insert_once(connection, senders, {"user": user})
    found: datetime | None = connection.execute(
        select(senders.c.held_until).where(senders.c.user == user).with_for_update()
    ).scalar_one()
    return None if found is None else utc(found)
