"""A store that is locked, full or down: the error says which, nothing is lost, and it is over when it is over."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from qurable.errors import RequestRejected, StoreUnavailable
from store import artifacts
from store.artifacts import ArtifactKind
from store.database import Database
from tests.chaos.harness import StoreServer, until
from tests.chaos.ports import free_port
from tests.store.locks import holding

SECRET = "hunter2"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite gives up a lock soon; which error it is does not depend on how long."""
    monkeypatch.setattr("store.database._BUSY_MILLISECONDS", 50)


async def _keep(database: Database, size: int) -> list[str]:
    return await database.write(artifacts.put, ArtifactKind.CIRCUIT, [os.urandom(size)])


@pytest.mark.usefixtures("impatient")
async def test_a_locked_store_is_said_to_be_locked_and_recovers(tmp_path: Path) -> None:
    """A backup or a curious colleague may hold it for a while; reading goes on."""
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:
        with holding(tmp_path / "store.db") as holder:
            with pytest.raises(
                StoreUnavailable, match=r"store\.db is locked by another process; the job waits"
            ):
                await _keep(database, 10)
            answers = await database.answers()
            holder.communicate("done\n")

        assert answers
        assert len(await _keep(database, 10)) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_store_that_is_locked_at_the_start_is_said_to_be_locked(tmp_path: Path) -> None:
    """Before there are any tables."""
    with holding(tmp_path / "store.db") as holder:
        with pytest.raises(StoreUnavailable, match="is locked"):
            async with Database(f"sqlite:///{tmp_path / 'store.db'}"):
                pytest.fail("it was opened")
        holder.communicate("done\n")


async def test_a_lock_that_is_not_to_be_had_in_time_is_said_to_be_one(postgresql: str) -> None:
    """As PostgreSQL tells it where an operator has given waits an end."""
    import psycopg

    def waits(connection: Connection, /) -> None:
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(7)"))

    database = Database(postgresql)
    try:
        with psycopg.connect(postgresql) as holder:
            holder.execute("SELECT pg_advisory_xact_lock(7)")
            with pytest.raises(StoreUnavailable, match="is locked by another process; the job waits"):
                await database.write(waits)
        await database.write(waits)
    finally:
        await database.close()


async def test_a_store_with_locked_in_its_name_is_not_said_to_be_locked(tmp_path: Path) -> None:
    """The driver's code says what happened; its text holds names that people choose."""
    url = f"postgresql://me@/store?host={tmp_path / 'locked'}"
    with pytest.raises(StoreUnavailable, match="does not answer"):
        async with Database(url):
            pytest.fail("it was opened")


async def test_a_full_disk_is_said_to_be_full_and_recovers(small_disk: Path) -> None:
    """The way out is to free some space, and nothing else has to be done."""
    async with Database(f"sqlite:///{small_disk / 'store.db'}") as database:
        (kept,) = await _keep(database, 100)
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free // 4096 * 4096))
        with pytest.raises(StoreUnavailable, match=r"disk of the store .* is full; free some space"):
            await _keep(database, 200_000)
        filler.unlink()

        assert len(await _keep(database, 200_000)) == 1
        assert len(await database.read(artifacts.get, [kept])) == 1


async def test_a_store_that_may_not_grow_is_full_too(tmp_path: Path) -> None:
    """The same where nobody may mount a file system."""
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:

        @event.listens_for(database._engine, "begin")
        def _limit(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count=100")

        with pytest.raises(StoreUnavailable, match="is full"):
            await _keep(database, 2_000_000)
        assert len(await _keep(database, 1000)) == 1


async def test_nothing_of_a_failed_write_is_kept(tmp_path: Path) -> None:
    """A stage's row, its events and its artifacts are there together or not at all."""
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:

        def half(connection: Connection, /) -> None:
            artifacts.put(connection, ArtifactKind.CIRCUIT, [b"first"])
            raise ArithmeticError("in the middle")

        with pytest.raises(ArithmeticError):
            await database.write(half)

        count = await database.read(lambda it: it.execute(text("SELECT count(*) FROM artifacts")).scalar())
        assert count == 0


async def test_a_killed_postgresql_is_said_to_be_down_and_recovers(store_server: StoreServer) -> None:
    """Connections of the pool that died with it are replaced."""
    database = await _opened(store_server.url)
    assert await database.answers()
    (kept,) = await _keep(database, 100)
    store_server.kill()
    with pytest.raises(StoreUnavailable, match=r"does not answer .* the job waits and goes on"):
        await _keep(database, 100)
    assert not await database.answers()
    store_server.start()

    await _until_it_answers(database)
    assert len(await database.read(artifacts.get, [kept])) == 1
    assert len(await _keep(database, 100)) == 1
    await database.close()


async def _opened(url: str) -> Database:
    """A database on a server that may still be starting."""
    database = Database(url)
    await _until_it_answers(database)
    await database.migrate()
    return database


async def _until_it_answers(database: Database) -> None:
    await until("the store answers", database.answers, 30)


async def test_a_store_that_is_nowhere_is_named_without_its_password() -> None:
    """Messages end in logs, reports and web pages."""
    url = f"postgresql://me:{SECRET}@127.0.0.1:{free_port()}/store?password={SECRET}"
    with pytest.raises(StoreUnavailable) as nowhere:
        async with Database(url):
            pytest.fail("it was opened")

    assert "127.0.0.1" in nowhere.value.message
    assert SECRET not in str(nowhere.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}",
        f"postgresql://me:{SECRET}@db:port/store",
        f"oracle://me:{SECRET}@db/store",
        f"mysql://me:{SECRET}@db/store",
        f"me:{SECRET}@db/store",
        "sqlite://",
        "sqlite:///:memory:",
        "",
    ],
)
async def test_a_url_that_is_none_is_refused_with_the_way_out(url: str) -> None:
    """And without what stands in it."""
    with pytest.raises(
        RequestRejected, match=r"QURABLE_DATABASE_URL .*use sqlite:///FILE or postgresql://"
    ) as refused:
        Database(url)

    assert SECRET not in str(refused.value)


async def test_values_are_in_no_message_of_the_driver(database: Database) -> None:
    """A defect's message goes into Temporal's history; what a stranger sent does not."""

    def broken(connection: Connection, /) -> Any:
        return connection.execute(text("SELECT nothing FROM nowhere WHERE it = :value"), {"value": SECRET})

    with pytest.raises(Exception, match="nowhere") as defect:
        await database.read(broken)

    assert SECRET not in str(defect.value)
