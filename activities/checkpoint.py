"""A stage runs to its end once: what it returned is in the store before Temporal hears of it.

A worker may die between the two, Temporal may lose the answer or be restored from yesterday's copy; the next
attempt finds the row and gives back what is in it.
"""

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection
from temporalio import activity

from qurable.backend import StillWaiting
from qurable.contracts.base import Contract
from qurable.contracts.reports import StageRecord, State
from qurable.contracts.stages import StageCall
from store import jobs
from store.database import Database, now

T = TypeVar("T")
D = TypeVar("D", bound=Contract)

_IDENTITY = f"{os.getpid()}@{socket.gethostname()}"

Failpoint = Callable[[str], None]
"""Called with the name of a line between two effects; tests kill the process there."""


def no_failpoint(_name: str) -> None:
    """What production uses."""


class Journal(Protocol):
    """Notes of which stage really ran when; tests compare them with what had to run."""

    def began(self, job_id: str, step: str, attempt: int) -> None:
        """The work of a step begins."""
        ...

    def ended(self, job_id: str, step: str, attempt: int, how: str) -> None:
        """The work of a step has ended: done, waiting or failed."""
        ...


class NoJournal:
    """What production uses; the store's stages say as much."""

    def began(self, job_id: str, step: str, attempt: int) -> None:
        """Nothing."""

    def ended(self, job_id: str, step: str, attempt: int, how: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Row:
    """One stage that has run to its end.

    Attributes:
        step: Names the call within the job.
        stage: Name of the stage.
        started: When its work began.
        ended: When it ended.
        document: What it found out, for later stages.
    """

    step: str
    stage: str
    started: datetime
    ended: datetime
    document: Contract


@dataclass
class Outcome(Generic[T]):
    """What an activity's work comes to.

    Attributes:
        answer: For the workflow.
        rows: The stages that ran; several where they are merged.
        events: States the job entered, with a line of detail.
        writes: Anything else for the same transaction, before rows and events.
        last: What must see them: the last write of the transaction.
    """

    answer: T
    rows: list[Row]
    events: list[tuple[State, datetime, str]] = field(default_factory=list)
    writes: list[Callable[[Connection], None]] = field(default_factory=list)
    last: Callable[[Connection], None] | None = None


class Checkpoints:
    """Runs the work of activities, each once.

    Args:
        database: The store.
        journal: For tests.
        failpoint: For tests.
    """

    def __init__(
        self, database: Database, journal: Journal | None = None, failpoint: Failpoint = no_failpoint
    ) -> None:
        self.database = database
        self.failpoint = failpoint
        self._journal = journal or NoJournal()

    async def once(
        self,
        call: StageCall,
        kept: Callable[[Connection], T | None],
        work: Callable[[], Awaitable[Outcome[T]]],
    ) -> T:
        """Give back what is kept of a step, or do its work and keep it in one transaction.

        Args:
            call: The step.
            kept: Reads the answer of an earlier attempt.
            work: Does the work.
        """
        answer = await self.database.read(kept)
        if answer is not None:
            return answer
        with self.journaled(call):
            self.failpoint(f"{call.step}:begun")
            outcome = await work()
            self.failpoint(f"{call.step}:worked")
            first = await self.database.write(_keep, call, outcome, activity.info().attempt)
        self.failpoint(f"{call.step}:kept")
        if first:
            return outcome.answer
        return await self.database.read(kept) or outcome.answer

    @contextlib.contextmanager
    def journaled(self, call: StageCall) -> Iterator[None]:
        """Note the beginning and end of a step's work."""
        attempt = activity.info().attempt
        self._journal.began(call.head.id, call.step, attempt)
        how = "failed"
        try:
            yield
            how = "done"
        except StillWaiting:
            how = "waiting"
            raise
        finally:
            self._journal.ended(call.head.id, call.step, attempt, how)


def _keep(connection: Connection, call: StageCall, outcome: Outcome[T], attempt: int) -> bool:
    """Write an outcome; whether nobody had written it before."""
    first = True
    for write in outcome.writes:
        write(connection)
    for row in outcome.rows:
        record = StageRecord(
            stage=row.stage,
            rung=call.rung,
            started=row.started,
            ended=row.ended,
            attempt=attempt,
            worker=_IDENTITY,
        )
        output = row.document.model_dump_json().encode()
        first = jobs.finish_stage(connection, call.head.id, row.step, record, output) is output and first
    for state, at, detail in outcome.events:
        jobs.add_event(
            connection, call.head.id, state, at=at, rung=call.rung, backend=call.backend, detail=detail
        )
    if outcome.last is not None:
        outcome.last(connection)
    return first


def load(connection: Connection, job_id: str, step: str, kind: type[D]) -> D | None:
    """The document of a step that has finished."""
    body = jobs.finished_stage(connection, job_id, step)
    return None if body is None else kind.read(body)


def timed(step: str, stage: str, started: datetime, document: Contract) -> Row:
    """A row for a stage that ends now."""
    return Row(step, stage, started, now(), document)
