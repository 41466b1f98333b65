"""A batch in the store: what waits, what is in flight, and each item's end, whoever writes it and however often."""

import asyncio
import threading
import time
from array import array
from typing import Any

from sqlalchemy import Connection, text

from qurable.contracts.batches import BatchState
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.reports import Durations, State
from store import batches
from store.batches import Bill, Chunk, Ended
from store.database import Database

ID = "lab-batch-1"
DONE = Ended(
    State.COMPLETED, "aer", Bill(durations=Durations(run=6.0), qpu_seconds=3.0, price=1.5, currency="USD")
)
CANCELLED = ErrorDocument(code="JobCancelled", message="called off")
FAILED = Ended(State.FAILED, error=ErrorDocument(code="ExecutionFailed", message="no"))


def group(lines: range, *, priority: int = 3, deadline: float | None = None) -> dict[str, Any]:
    """As `circuits.batch_file.read_batch` gives it."""
    items = [[line, "", "{}", line, array("d", [float(line)]).tobytes(), ""] for line in lines]
    return {
        "request": f"request of {lines}",
        "alone": False,
        "priority": priority,
        "deadline": deadline,
        "chunk": 16,
        "items": items,
    }


async def taken_in(database: Database, *groups: dict[str, Any]) -> None:
    await database.write(
        batches.take_in, ID, "lab", "body", "first", {"groups": groups, "broken": [[99, "no job"]]}
    )


async def take(database: Database, most: int = 50, owner: str = "first") -> list[Chunk]:
    return await database.write(batches.take, ID, owner, most)


async def end(database: Database, chunk: Chunk, ended: Ended) -> None:
    await database.write(batches.end_chunk, ID, chunk, ended, alone=False)


async def test_the_most_urgent_chunks_are_taken_first_and_so_many_at_a_time(database: Database) -> None:
    """By priority, then by deadline; whoever asks again finds what is in flight."""
    await taken_in(
        database,
        group(range(1, 3)),
        group(range(3, 5), deadline=60.0),
        group(range(5, 7), priority=1),
        group(range(7, 9), deadline=30.0),
    )

    first = await take(database, 1)
    again = await take(database, 1)
    most = await take(database, 3)

    assert [chunk.group for chunk in first] == [2]
    assert again == first
    assert [chunk.group for chunk in most] == [2, 3, 1]
    await database.write(batches.started, ID, most[1])
    assert {chunk.group: chunk.started for chunk in await take(database, 0)} == {2: False, 3: True, 1: False}


async def test_items_are_numbered_by_line_and_keep_their_values(database: Database) -> None:
    """Whatever group they are in; a batch that is taken in twice is there once."""
    for _ in range(2):
        await taken_in(database, group(range(1, 6, 2)), group(range(2, 6, 2)))
    chunks = {chunk.group: chunk for chunk in await take(database)}

    asked = await database.read(batches.asked, ID, chunks[1])
    status = await database.read(batches.status, ID)

    assert (chunks[0].members, chunks[1].members) == ((0, 2, 4), (1, 3))
    assert (asked.seeds, asked.numbers) == ((2, 4), ((2.0,), (4.0,)))
    assert status is not None
    assert (status.items, status.open, status.groups, status.chunks) == (5, 5, 2, 2)


async def test_an_item_has_its_share_and_the_first_end_stands(database: Database) -> None:
    """They are told in the order in which they ended."""
    await taken_in(database, group(range(1, 4)), group(range(4, 6)))
    one, other = sorted(await take(database), key=lambda chunk: chunk.group)
    await end(database, other, FAILED)
    await end(database, one, DONE)
    await end(database, one, FAILED)

    told = await database.read(batches.ended_items, ID, 0, 100)
    rest = await database.read(batches.ended_items, ID, told[1][0], 2)
    report = await database.write(batches.end, ID, cancelled=False)

    assert [(place, item.item, item.state) for place, item in told] == [
        (1, 3, State.FAILED),
        (2, 4, State.FAILED),
        (3, 0, State.COMPLETED),
        (4, 1, State.COMPLETED),
        (5, 2, State.COMPLETED),
    ]
    assert [item.item for _, item in rest] == [0, 1]
    _, share = told[3]
    assert (share.seconds, share.qpu_seconds, share.price, share.currency) == (2.0, 1.0, 0.5, "USD")
    assert (share.index, share.served_by, share.job_id) == (1, "aer", one.job_id)
    assert (report.state, report.qpu_seconds, report.price) == (BatchState.PARTIAL, 3.0, 1.5)
    assert [item.item for item in report.failed] == [3, 4]


async def test_a_chunk_is_split_into_halves_once(database: Database) -> None:
    """What the whole of it took and cost stays in the sum."""
    await taken_in(database, group(range(1, 6)))
    (chunk,) = await take(database)
    for _ in range(2):
        await database.write(batches.split_chunk, ID, chunk, DONE.bill)

    halves = await take(database)
    for half in halves:
        await end(database, half, DONE)
    report = await database.write(batches.end, ID, cancelled=False)

    assert sorted(half.members for half in halves) == [(0, 1), (2, 3, 4)]
    assert len({half.job_id for half in (chunk, *halves)}) == 3
    assert (report.qpu_seconds, report.chunks, report.state) == (9.0, 3, BatchState.COMPLETED)


async def test_a_rerun_runs_what_has_no_answer_and_that_once(database: Database) -> None:
    """Its items are told again; the same execution that asks twice gets one rerun."""
    await taken_in(database, group(range(1, 4)), group(range(4, 6)))
    one, other = sorted(await take(database), key=lambda chunk: chunk.group)
    await end(database, one, DONE)
    await end(database, other, FAILED)
    await database.write(batches.end, ID, cancelled=False)

    for _ in range(2):
        await database.write(batches.run_again, ID, "second")
    (again,) = await take(database, owner="second")
    status = await database.read(batches.status, ID)
    no_report = await database.read(batches.report, ID)
    await end(database, again, FAILED)
    await database.write(batches.run_again, ID, "second")
    none = await take(database, owner="second")
    await database.write(batches.run_again, ID, "third")
    (third,) = await take(database, owner="third")
    await end(database, third, DONE)
    report = await database.write(batches.end, ID, cancelled=False)
    told = await database.read(batches.ended_items, ID, 5, 100)

    assert (none, again.members, third.members) == ([], other.members, other.members)
    assert len({other.job_id, again.job_id, third.job_id}) == 3
    assert status is not None
    assert (status.state, status.open) == (BatchState.RUNNING, 2)
    assert no_report is None
    assert (report.state, report.counts) == (BatchState.COMPLETED, {State.COMPLETED: 5})
    assert [item.item for _, item in told] == [3, 4]


async def test_what_waits_is_called_off_and_what_flies_is_not(database: Database) -> None:
    """Jobs in flight are cancelled by whoever can, and end by themselves."""
    await taken_in(database, group(range(1, 3)), group(range(3, 5)))
    (flying,) = await take(database, 1)

    left = [await database.write(batches.call_off, ID, "lab", "body", CANCELLED) for _ in range(2)]
    none = await take(database)
    told = await database.read(batches.ended_items, ID, 0, 100)
    await end(database, flying, DONE)
    report = await database.write(batches.end, ID, cancelled=True)

    assert left == [[flying], [flying]]
    assert none == [flying]
    assert {item.state for _, item in told} == {State.CANCELLED}
    assert len(told) == 2
    assert report.state is BatchState.CANCELLED
    assert report.counts == {State.CANCELLED: 2, State.COMPLETED: 2}


async def test_what_is_being_called_off_is_not_taken_meanwhile(database: Database) -> None:
    """A turn that starts jobs and a cancellation that calls them off meet at the batch's row, and one waits for the other."""
    await taken_in(database, group(range(1, 3)))
    called_off = threading.Event()

    def call_off(connection: Connection) -> None:
        batches.call_off(connection, ID, "lab", "body", CANCELLED)
        called_off.set()
        if not database.is_sqlite:  # which has one writer
            _until_somebody_waits(connection)

    calling_off = asyncio.create_task(database.write(call_off))
    await asyncio.to_thread(called_off.wait)
    taken = await take(database)
    await calling_off

    assert taken == []
    assert await database.read(batches.in_flight, ID) == []


def _until_somebody_waits(connection: Connection) -> None:
    """Until another transaction wants a lock that this one has."""
    for _ in range(3000):
        if connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_lines_that_were_read_too_late_are_not_taken_in(database: Database) -> None:
    """A batch that was cancelled while its lines were being read would run for ever in the store."""
    left = await database.write(batches.call_off, ID, "lab", "body", CANCELLED)
    await taken_in(database, group(range(1, 3)))
    status = await database.read(batches.status, ID)

    assert left == []
    assert status is not None
    assert (status.state, status.items, await take(database)) == (BatchState.CANCELLED, 0, [])


async def test_an_execution_goes_on_with_what_another_has_begun(database: Database) -> None:
    """One that was removed, or that a Temporal restored from before has never heard of."""
    await taken_in(database, group(range(1, 3)))

    none = await take(database, owner="another")
    await database.write(batches.claim, ID, "another")

    assert none == []
    assert len(await take(database, owner="another")) == 1
