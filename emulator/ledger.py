"""Jobs, sessions and what was set, on disk: what was answered is there after a kill -9.

One SQLite file, written by one thread, flushed to disk before anything is answered.
"""

import asyncio
import fcntl
import json
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from emulator.jobs import Job, Session
from qurable.errors import RequestRejected
from qurable.home import made

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, number INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS params (id TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, number INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, document TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Kept:
    """What was on disk.

    Attributes:
        jobs: In the order of acceptance.
        sessions: In the order of creation.
        documents: What was set, by name.
    """

    jobs: list[Job]
    sessions: list[Session]
    documents: dict[str, Any]


class Ledger:
    """The file in a folder, for one emulator at a time.

    Args:
        folder: Made if it is not there.

    Raises:
        RequestRejected: Another emulator has it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        made(folder)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise RequestRejected(
                f"another emulator keeps its jobs in {str(folder)!r}: give --home another folder"
            ) from None
        self._thread = ThreadPoolExecutor(1, "ledger")
        try:
            self._database = sqlite3.connect(folder / "jobs.db", check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as failure:
            self._lock.close()
            raise RequestRejected(f"jobs cannot be kept in {str(folder)!r}: {failure}") from None

    def read(self) -> Kept:
        """Everything but parameters and results."""
        ask = self._database.execute
        return Kept(
            [
                Job.read(json.loads(document))
                for (document,) in ask("SELECT document FROM jobs ORDER BY number")
            ],
            [
                Session.read(json.loads(document))
                for (document,) in ask("SELECT document FROM sessions ORDER BY number")
            ],
            {name: json.loads(document) for name, document in ask("SELECT name, document FROM kept")},
        )

    async def accept(self, job: Job, params: str) -> None:
        """Keep a new job; it is durable when this returns."""

        def write() -> None:
            self._database.execute("INSERT INTO params VALUES (?, ?)", (job.id, params))
            self._put("jobs", job)

        await self._written(write)

    async def save(self, jobs: Iterable[Job], sessions: Iterable[Session], documents: dict[str, Any]) -> None:
        """Keep what has changed."""

        def write() -> None:
            for job in jobs:
                self._put("jobs", job)
            for session in sessions:
                self._put("sessions", session)
            for name, document in documents.items():
                self._database.execute(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(document))
                )

        await self._written(write)

    async def keep_result(self, job_id: str, body: str) -> None:
        """Keep a result; the first one stays."""
        await self._written(
            lambda: self._database.execute("INSERT OR IGNORE INTO results VALUES (?, ?)", (job_id, body))
        )

    async def forget(self, job_id: str) -> None:
        """Delete a job."""

        def write() -> None:
            for statement in (
                "DELETE FROM jobs WHERE id = ?",
                "DELETE FROM params WHERE id = ?",
                "DELETE FROM results WHERE id = ?",
            ):
                self._database.execute(statement, (job_id,))

        await self._written(write)

    async def params(self, job_id: str) -> str:
        """JSON text of a job's parameters; empty where it is gone."""
        return await self._text("SELECT text FROM params WHERE id = ?", job_id)

    async def result(self, job_id: str) -> str:
        """Text of a job's result; empty where there is none."""
        return await self._text("SELECT text FROM results WHERE id = ?", job_id)

    async def close(self) -> None:
        """Finish writing and let the folder go."""
        await self._in_thread(self._database.close)
        self._thread.shutdown()
        self._lock.close()

    def _put(self, table: str, entry: Job | Session) -> None:
        self._database.execute(
            f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608  our own names
            (entry.id, entry.number, json.dumps(entry.document())),
        )

    async def _text(self, statement: str, job_id: str) -> str:
        def ask() -> str:
            row = self._database.execute(statement, (job_id,)).fetchone()
            return "" if row is None else str(row[0])

        return await self._in_thread(ask)

    async def _written(self, write: Callable[[], object]) -> None:
        def commit() -> None:
            with self._database:
                write()

        await self._in_thread(commit)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
