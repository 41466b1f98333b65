"""Seats and groups: whoever is first decides, on both databases."""

import asyncio
from datetime import timedelta

from qurable.contracts.sharing import Joiner, Share
from qurable.ledger import Claimed, Sending
from store import groups, permits
from store.database import Database
from store.groups import Seat

SENDING = Sending("user", 2, timedelta(seconds=30))


def joiner(tag: str, *, pubs: int = 1, executions: int = 100) -> Joiner:
    """Somebody who waits."""
    return Joiner(tag=tag, window=timedelta(seconds=2), pubs=pubs, executions=executions)


async def seated(database: Database, *tags: str) -> list[Seat]:
    """Seats that wait, with one pub more each."""
    for number, tag in enumerate(tags):
        await database.write(groups.take_seat, f"job-{tag}", joiner(tag, pubs=number + 1))
    return await database.read(groups.waiting, tags)


async def made(database: Database, name: str, seats: list[Seat], sender: str = "") -> bool:
    """Whether a group of its name and these seats could be made."""
    return await database.write(groups.make, name, f"group-{name}", "ibm:torino", seats, b"{}", None, sender)


async def test_a_group_has_its_members_in_order(database: Database) -> None:
    """Each finds its own pubs among the group's."""
    seats = await seated(database, "b", "a", "c")

    assert await made(database, "g", seats)
    assert [(seat.tag, seat.first, seat.pubs) for seat in await database.read(groups.members, "group-g")] == [
        ("b", 0, 1),
        ("a", 1, 2),
        ("c", 3, 3),
    ]
    assert await database.read(groups.waiting, ["a", "b", "c"]) == []


async def test_a_group_with_somebody_who_left_meanwhile_is_not_made(database: Database) -> None:
    """All or none: its request has the leaver's circuits in it."""
    seats = await seated(database, "a", "b")
    left = await database.write(groups.leave, "job-a", joiner("a"))

    assert left == ""
    assert not await made(database, "g", seats)
    assert await database.read(groups.named, "g") is None
    assert [seat.tag for seat in await database.read(groups.waiting, ["a", "b"])] == ["b"]


async def test_who_is_in_a_group_is_in_it_however_often_it_leaves(database: Database) -> None:
    """It hears which; going alone as well would be paid for twice."""
    assert await made(database, "g", await seated(database, "a"))

    assert await database.write(groups.leave, "job-a", joiner("a")) == "group-g"
    seat = await database.read(groups.seat, "a")
    assert seat is not None
    assert (seat.group, seat.left) == ("group-g", True)


async def test_who_left_before_it_came_is_never_seated(database: Database) -> None:
    """A join that was on its way when its job was cancelled comes too late."""
    await database.write(groups.leave, "job-a", joiner("a"))

    assert await seated(database, "a") == []


async def test_of_two_groups_at_once_each_seat_is_in_one(database: Database) -> None:
    """Two workers put the same jobs together, since a collector was reset."""
    seats = await seated(database, "a", "b", "c")
    both = await asyncio.gather(made(database, "g", seats), made(database, "h", seats[:2]))

    assert sorted(both) == [False, True]


async def test_a_group_of_a_name_is_made_once(database: Database) -> None:
    """Whoever comes again after a crash finds the first."""
    seats = await seated(database, "a", "b")
    assert await made(database, "g", seats[:1])

    assert not await made(database, "g", seats[1:])
    found = await database.read(groups.named, "g")
    assert found is not None
    assert found.id == "group-g"


async def test_an_account_has_its_turn_counted_with_groups_on_their_way(database: Database) -> None:
    """Two a minute: a group that has yet to send takes one, a permit the other."""
    free = await database.read(groups.turn, SENDING)
    assert await made(database, "g", await seated(database, "a"), sender="user")
    one_left = await database.read(groups.turn, SENDING)
    taken = await database.write(permits.take, SENDING, "other")
    none_left = await database.read(groups.turn, SENDING)
    elsewhere = await database.read(groups.turn, Sending("another", 2, timedelta(seconds=30)))
    unlimited = await database.read(groups.turn, Sending("user", None, timedelta(seconds=30)))

    assert not isinstance(taken, Claimed)
    assert [free, one_left, elsewhere, unlimited] == [timedelta(0)] * 4
    assert timedelta(0) < none_left <= timedelta(seconds=1)


async def test_used_permits_say_when_the_next_turn_is(database: Database) -> None:
    """A minute after the older of the two."""
    for tag in ("one", "two"):
        await database.write(permits.take, SENDING, tag)

    assert timedelta(seconds=1) < await database.read(groups.turn, SENDING) <= timedelta(seconds=60)


async def test_a_share_is_its_jobs(database: Database) -> None:
    """Reports find it by the job."""
    assert await made(database, "g", await seated(database, "a", "b"))
    share = Share(group="group-g", backend="ibm:torino", members=2, part=0.5)
    await database.write(groups.keep_share, "a", share)

    assert await database.read(groups.shares_of, "job-a") == [share]
    assert await database.read(groups.shares_of, "job-b") == []
