"""A stage runs to its end once: what it returned is in the store before Temporal hears of it.

A worker may die between the two, Temporal may lose the answer or be restored from yesterday's copy; the next
attempt finds the row and gives back what is in it.
"""

import contextlib
import os
import socket
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection
from temporalio import activity

from qurable.backend import StillWaiting
from qurable.contracts.base import Contract
from qurable.contracts.reports import JobEvent, StageRecord, State
from qurable.contracts.stages import StageCall
from qurable.errors import StageForgotten
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

    def ended(self, job_id: str, step: str, attempt: int, how: str, failure: BaseException | None) -> None:
        """The work of a step has ended: done, waiting or failed, and what with."""
        ...


class NoJournal:
    """What production uses; the store's stages say as much."""

    def began(self, job_id: str, step: str, attempt: int) -> None:
        """Nothing."""

    def ended(self, job_id: str, step: str, attempt: int, how: str, failure: BaseException | None) -> None:
        """Nothing."""


class Documents:
    """What the stages of a job have found out so far.

    Args:
        job_id: Of the job.
        outputs: By step, as the store keeps them.
    """

    def __init__(self, job_id: str, outputs: Mapping[str, bytes]) -> None:
        self._job_id = job_id
        self._outputs = outputs

    @property
    def steps(self) -> Collection[str]:
        """Steps that have finished."""
        return self._outputs.keys()

    def find(self, step: str, kind: type[D]) -> D | None:
        """The document of a step that has finished, None otherwise."""
        output = self._outputs.get(step)
        return None if output is None else kind.read(zlib.decompress(output))

    def need(self, step: str, kind: type[D]) -> D:
        """The document of a step that must have finished by now.

        Raises:
            StageForgotten: It has, or this step would not run, and the store does not know of it.
        """
        document = self.find(step, kind)
        if document is None:
            raise StageForgotten(
                f"the store has nothing of stage {step!r} of job {self._job_id!r}, which has ended: it was restored from a backup"
            )
        return document


def read_documents(connection: Connection, job_id: str) -> Documents:
    """What the stages of a job have found out so far."""
    return Documents(job_id, jobs.outputs(connection, job_id))


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
        kept: Callable[[Documents], T | None],
        work: Callable[[Documents], Awaitable[Outcome[T]]],
    ) -> T:
        """Give back what is kept of a step, or do its work and keep it in one transaction.

        Args:
            call: The step.
            kept: The answer of an earlier attempt, from what the stages found out.
            work: Does the work, from the same.
        """
        documents = await self.database.read(read_documents, call.job_id)
        answer = kept(documents)
        if answer is not None:
            return answer
        with self.journaled(call):
            self.failpoint(f"{call.step}:begun")
            outcome = await work(documents)
            self.failpoint(f"{call.step}:worked")
            first = await self.database.write(_keep, call, outcome, activity.info().attempt)
        self.failpoint(f"{call.step}:kept")
        if first:
            return outcome.answer
        return kept(await self.database.read(read_documents, call.job_id)) or outcome.answer

    @contextlib.contextmanager
    def journaled(self, call: StageCall) -> Iterator[None]:
        """Note the beginning and end of a step's work."""
        attempt = activity.info().attempt
        self._journal.began(call.job_id, call.step, attempt)
        try:
            yield
        except BaseException as failure:
            how = "waiting" if isinstance(failure, StillWaiting) else "failed"
            self._journal.ended(call.job_id, call.step, attempt, how, failure)
            raise
        self._journal.ended(call.job_id, call.step, attempt, "done", None)


def _keep(connection: Connection, call: StageCall, outcome: Outcome[T], attempt: int) -> bool:
    """Write an outcome; whether nobody had written it before."""
    for write in outcome.writes:
        write(connection)
    ended = [
        (row.step, _record(row, call, attempt), row.document.model_dump_json().encode())
        for row in outcome.rows
    ]
    first = jobs.finish_stages(connection, call.job_id, ended)
    entered = [
        JobEvent(state=state, at=at, backend=call.backend, detail=detail)
        for state, at, detail in outcome.events
    ]
    jobs.add_events(connection, call.job_id, entered, rung=call.rung)
    if outcome.last is not None:
        outcome.last(connection)
    return first


def _record(row: Row, call: StageCall, attempt: int) -> StageRecord:
    return StageRecord(
        stage=row.stage,
        rung=call.rung,
        started=row.started,
        ended=row.ended,
        attempt=attempt,
        worker=_IDENTITY,
    )


def timed(step: str, stage: str, started: datetime, document: Contract) -> Row:
    """A row for a stage that ends now."""
    return Row(step, stage, started, now(), document)
