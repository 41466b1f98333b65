"""One database, SQLite or PostgreSQL, used from an event loop.

Functions of the store run in threads, each in one transaction. SQLite gets a single writing thread: its
writers would otherwise sleep on each other's locks.
"""

import asyncio
import fcntl
import functools
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, Insert, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from qurable.errors import RequestRejected, StoreUnavailable
from qurable.home import made
from store.schema import REVISION

P = ParamSpec("P")
T = TypeVar("T")

_BUSY_MILLISECONDS = 5_000
_POSTGRESQL_THREADS = 8
_CONNECT_SECONDS = "5"
_SQLITE_READERS = 2
_WRITES = "qurable_writes"
_DISK_FULL = "53100"
_LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's codes for these."""

_SECRET_WORDS = ("password", "sslpassword")


class Database:
    """A connection pool and the threads that use it.

    Args:
        url: SQLAlchemy URL; `postgresql://` and `postgres://` mean the driver this project ships.

    Raises:
        RequestRejected: The URL names no database that is supported.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._path = Path(parsed.database) if self.is_sqlite and parsed.database else None
        self._engine = self._sqlite(parsed) if self.is_sqlite else self._postgresql(parsed)
        self.name = parsed.difference_update_query(_SECRET_WORDS).render_as_string(hide_password=True)
        writers = 1 if self.is_sqlite else _POSTGRESQL_THREADS
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="store-write")
        self._readers = (
            ThreadPoolExecutor(_SQLITE_READERS, thread_name_prefix="store-read")
            if self.is_sqlite
            else self._writers
        )

    def _sqlite(self, url: Any) -> Engine:
        if self._path is not None:
            made(self._path.parent)
        engine = create_engine(url, pool_size=_SQLITE_READERS + 1, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # transactions begin below, not when the driver thinks fit
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            connection.execute("PRAGMA journal_mode=WAL")
            # A killed process loses nothing; a power failure may lose the last transactions, as it may with
            # the Temporal server's own database.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get(_WRITES, False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def _postgresql(self, url: Any) -> Engine:
        # A server that is silent must not hold a thread for the two minutes that the driver would wait.
        given = {"connect_timeout": _CONNECT_SECONDS, **url.query}
        return create_engine(
            url.set(query=given),
            pool_size=_POSTGRESQL_THREADS,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of the store in one transaction that may write.

        Raises:
            StoreUnavailable: The database is down, locked or full; nothing was written.
        """
        return await self._run(self._writers, True, lambda connection: function(connection, *args, **kwargs))

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of the store that only reads.

        Raises:
            StoreUnavailable: The database is down or locked.
        """
        return await self._run(self._readers, False, lambda connection: function(connection, *args, **kwargs))

    async def _run(self, threads: ThreadPoolExecutor, writes: bool, function: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, self._transact, writes, function)

    def _transact(self, writes: bool, function: Callable[[Connection], T]) -> T:
        try:
            with (
                self._engine.connect().execution_options(**{_WRITES: writes}) as connection,
                connection.begin(),
            ):
                return function(connection)
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    def _explained(self, error: SQLAlchemyError) -> Exception:
        """Trouble of the database as such is for waiting out; anything else is a defect and stays what it is."""
        if isinstance(error, PoolTimeout):
            return StoreUnavailable(f"the store {self.name} does not take connections: {error}")
        if not isinstance(error, DBAPIError):
            return error
        reason = (
            str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        )
        # SQLite's driver files a misspelt statement under the same class as a full disk.
        misspelt = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
        if misspelt or not (error.connection_invalidated or isinstance(error, OperationalError)):
            return error
        if _is_of_a_full_disk(error.orig):
            return StoreUnavailable(
                f"the disk of the store {self.name} is full; free some space, the job waits and goes on",
                reason=reason,
            )
        if _is_of_a_lock(error.orig):
            return StoreUnavailable(
                f"the store {self.name} is locked by another process; the job waits and goes on",
                reason=reason,
            )
        return StoreUnavailable(
            f"the store {self.name} does not answer ({reason}); the job waits and goes on", reason=reason
        )

    async def migrate(self) -> None:
        """Bring the tables to this version's form; cheap where they are.

        Raises:
            StoreUnavailable: The database does not answer, or was written by a newer version.
        """
        await asyncio.get_running_loop().run_in_executor(self._writers, self._migrate)

    def _migrate(self) -> None:
        if self._revision() == REVISION:
            return
        if self._path is None:
            _upgrade(self._engine)
            return
        with self._path.with_suffix(".migrating").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._revision() != REVISION:
                _upgrade(self._engine)

    def _revision(self) -> str | None:
        def current(connection: Connection) -> str | None:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return found

        found = self._transact(False, current)
        if found is not None and found > REVISION:
            raise StoreUnavailable(
                f"the store {self.name} has revision {found}, this version knows {REVISION}: update the worker"
            )
        return found

    async def answers(self) -> bool:
        """Whether the database answers now."""
        try:
            await self.read(lambda connection: connection.execute(text("SELECT 1")).scalar())
        except StoreUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Finish what runs and let the connections go."""
        for threads in (self._writers, self._readers):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()

    async def __aenter__(self) -> Self:
        try:
            await self.migrate()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _is_of_a_full_disk(error: BaseException | None) -> bool:
    """Whether a driver's error is that of a disk without room; its text alone may just name a folder called full."""
    return (
        getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(error, "sqlstate", None) == _DISK_FULL
    )


def _is_of_a_lock(error: BaseException | None) -> bool:
    """Whether a driver's error is that of a lock which somebody else holds for too long."""
    # The low byte is the code; what stands above it says how it came about.
    code = getattr(error, "sqlite_errorcode", None) or 0
    return (
        code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        or getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE
    )


def _parsed(url: str) -> URL:
    """A URL of a database that is supported; what is wrong with another is not said, it may hold a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise RequestRejected(
            "QURABLE_DATABASE_URL is no URL of a database: use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, with special "
            "characters of the password percent-encoded"
        ) from None
    kind = parsed.drivername
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "postgresql+psycopg" or (kind == "sqlite" and parsed.database not in {None, "", ":memory:"}):
        return parsed
    where = "a store in memory" if kind == "sqlite" else f"a store of kind {kind!r}"
    raise RequestRejected(
        f"QURABLE_DATABASE_URL names {where}, which workers cannot share: use sqlite:///FILE or postgresql://..."
    )


_upgrading = threading.Lock()
"""Alembic keeps what it works on in a global."""


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with (
        _upgrading,
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def insert_once(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key is there; whether it was new."""
    return bool(connection.execute(_insert(table, connection.dialect.name), row).rowcount)


def insert_all(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose keys are not there."""
    if rows:
        connection.execute(_insert(table, connection.dialect.name), _in_one_order(table, rows))


def put_all(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows, each in the place of one with its key."""
    if rows:
        connection.execute(_upsert(table, connection.dialect.name), _in_one_order(table, rows))


def _in_one_order(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By key, as every transaction writes them, so that no two wait for each other."""
    return sorted(rows, key=lambda row: [row[column.name] for column in table.primary_key])


def _inserting(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@functools.cache
def _insert(table: Table, dialect: str) -> Insert:
    """Built once: building a statement costs more than running it."""
    # SQLAlchemy forgets the count of an INSERT unless it is told to keep it.
    return _inserting(table, dialect).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@functools.cache
def _upsert(table: Table, dialect: str) -> Insert:
    insert = _inserting(table, dialect)
    replaced = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=replaced)


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """A stored time with its zone, which SQLite forgets."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
