"""Batches: their items, the jobs that run them, and what became of each."""

import json
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from circuits.batch_file import cut
from qurable.contracts.base import Contract, digest
from qurable.contracts.batches import BatchReport, BatchState, BatchStatus, BrokenLine, ItemReport
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import job_id
from qurable.contracts.reports import Durations, State
from store import artifacts
from store.artifacts import ArtifactKind
from store.clock import moment
from store.database import insert_all, insert_once, utc
from store.schema import batch_chunks, batch_groups, batch_items, batches

_NEVER = 1e300
"""Seconds; the deadline of an item that has none, so that those with one come first."""

_FAILED_SHOWN = 100
_UNANSWERED = (State.FAILED, State.CANCELLED)
_IN_FLIGHT = ("taken", "started")

_NOBODY = ""
"""The owner of a batch that was called off: no execution starts anything for it."""


@dataclass(frozen=True)
class Chunk:
    """Items of one group that run as one job.

    Attributes:
        job_id: Of the job.
        job_key: Its idempotency key.
        group: Number of the group.
        members: Numbers of the items, one binding each.
        started: Whether the job was started.
    """

    job_id: str
    job_key: str
    group: int
    members: tuple[int, ...]
    started: bool


@dataclass(frozen=True)
class Asked:
    """What a chunk's items ask.

    Attributes:
        request: Artifact of the first item's request.
        alone: Whether that is all there is to it.
        seeds: Of the items.
        numbers: Parameter values of each, in the order of sorted names.
    """

    request: str
    alone: bool
    seeds: tuple[int, ...]
    numbers: tuple[tuple[float, ...], ...]


class Bill(Contract):
    """What a chunk's job took and cost."""

    durations: Durations = Durations()
    qpu_seconds: float = 0.0
    price: float | None = 0.0
    currency: str = ""


@dataclass(frozen=True)
class Ended:
    """How a chunk's job ended, for all its items alike."""

    state: State
    served_by: str = ""
    bill: Bill = field(default_factory=Bill)
    error: ErrorDocument | None = None


def take_in(
    connection: Connection,
    identity: str,
    project: str,
    body_hash: str,
    owner: str,
    read: Mapping[str, Any],
) -> None:
    """Keep a batch with its items, cut into chunks; one that is there stays as it is.

    Args:
        connection: As everywhere.
        identity: Batch id.
        project: Public slug.
        body_hash: Of the lines.
        owner: First run id of the execution.
        read: As `circuits.batch_file.read_batch` gives it, each item with a seed.
    """
    groups = read["groups"]
    total = sum(len(group["items"]) for group in groups)
    row = {
        **_row(connection, identity, project, body_hash, BatchState.RUNNING),
        "owner": owner,
        "item_count": total,
        "broken": json.dumps(read["broken"]),
    }
    if not insert_once(connection, batches, row):
        return
    requests = artifacts.put(
        connection, ArtifactKind.REQUEST, [group["request"].encode() for group in groups]
    )
    # Items are numbered as their lines are, whatever group they are in.
    lines = sorted(
        (item[0], at, place) for at, group in enumerate(groups) for place, item in enumerate(group["items"])
    )
    number = {(at, place): item for item, (_, at, place) in enumerate(lines)}
    for at, group in enumerate(groups):
        kept = {name: group[name] for name in ("alone", "priority", "deadline")}
        insert_all(
            connection,
            batch_groups,
            [
                {
                    "batch_id": identity,
                    "number": at,
                    "request": requests[at],
                    "chunk_items": group["chunk"],
                    **kept,
                }
            ],
        )
        rows = [_item(identity, number[at, place], at, *item) for place, item in enumerate(group["items"])]
        insert_all(connection, batch_items, rows)
        members = [number[at, place] for place in range(len(rows))]
        _add_chunks(connection, identity, at, 0, cut(members, group["chunk"]))


def _row(
    connection: Connection, identity: str, project: str, body_hash: str, state: BatchState
) -> dict[str, Any]:
    return {
        "id": identity,
        "project": project,
        "body_hash": body_hash,
        "owner": _NOBODY,
        "round": 0,
        "state": state,
        "item_count": 0,
        "ended_items": 0,
        "broken": "[]",
        "accepted_at": moment(connection),
    }


def claim(connection: Connection, identity: str, owner: str) -> None:
    """Let an execution go on with a batch that runs: an earlier one that was removed, or is lost, does not."""
    connection.execute(
        update(batches)
        .where(batches.c.id == identity, batches.c.state == BatchState.RUNNING)
        .values(owner=owner)
    )


def _item(
    identity: str,
    item: int,
    group: int,
    line: int,
    key: str,
    labels: str,
    seed: int,
    numbers: bytes,
    registers: str,
) -> dict[str, Any]:
    return {
        "batch_id": identity,
        "item": item,
        "line": line,
        "own_key": key,
        "labels": labels,
        "group_number": group,
        "seed": seed,
        "numbers": numbers,
        "registers": registers,
        "state": State.ACCEPTED,
        "job_id": "",
        "served_by": "",
        "seconds": 0.0,
        "qpu_seconds": 0.0,
        "currency": "",
    }


def _add_chunks(
    connection: Connection, identity: str, group: int, turn: int, chunks: Sequence[Sequence[int]]
) -> None:
    """Chunks that wait. A job's id follows from its items, so that a restored store finds the jobs it had."""
    row = connection.execute(
        select(batch_groups.c.priority, batch_groups.c.deadline, batches.c.project)
        .join(batches, batches.c.id == batch_groups.c.batch_id)
        .where(batch_groups.c.batch_id == identity, batch_groups.c.number == group)
    ).one()
    rows = []
    for members in chunks:
        body = json.dumps(list(members))
        key = f"{identity}:{turn}:{digest(body, length=24)}"
        rows.append(
            {
                "batch_id": identity,
                "job_id": job_id(row.project, key),
                "job_key": key,
                "group_number": group,
                "members": zlib.compress(body.encode(), 1),
                "priority": row.priority,
                "deadline": _NEVER if row.deadline is None else row.deadline,
                "state": "waiting",
                "bill": "{}",
            }
        )
    insert_all(connection, batch_chunks, rows)


def find(connection: Connection, identity: str) -> Row[Any] | None:
    """A batch's row."""
    return connection.execute(select(batches).where(batches.c.id == identity)).one_or_none()


def run_again(connection: Connection, identity: str, owner: str) -> None:
    """Have the items without an answer run again; once for each execution that asks."""
    row = _locked(connection, identity)
    if row.owner == owner:
        return
    turn = row.round + 1
    waiting = connection.execute(
        select(batch_items.c.item, batch_items.c.group_number)
        .where(batch_items.c.batch_id == identity, batch_items.c.state.in_(_UNANSWERED))
        .order_by(batch_items.c.item)
    ).all()
    members: dict[int, list[int]] = {}
    for entry in waiting:
        members.setdefault(entry.group_number, []).append(entry.item)
    for group, items in members.items():
        most = connection.execute(
            select(batch_groups.c.chunk_items).where(
                batch_groups.c.batch_id == identity, batch_groups.c.number == group
            )
        ).scalar_one()
        _add_chunks(connection, identity, group, turn, cut(items, most))
    connection.execute(
        update(batch_items)
        .where(batch_items.c.batch_id == identity, batch_items.c.state.in_(_UNANSWERED))
        .values(state=State.ACCEPTED, ended=None, error=None)
    )
    connection.execute(
        update(batches)
        .where(batches.c.id == identity)
        .values(owner=owner, round=turn, state=BatchState.RUNNING, ended_at=None)
    )


def take(connection: Connection, identity: str, owner: str, most: int) -> list[Chunk]:
    """Chunks that are in flight, filled up to so many with those that wait: by priority, then by deadline.

    Whoever takes holds the batch's row meanwhile, as does whoever calls it off: what was called off is never taken, and
    nothing is taken for an execution that does not run the batch any more.
    """
    ours = batch_chunks.c.batch_id == identity
    mine = _locked(connection, identity).owner == owner
    flying = in_flight(connection, identity)
    room = most - len(flying)
    if room <= 0 or not mine:
        return flying
    query = (
        select(batch_chunks)
        .where(ours, batch_chunks.c.state == "waiting")
        .order_by(
            batch_chunks.c.priority,
            batch_chunks.c.deadline,
            batch_chunks.c.group_number,
            batch_chunks.c.job_id,
        )
        .limit(room)
    )
    taken = connection.execute(query).all()
    _enter(connection, identity, [row.job_id for row in taken], "taken")
    return [*flying, *map(_chunk, taken)]


def in_flight(connection: Connection, identity: str) -> list[Chunk]:
    """Chunks whose jobs were started, or are about to be."""
    query = select(batch_chunks).where(
        batch_chunks.c.batch_id == identity, batch_chunks.c.state.in_(_IN_FLIGHT)
    )
    return [_chunk(row) for row in connection.execute(query)]


def _locked(connection: Connection, identity: str) -> Row[Any]:
    """A batch's row, which nobody else locks until the transaction ends."""
    return connection.execute(select(batches).where(batches.c.id == identity).with_for_update()).one()


def started(connection: Connection, identity: str, chunk: Chunk) -> None:
    """A chunk's job is Temporal's by now."""
    connection.execute(
        update(batch_chunks)
        .where(
            batch_chunks.c.batch_id == identity,
            batch_chunks.c.job_id == chunk.job_id,
            batch_chunks.c.state == "taken",
        )
        .values(state="started")
    )


def _enter(connection: Connection, identity: str, job_ids: Sequence[str], state: str) -> None:
    connection.execute(
        update(batch_chunks)
        .where(batch_chunks.c.batch_id == identity, batch_chunks.c.job_id.in_(list(job_ids)))
        .values(state=state)
    )


def _chunk(row: Row[Any]) -> Chunk:
    return Chunk(
        row.job_id,
        row.job_key,
        row.group_number,
        tuple(json.loads(zlib.decompress(row.members))),
        row.state == "started",
    )


def asked(connection: Connection, identity: str, chunk: Chunk) -> Asked:
    """What a chunk's items ask."""
    group = connection.execute(
        select(batch_groups).where(batch_groups.c.batch_id == identity, batch_groups.c.number == chunk.group)
    ).one()
    rows = connection.execute(
        select(batch_items.c.seed, batch_items.c.numbers)
        .where(batch_items.c.batch_id == identity, batch_items.c.item.in_(chunk.members))
        .order_by(batch_items.c.item)
    ).all()
    return Asked(
        group.request,
        group.alone,
        tuple(row.seed for row in rows),
        tuple(tuple(array("d", bytes(row.numbers))) for row in rows),
    )


def end_chunk(connection: Connection, identity: str, chunk: Chunk, ended: Ended, *, alone: bool) -> None:
    """Give a chunk's items their end, each with its share; the first end stands."""
    if not _close(connection, identity, chunk, ended.bill):
        return
    number = len(chunk.members)
    last = connection.execute(
        update(batches)
        .where(batches.c.id == identity)
        .values(ended_items=batches.c.ended_items + number)
        .returning(batches.c.ended_items)
    ).scalar_one()
    bill = ended.bill
    shared = {
        "state": ended.state,
        "job_id": chunk.job_id,
        "served_by": ended.served_by,
        "seconds": bill.durations.run / number,
        "qpu_seconds": bill.qpu_seconds / number,
        "price": None if bill.price is None else bill.price / number,
        "currency": bill.currency,
        "error": None if ended.error is None else ended.error.model_dump_json(),
    }
    connection.execute(
        update(batch_items)
        .where(batch_items.c.batch_id == identity, batch_items.c.item == bindparam("number"))
        .values(**shared, position=bindparam("at"), ended=bindparam("place")),
        [
            {"number": item, "at": None if alone else position, "place": last - number + 1 + position}
            for position, item in enumerate(chunk.members)
        ],
    )


def split_chunk(connection: Connection, identity: str, chunk: Chunk, bill: Bill) -> None:
    """Run the halves of a chunk by themselves, so that an item that fails fails alone."""
    if not _close(connection, identity, chunk, bill):
        return
    turn = connection.execute(select(batches.c.round).where(batches.c.id == identity)).scalar_one()
    half = len(chunk.members) // 2
    _add_chunks(connection, identity, chunk.group, turn, [chunk.members[:half], chunk.members[half:]])


def _close(connection: Connection, identity: str, chunk: Chunk, bill: Bill) -> bool:
    """Close a chunk that is in flight; whether nobody had."""
    closed = connection.execute(
        update(batch_chunks)
        .where(
            batch_chunks.c.batch_id == identity,
            batch_chunks.c.job_id == chunk.job_id,
            batch_chunks.c.state.in_(_IN_FLIGHT),
        )
        .values(state="ended", bill=bill.model_dump_json())
    )
    return bool(closed.rowcount)


def call_off(
    connection: Connection, identity: str, project: str, body_hash: str, error: ErrorDocument
) -> list[Chunk]:
    """Cancel what waits, for good; what is in flight is given back, to be cancelled.

    A batch whose lines nobody has taken in is kept as one that was cancelled, so that nobody takes them in from now on.
    """
    gone = {
        **_row(connection, identity, project, body_hash, BatchState.CANCELLED),
        "ended_at": moment(connection),
    }
    if insert_once(connection, batches, gone):
        return []
    _locked(connection, identity)
    connection.execute(update(batches).where(batches.c.id == identity).values(owner=_NOBODY))
    query = select(batch_chunks).where(batch_chunks.c.batch_id == identity, batch_chunks.c.state == "waiting")
    for row in connection.execute(query).all():
        _enter(connection, identity, [row.job_id], "taken")
        end_chunk(connection, identity, _chunk(row), Ended(State.CANCELLED, error=error), alone=False)
    return in_flight(connection, identity)


def status(connection: Connection, identity: str) -> BatchStatus | None:
    """Where a batch stands; None where there is none."""
    row = find(connection, identity)
    if row is None:
        return None
    by_state = _counted(connection, batch_chunks.c.state, batch_chunks.c.batch_id == identity)
    items = _counted(connection, batch_items.c.state, batch_items.c.batch_id == identity)
    groups = connection.execute(
        select(func.count()).select_from(batch_groups).where(batch_groups.c.batch_id == identity)
    ).scalar_one()
    return BatchStatus(
        id=identity,
        project=row.project,
        state=BatchState(row.state),
        items=row.item_count,
        counts={State(state): count for state, count in items.items()},
        groups=groups,
        chunks=sum(by_state.values()),
        in_flight=sum(by_state.get(state, 0) for state in _IN_FLIGHT),
        broken=tuple(BrokenLine(line=line, problem=problem) for line, problem in json.loads(row.broken)),
    )


def _counted(connection: Connection, column: Any, where: Any) -> dict[str, int]:
    query = select(column.label("at"), func.count().label("number")).where(where).group_by(column)
    return {row.at: row.number for row in connection.execute(query)}


def ended_items(
    connection: Connection, identity: str, after: int, limit: int
) -> list[tuple[int, ItemReport]]:
    """Items in the order in which they ended, each with its place in it, without their results."""
    query = (
        select(batch_items)
        .where(batch_items.c.batch_id == identity, batch_items.c.ended > after)
        .order_by(batch_items.c.ended)
        .limit(limit)
    )
    return [(row.ended, _report(row)) for row in connection.execute(query)]


def register_names(connection: Connection, identity: str, items: Sequence[int]) -> dict[int, list[str]]:
    """The names of classical registers of those items whose group's circuit names them otherwise."""
    query = select(batch_items.c.item, batch_items.c.registers).where(
        batch_items.c.batch_id == identity, batch_items.c.item.in_(list(items)), batch_items.c.registers != ""
    )
    return {row.item: json.loads(row.registers) for row in connection.execute(query)}


def _report(row: Row[Any]) -> ItemReport:
    return ItemReport(
        item=row.item,
        line=row.line,
        key=row.own_key,
        state=State(row.state),
        job_id=row.job_id,
        index=row.position,
        served_by=row.served_by,
        seed=row.seed,
        seconds=row.seconds,
        qpu_seconds=row.qpu_seconds,
        price=row.price,
        currency=row.currency,
        labels=json.loads(row.labels),
        error=None if row.error is None else ErrorDocument.model_validate_json(row.error),
    )


def end(connection: Connection, identity: str, *, cancelled: bool) -> BatchReport:
    """Close a batch whose items have all ended, and put its report together; the first end of a round stands."""
    found = status(connection, identity)
    assert found is not None  # noqa: S101  it was taken in
    if not found.state.final:
        connection.execute(
            update(batches)
            .where(batches.c.id == identity)
            .values(state=found.ended_as(cancelled=cancelled), ended_at=moment(connection))
        )
    made = report(connection, identity)
    assert made is not None  # noqa: S101  its row is closed
    return made


def report(connection: Connection, identity: str) -> BatchReport | None:
    """The report of a batch that has ended; None while it runs, or runs again since somebody looked."""
    row, found = find(connection, identity), status(connection, identity)
    if row is None or found is None or row.ended_at is None:
        return None
    bills = [
        Bill.read(bill)
        for bill in connection.execute(
            select(batch_chunks.c.bill).where(
                batch_chunks.c.batch_id == identity, batch_chunks.c.state == "ended"
            )
        ).scalars()
    ]
    prices = [bill.price for bill in bills]
    failed = connection.execute(
        select(batch_items)
        .where(batch_items.c.batch_id == identity, batch_items.c.state.in_(_UNANSWERED))
        .order_by(batch_items.c.item)
        .limit(_FAILED_SHOWN)
    )
    return BatchReport(
        id=identity,
        project=row.project,
        state=found.state,
        items=found.items,
        counts=found.counts,
        groups=found.groups,
        chunks=found.chunks,
        accepted=utc(row.accepted_at),
        ended=utc(row.ended_at),
        durations=Durations(
            **{name: sum(getattr(bill.durations, name) for bill in bills) for name in Durations.model_fields}
        ),
        qpu_seconds=sum(bill.qpu_seconds for bill in bills),
        price=None if None in prices else sum(price for price in prices if price is not None),
        currency=next((bill.currency for bill in bills if bill.currency), ""),
        failed=tuple(_report(entry) for entry in failed),
        broken=found.broken,
    )
