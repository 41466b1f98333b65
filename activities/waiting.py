"""Await start and await done: ask, and if there is nothing to do yet, end in a way that costs nothing.

Asking again is Temporal's retry with the delay that the answer names; no slot is held and no history grows.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import beat, speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from backends.registry import Registry
from qurable.backend import QuantumBackend, Simulator, StillWaiting
from qurable.contracts.executions import JobRef, Phase
from qurable.contracts.reports import JobEvent, State
from qurable.contracts.stages import StageCall, WaitCall, Waited
from qurable.errors import (
    ExecutionFailed,
    HybridError,
    JobLost,
    QueueLimitReached,
    RunLimitReached,
    from_document,
)
from qurable.names import Activity
from store import jobs
from store.database import Database, now

Clock = Callable[[], datetime]

_POLL_SECONDS = (1.0, 60.0)
_SECONDS_PER_JOB_AHEAD = 5.0
_WORTH_A_NOTE_SECONDS = 0.2


class Waiting:
    """Waits for, or runs, submitted jobs.

    Args:
        checkpoints: Where rows go.
        registry: The backends.
    """

    def __init__(self, checkpoints: Checkpoints, registry: Registry) -> None:
        self._checkpoints = checkpoints
        self._registry = registry

    @activity.defn(name=Activity.AWAIT_START)
    @speaks_temporal
    async def await_start(self, wait: WaitCall) -> Waited:
        """Return once the provider runs the job, or is through with it.

        Raises:
            StillWaiting: It is queued.
            QueueLimitReached: It was queued for longer than the job allows.
        """
        backend = self._registry.get(wait.job.backend)

        async def work(_: Documents) -> Outcome[Waited]:
            began = now()
            state = await backend.state(wait.job)
            if state.phase is Phase.QUEUED:
                _check_limit(wait, wait.wait, QueueLimitReached, "waited in the queue of")
                ahead = "" if state.queue_position is None else f", {state.queue_position} jobs ahead"
                raise StillWaiting(
                    f"queued at {wait.job.backend!r}{ahead}", again_in=_pace(state.queue_position)
                )
            row = timed(wait.call.step, Activity.AWAIT_START, began, Waited())
            return Outcome(Waited(), [row], [(State.RUNNING, now(), f"as {wait.job.backend!r} says")])

        return await self._checkpoints.once(
            wait.call, lambda documents: documents.find(wait.call.step, Waited), work
        )

    @activity.defn(name=Activity.AWAIT_DONE)
    @speaks_temporal
    async def await_done(self, wait: WaitCall) -> Waited:
        """Return once the job is done; a simulator's job is computed here.

        Raises:
            StillWaiting: It runs elsewhere, or there is no room to run it here.
            HybridError: It failed, was cancelled or lost, or passed one of its limits.
        """
        backend = self._registry.get(wait.job.backend)
        work = self._run if isinstance(backend, Simulator) else self._ask
        return await self._checkpoints.once(
            wait.call, lambda documents: documents.find(wait.call.step, Waited), lambda _: work(wait, backend)
        )

    async def _run(self, wait: WaitCall, backend: QuantumBackend) -> Outcome[Waited]:
        assert isinstance(backend, Simulator)  # noqa: S101  for the type checker
        began = now()
        note = _Note(self._checkpoints.database, wait.call)
        limit = wait.run.total_seconds()
        try:
            async with asyncio.timeout(limit):
                await backend.run(wait.job, note.running)
        except StillWaiting as waiting:
            await note.write(State.QUEUED, str(waiting))
            _check_limit(wait, wait.wait, QueueLimitReached, "waited for room on")
            raise
        except TimeoutError:
            raise RunLimitReached(
                f"the job ran for {limit:g} s on {wait.job.backend!r}, its limit: allow more with limits.run"
            ) from None
        finally:
            events = await note.settled()
        return Outcome(Waited(), [timed(wait.call.step, Activity.AWAIT_DONE, began, Waited())], events)

    async def _ask(self, wait: WaitCall, backend: QuantumBackend) -> Outcome[Waited]:
        began = now()
        state = await backend.state(wait.job)
        match state.phase:
            case Phase.DONE:
                return Outcome(Waited(), [timed(wait.call.step, Activity.AWAIT_DONE, began, Waited())])
            case Phase.FAILED:
                raise _failure(wait.job, None if state.error is None else from_document(state.error))
            case Phase.CANCELLED:
                raise ExecutionFailed(
                    f"job {wait.job.handle!r} was cancelled at {wait.job.backend!r}, not by us"
                )
            case Phase.LOST:
                raise JobLost(f"{wait.job.backend!r} no longer knows job {wait.job.handle!r}")
        _check_limit(wait, wait.run, RunLimitReached, "ran on")
        raise StillWaiting(
            f"{state.phase} at {wait.job.backend!r}", again_in=timedelta(seconds=_POLL_SECONDS[0])
        )


class _Note:
    """Writes down that a simulation runs, unless it is over before anybody could look."""

    def __init__(self, database: Database, call: StageCall) -> None:
        self._database = database
        self._call = call
        self._began: datetime | None = None
        self._writing: asyncio.Task[None] | None = None

    def running(self, message: str) -> None:
        """The simulation says how far it is."""
        if self._began is None:
            self._began = now()
            self._writing = asyncio.create_task(self._write_later(self._began))
        beat(message)

    async def _write_later(self, began: datetime) -> None:
        await asyncio.sleep(_WORTH_A_NOTE_SECONDS)
        await self.write(State.RUNNING, "", began)

    async def write(self, state: State, detail: str, at: datetime | None = None) -> None:
        """Write an event; the first of a state stands."""
        event = JobEvent(state=state, at=at or now(), backend=self._call.backend, detail=detail)
        await self._database.write(jobs.add_events, self._call.job_id, [event], rung=self._call.rung)

    async def settled(self) -> list[tuple[State, datetime, str]]:
        """Stop writing; gives back what is not written yet, for the transaction that ends the stage."""
        if self._began is None or self._writing is None:
            return []
        self._writing.cancel()
        await asyncio.wait([self._writing])
        return [(State.RUNNING, self._began, "")]


def _failure(job: JobRef, error: HybridError | None) -> HybridError:
    return error or ExecutionFailed(f"job {job.handle!r} failed at {job.backend!r} without a reason")


def _check_limit(wait: WaitCall, allowed: timedelta, limit: type[HybridError], what: str) -> None:
    """Raise where the wait has taken longer than the job allows, counted from the stage's first attempt."""
    since = activity.info().scheduled_time
    waited = datetime.now(UTC) - since
    if waited >= allowed:
        raise limit(
            f"the job {what} {wait.job.backend!r} for {waited.total_seconds():.0f} s, its limit of {allowed} is reached"
        )


def _pace(ahead: int | None) -> timedelta:
    lowest, highest = _POLL_SECONDS
    return timedelta(seconds=min(highest, max(lowest, _SECONDS_PER_JOB_AHEAD * (ahead or 0))))
