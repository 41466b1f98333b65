"""Jobs of schedules in the store, on both databases: what a moment has started, and what is run again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from qurable.contracts.fires import Fire
from qurable.contracts.jobs import job_id
from qurable.contracts.reports import State
from qurable.contracts.schedules import QueryInput
from store import fires
from store.database import Database, insert_all
from store.schema import jobs

AT = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)
FIRE = Fire(schedule="nightly", project="p", at=AT)


def _row(name: str, **fields: Any) -> dict[str, Any]:
    labels = json.dumps(fields.pop("labels", {}))
    return {
        "id": name,
        "project": "p",
        "kind": "sample",
        "body_hash": "b",
        "owner": "o",
        "asked": "aer",
        "state": State.FAILED,
        "request": f"request-{name}",
        "accepted_at": AT - timedelta(hours=1),
        "served_by": "",
        "labels": labels,
        **fields,
    }


async def _put(database: Database, *rows: dict[str, Any]) -> None:
    def put(connection: Connection) -> None:
        insert_all(connection, jobs, list(rows))

    await database.write(put)


async def test_a_moment_knows_what_it_has_started(database: Database) -> None:
    """Also where it was stopped halfway; another moment, and another project, know nothing of it."""
    ids = [job_id("p", FIRE.key(position)) for position in (1, 2, 3)]
    none = await database.read(fires.standing, FIRE)
    await _put(database, *(_row(ids[at], labels={"fire": f"{at + 1}/3"}) for at in (1, 2)))
    some = await database.read(fires.standing, FIRE)
    await _put(database, _row(ids[0], labels={"fire": "1/3"}))
    whole = await database.read(fires.standing, FIRE)
    later = await database.read(fires.standing, FIRE.model_copy(update={"at": AT + timedelta(seconds=1)}))
    other = await database.read(fires.standing, FIRE.model_copy(update={"project": "q"}))

    assert (none.requests, none.number, none.complete) == ({}, 0, False)
    assert (sorted(some.requests), some.number, some.complete) == ([2, 3], 3, False)
    assert whole.complete
    assert whole.requests[1] == f"request-{ids[0]}"
    assert (later.number, other.number) == (0, 0)


async def test_a_key_that_somebody_else_has_used_stands(database: Database) -> None:
    """Its labels are somebody's own words."""
    await _put(database, _row(job_id("p", FIRE.key(1)), labels={"fire": "station/four"}))
    standing = await database.read(fires.standing, FIRE)

    assert (sorted(standing.requests), standing.number, standing.complete) == ([1], 0, False)


async def test_a_query_finds_what_ended_so_within_its_time(database: Database) -> None:
    """The newest first, of its own project, and nothing that was run again already."""
    await _put(
        database,
        _row("new", labels={"study": "one"}, accepted_at=AT - timedelta(minutes=5)),
        _row("at-the-moment", accepted_at=AT + timedelta(milliseconds=900)),
        _row("old", accepted_at=AT - timedelta(days=2)),
        _row("later", accepted_at=AT + timedelta(minutes=1)),
        _row("fine", state=State.COMPLETED),
        _row("elsewhere", project="q"),
        _row("repetition", labels={"again": "new"}),
        _row("unread", request=""),
        _row("hour", labels={"study": "two"}),
    )

    async def found(**fields: Any) -> list[str]:
        return [name for name, *_ in await database.read(fires.matching, FIRE, QueryInput(**fields))]

    assert await found() == ["at-the-moment", "new", "hour"]
    assert await found(limit=2) == ["at-the-moment", "new"]
    assert await found(label="study=two") == ["hour"]
    assert await found(within=timedelta(days=3)) == ["at-the-moment", "new", "hour", "old"]
    assert await found(states=(State.COMPLETED,)) == ["fine"]
