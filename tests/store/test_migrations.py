"""The tables are what the migrations make, for a fresh store, an old one, and many workers that come at once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import store
from qurable.contracts.executions import SubmissionKey
from qurable.errors import StoreUnavailable
from store import submissions
from store.database import Database
from store.schema import REVISION, metadata

OPEN = """
import asyncio, sys
from store.database import Database

async def main():
    async with Database(sys.argv[1]):
        pass

asyncio.run(main())
"""

OLD = SubmissionKey(job_id="lab-1", backend="aer", digest="d")


def _url(database: Database) -> str:
    return database._engine.url.render_as_string(hide_password=False)


def _reset(connection: Connection, /) -> None:
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))


def _revision(connection: Connection, /) -> str:
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _pretend(revision: str) -> Callable[[Connection], None]:
    def pretend(connection: Connection, /) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})

    return pretend


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    return config


def _as_first(connection: Connection, /) -> None:
    """A store as the first version left it, with submissions to two backends."""
    _reset(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")
    connection.execute(
        text(
            "INSERT INTO submissions (tag, job_id, backend, digest, ordinal, handle, withdrawn, intended_at) VALUES "
            "(:tag, 'lab-1', 'aer', 'd', 0, 'h', false, '2026-05-04 03:02:01.000000'), "
            "('t2', 'lab-2', 'qpu', 'd', 1, NULL, true, '2026-05-04 03:02:02.000000')"
        ),
        {"tag": OLD.tag},
    )


def test_the_constant_is_the_newest_migration() -> None:
    """A worker compares it with the store's before it runs anything."""
    assert ScriptDirectory.from_config(_config()).get_heads() == [REVISION]


async def test_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    """Alembic finds nothing to do: no column, index or type differs."""

    def difference(connection: Connection, /) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert await database.read(difference) == []
    assert await database.read(_revision) == REVISION


async def test_a_store_that_is_up_to_date_is_left_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every start asks; only the first has something to do."""
    monkeypatch.setattr("store.database._upgrade", lambda engine: pytest.fail("it migrated again"))

    async with Database(_url(database)) as again:
        assert await again.answers()


async def test_a_store_of_the_first_version_keeps_what_it_has(database: Database) -> None:
    """Its submissions are found as before, and there is room for handles of many jobs."""
    await database.write(_as_first)
    before = await database.read(_revision)
    await database.migrate()
    kept = await database.read(submissions.handle, OLD.tag)
    long = OLD.model_copy(update={"ordinal": 1})
    await database.write(submissions.settle_handle, long, "j" * 1000)

    assert before == "0001"
    assert await database.read(_revision) == REVISION
    assert kept == "h"
    assert await database.read(submissions.handle, long.tag) == "j" * 1000
    assert await database.read(submissions.is_withdrawn, "t2")
    assert not await database.read(submissions.is_withdrawn, OLD.tag)


async def test_many_workers_may_come_to_a_store_of_the_first_version_at_once(database: Database) -> None:
    """An upgrade starts all of them together."""
    await database.write(_as_first)
    processes = [_worker(_url(database)) for _ in range(2)]
    said = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))

    assert [errors for _, errors in said] == ["", ""]
    assert await database.read(_revision) == REVISION
    assert await database.read(submissions.handle, OLD.tag) == "h"


async def test_many_workers_may_come_to_an_empty_store_at_once(database: Database) -> None:
    """A deployment starts all of them together."""
    await database.write(_reset)
    processes = [_worker(_url(database)) for _ in range(3)]
    said = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))

    assert [errors for _, errors in said] == ["", "", ""]
    assert await database.read(_revision) == REVISION


async def test_one_process_may_open_an_empty_store_twice(database: Database) -> None:
    """Alembic works on globals, threads must not."""
    await database.write(_reset)
    others = [Database(_url(database)) for _ in range(6)]
    await asyncio.gather(*(other.migrate() for other in others))
    for other in others:
        await other.close()

    assert await database.read(_revision) == REVISION


def _worker(url: str) -> "subprocess.Popen[str]":
    """Another process that opens the store."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-W", "error", "-c", OPEN, url]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


async def test_a_store_of_a_newer_version_is_refused(database: Database) -> None:
    """An old worker would write rows that the new ones do not expect."""
    await database.write(_pretend("9999"))

    with pytest.raises(
        StoreUnavailable, match=f"revision 9999, this version knows {REVISION}: update the worker"
    ):
        async with Database(_url(database)):
            pytest.fail("it was opened")


async def test_a_migration_that_fails_leaves_nothing_half_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one transaction, tables and version together."""
    await database.write(_reset)
    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.Operations.create_index", _broken)
        with pytest.raises(ArithmeticError):
            await database.migrate()
    left = await database.read(lambda connection: inspect(connection).get_table_names())
    await database.migrate()

    assert left == []
    assert await database.read(_revision) == REVISION


def _broken(*_: object, **__: object) -> None:
    raise ArithmeticError("broken on purpose")
