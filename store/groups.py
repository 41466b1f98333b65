"""Groups of jobs that share a provider job, and the seats in them.

A seat is what decides whether a job runs in a group or alone: it is given to a group, or left, by whoever is first, and
stays as it is then. So nobody is run in a group and pays for going alone as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, select, update

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.sharing import Joiner, Share
from qurable.ledger import Sending
from store import artifacts
from store.artifacts import ArtifactKind
from store.clock import moment
from store.database import insert_once, utc
from store.schema import groups, jobs, permits, provider_jobs, seats, senders

_WINDOW = timedelta(seconds=60)
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True)
class Seat:
    """A job that waits for others, or is in a group with them.

    Attributes:
        tag: Of its submission.
        job_id: Whose it is.
        group: Id of the group's job; empty while it waits.
        first: Its first pub among the group's.
        pubs: How many it has.
        executions: What its part of the bill goes by.
        left: Whether nobody waits for it any more.
        joined_at: When it was written down.
    """

    tag: str
    job_id: str
    group: str
    first: int
    pubs: int
    executions: int
    left: bool
    joined_at: datetime


@dataclass(frozen=True)
class Group:
    """A group that was made.

    Attributes:
        id: Of its job.
        backend: Where it runs.
        members: How many seats it has.
        request: Artifact hash of the job's request; empty where none could be made.
        error: Why none could be made.
        made_at: When.
    """

    id: str
    backend: str
    members: int
    request: str
    error: ErrorDocument | None
    made_at: datetime


def take_seat(connection: Connection, job_id: str, joiner: Joiner) -> None:
    """Write down that a job waits for others; the first record stands."""
    insert_once(
        connection,
        seats,
        {
            "tag": joiner.tag,
            "job_id": job_id,
            "first": 0,
            "pubs": joiner.pubs,
            "executions": joiner.executions,
            "left": False,
            "joined_at": moment(connection),
        },
    )


def seat(connection: Connection, tag: str) -> Seat | None:
    """A seat by its tag."""
    row = connection.execute(select(seats).where(seats.c.tag == tag)).one_or_none()
    return None if row is None else _seat(row)


def leave(connection: Connection, job_id: str, joiner: Joiner) -> str:
    """Nobody waits for a seat any more, or ever will; gives back the group that it is in all the same, empty for none."""
    take_seat(connection, job_id, joiner)
    mine = seats.c.tag == joiner.tag
    connection.execute(update(seats).where(mine).values(left=True))
    found: str | None = connection.execute(select(seats.c.group_id).where(mine)).scalar()
    return found or ""


def find(connection: Connection, id: str) -> Group | None:  # noqa: A002  as in the table
    """A group by the id of its job."""
    return _group(connection, groups.c.id == id)


def named(connection: Connection, name: str) -> Group | None:
    """A group by its name."""
    return _group(connection, groups.c.name == name)


def _group(connection: Connection, condition: ColumnElement[bool]) -> Group | None:
    row = connection.execute(select(groups).where(condition)).one_or_none()
    if row is None:
        return None
    error = None if row.error is None else ErrorDocument.read(row.error)
    return Group(row.id, row.backend, row.members, row.request or "", error, utc(row.made_at))


def waiting(connection: Connection, tags: Sequence[str]) -> list[Seat]:
    """Of these seats those that still wait, in the order of the tags."""
    rows = connection.execute(
        select(seats).where(seats.c.tag.in_(tags), seats.c.group_id.is_(None), seats.c.left.is_(False))
    )
    found = {row.tag: _seat(row) for row in rows}
    return [found[tag] for tag in tags if tag in found]


def make(
    connection: Connection,
    name: str,
    id: str,  # noqa: A002  as in the table
    backend: str,
    members: Sequence[Seat],
    request: bytes | None,
    error: ErrorDocument | None,
    sender: str,
) -> bool:
    """Make a group of seats that wait, all or none; whether this one stands.

    It does not where another of its name is there, or one of the members has left or is in a group by now.

    Args:
        connection: As everywhere.
        name: By which whoever makes it again finds it.
        id: Of its job.
        backend: Where it runs.
        members: Its seats, in the order of their pubs.
        request: Of its job; None where none could be made.
        error: Why none could be made.
        sender: Who the provider counts; empty where nobody is counted.
    """
    row = {
        "id": id,
        "name": name,
        "backend": backend,
        "members": len(members),
        "request": None if request is None else artifacts.put(connection, ArtifactKind.REQUEST, [request])[0],
        "error": None if error is None else error.model_dump_json(),
        "sender": sender,
        "made_at": moment(connection),
    }
    tags = [member.tag for member in members]
    here = select(seats.c.tag).where(
        seats.c.tag.in_(tags), seats.c.group_id.is_(None), seats.c.left.is_(False)
    )
    locked = connection.execute(here.order_by(seats.c.tag).with_for_update()).scalars().all()
    if len(locked) != len(tags) or not insert_once(connection, groups, row):
        return False
    first = 0
    for member in members:
        placed = update(seats).where(seats.c.tag == member.tag).values(group_id=id, first=first)
        connection.execute(placed)
        first += member.pubs
    return True


def members(connection: Connection, id: str) -> list[Seat]:  # noqa: A002  as in the table
    """Every seat of a group, in the order of its pubs; those that have left among them."""
    rows = connection.execute(select(seats).where(seats.c.group_id == id).order_by(seats.c.first))
    return [_seat(row) for row in rows]


def keep_share(connection: Connection, tag: str, share: Share) -> None:
    """Write down a seat's part of the bill."""
    connection.execute(update(seats).where(seats.c.tag == tag).values(share=share.model_dump_json()))


def shares_of(connection: Connection, job_id: str) -> list[Share]:
    """A job's parts of provider jobs that it shared; none for most."""
    found = connection.execute(
        select(seats.c.share).where(seats.c.job_id == job_id, seats.c.share.is_not(None))
    )
    return [Share.read(document) for document in found.scalars()]


def turn(connection: Connection, sending: Sending) -> timedelta:
    """How long until the account may send one more; zero for now.

    Groups that are on their way and have not sent yet count as if they had.
    """
    at = moment(connection)
    held_until = connection.execute(
        select(senders.c.held_until).where(senders.c.user == sending.user)
    ).scalar()
    if held_until is not None and utc(held_until) > at:
        return utc(held_until) - at
    if sending.per_minute is None:
        return timedelta(0)
    given = connection.execute(
        select(permits.c.at)
        .where(permits.c.user == sending.user, permits.c.at > at - _WINDOW)
        .order_by(permits.c.at.desc())
        .limit(sending.per_minute)
    )
    used = [utc(found) for found in given.scalars()]
    if len(used) >= sending.per_minute:
        return used[-1] + _WINDOW - at
    return (
        _LOOK_AGAIN
        if len(used) + _under_way(connection, sending.user, at) >= sending.per_minute
        else timedelta(0)
    )


def _under_way(connection: Connection, sender: str, at: datetime) -> int:
    """Groups of the last minute that have yet to send."""
    sent = exists().where(and_(provider_jobs.c.job_id == groups.c.id, provider_jobs.c.attempts > 0))
    ended = exists().where(and_(jobs.c.id == groups.c.id, jobs.c.ended_at.is_not(None)))
    query = select(func.count()).where(
        groups.c.sender == sender, groups.c.made_at > at - _WINDOW, groups.c.error.is_(None), ~sent, ~ended
    )
    found: int = connection.execute(query).scalar_one()
    return found


def _seat(row: Row[tuple[object, ...]]) -> Seat:
    return Seat(
        tag=row.tag,
        job_id=row.job_id,
        group=row.group_id or "",
        first=row.first,
        pubs=row.pubs,
        executions=row.executions,
        left=row.left,
        joined_at=utc(row.joined_at),
    )
