"""Await start and await done: ask, and if there is nothing to do yet, end in a way that costs nothing.

Asking again is Temporal's retry with the delay that the answer names; no slot is held and no history grows.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities import steps
from activities.boundary import KeepAsking, beat, speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import SubmittedDocument
from backends.registry import Registry
from qurable.backend import QuantumBackend, Simulator, StillWaiting
from qurable.contracts.executions import JobRef, JobState, Phase
from qurable.contracts.reports import JobEvent, State
from qurable.contracts.stages import StageCall, WaitCall, Waited
from qurable.errors import (
    ExecutionFailed,
    HybridError,
    JobLost,
    QueueLimitReached,
    RunLimitReached,
    TargetUnavailable,
    from_document,
)
from qurable.names import Activity
from store import health, jobs, submissions
from store.database import Database, now

Clock = Callable[[], datetime]

_SECONDS_PER_JOB_AHEAD = 5.0
_JITTER = 0.2
_LEAST = timedelta(seconds=0.05)
_WORTH_A_NOTE_SECONDS = 0.2


@dataclass(frozen=True)
class Pacing:
    """How often a job elsewhere is asked after.

    Attributes:
        shortest: Between two looks at a job that is about to start or to end.
        longest: Between two looks at a job far back in its queue.
    """

    shortest: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=60)

    def next(self, state: JobState, left: timedelta) -> timedelta:
        """When to look again.

        Rarer the further back the job is, never after the job's own limit, and jittered so
        that many jobs do not ask in step.
        """
        guess = self.shortest.total_seconds()
        if state.queue_position is not None:
            guess = _SECONDS_PER_JOB_AHEAD * state.queue_position
        if state.starts_at is not None:
            guess = max(guess, (state.starts_at - datetime.now(UTC)).total_seconds() / 2)
        bounded = min(max(guess, self.shortest.total_seconds()), self.longest.total_seconds())
        jittered = bounded * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  no secret
        return at_most(timedelta(seconds=jittered), left)


def at_most(again_in: timedelta, left: timedelta) -> timedelta:
    """When to look again at what has so much time left: not after its end, when it is given up."""
    return max(_LEAST, min(again_in, left))


class Waiting:
    """Waits for, or runs, submitted jobs.

    Args:
        checkpoints: Where rows go.
        registry: The backends.
        pacing: How often jobs elsewhere are asked after.
    """

    def __init__(self, checkpoints: Checkpoints, registry: Registry, pacing: Pacing) -> None:
        self._checkpoints = checkpoints
        self._registry = registry
        self._pacing = pacing

    @activity.defn(name=Activity.AWAIT_START)
    @speaks_temporal
    async def await_start(self, wait: WaitCall) -> Waited:
        """Return once the provider runs the job, or is through with it.

        Raises:
            StillWaiting: It is queued.
            QueueLimitReached: It was queued for longer than the job allows.
        """
        backend = self._registry.get(wait.job.backend)

        async def work(documents: Documents) -> Outcome[Waited]:
            began = now()
            _submitted(documents, wait.call)
            state = await self._state(wait, backend, wait.wait, QueueLimitReached)
            if state.phase is Phase.QUEUED:
                left = _check_limit(wait, wait.wait, QueueLimitReached, "waited in the queue of")
                ahead = "" if state.queue_position is None else f", {state.queue_position} jobs ahead"
                waiting = f"queued at {wait.job.backend!r}{ahead}"
                await _Note(self._checkpoints.database, wait.call).write(State.QUEUED, waiting)
                raise StillWaiting(waiting, again_in=self._pacing.next(state, left))
            row = timed(wait.call.step, Activity.AWAIT_START, began, Waited())
            outcome = Outcome(Waited(), [row], [(State.RUNNING, now(), f"as {wait.job.backend!r} says")])
            if state.phase in (Phase.RUNNING, Phase.DONE):
                waited = (datetime.now(UTC) - activity.info().scheduled_time).total_seconds()
                outcome.writes.append(
                    lambda connection: health.note_wait(
                        connection, wait.job.backend, wait.job.key.tag, waited
                    )
                )
            return outcome

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
        go = self._run if isinstance(backend, Simulator) else self._ask

        async def work(documents: Documents) -> Outcome[Waited]:
            _submitted(documents, wait.call)
            return await go(wait, backend)

        return await self._checkpoints.once(
            wait.call, lambda documents: documents.find(wait.call.step, Waited), work
        )

    async def _state(
        self, wait: WaitCall, backend: QuantumBackend, allowed: timedelta, limit: type[HybridError]
    ) -> JobState:
        """Where a job stands that may be paid for: whoever cannot be asked now is asked again, until the job's limit.

        Raises:
            KeepAsking: The place does not answer, or not in words that are understood.
            HybridError: The limit, where that has passed meanwhile.
        """
        try:
            return await backend.state(wait.job)
        except TargetUnavailable as failure:
            left = _check_limit(wait, allowed, limit, "could not be asked after at")
            again_in = self._pacing.next(JobState(phase=Phase.QUEUED), left)
            raise KeepAsking(failure, again_in) from None

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
            left = _check_limit(wait, wait.wait, QueueLimitReached, "waited for room on")
            raise StillWaiting(str(waiting), again_in=at_most(waiting.again_in, left)) from None
        except TimeoutError:
            raise RunLimitReached(
                f"the job ran for {limit:g} s on {wait.job.backend!r}, its limit: allow more with limits.run"
            ) from None
        finally:
            events = await note.settled()
        return Outcome(Waited(), [timed(wait.call.step, Activity.AWAIT_DONE, began, Waited())], events)

    async def _was_withdrawn(self, job: JobRef) -> bool:
        """Whether it was the reconciler that cancelled it, as a job that was not alive then."""
        return await self._checkpoints.database.read(submissions.is_withdrawn, job.key.tag)

    async def _ask(self, wait: WaitCall, backend: QuantumBackend) -> Outcome[Waited]:
        began = now()
        state = await self._state(wait, backend, wait.run, RunLimitReached)
        match state.phase:
            case Phase.DONE:
                return Outcome(Waited(), [timed(wait.call.step, Activity.AWAIT_DONE, began, Waited())])
            case Phase.FAILED:
                raise _failure(wait.job, None if state.error is None else from_document(state.error))
            case Phase.CANCELLED if await self._was_withdrawn(wait.job):
                raise JobLost(
                    f"job {wait.job.handle!r} at {wait.job.backend!r} was withdrawn while nobody waited for it"
                )
            case Phase.CANCELLED:
                raise _failure(wait.job, None if state.error is None else from_document(state.error))
            case Phase.LOST:
                raise JobLost(f"{wait.job.backend!r} no longer knows job {wait.job.handle!r}")
        left = _check_limit(wait, wait.run, RunLimitReached, "ran on")
        raise StillWaiting(f"{state.phase} at {wait.job.backend!r}", again_in=self._pacing.next(state, left))


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


def _submitted(documents: Documents, call: StageCall) -> None:
    """Make sure that the store still knows what is waited for.

    Raises:
        StageForgotten: It does not.
    """
    documents.need(steps.submit(call.rung, call.ordinal), SubmittedDocument)


def _failure(job: JobRef, error: HybridError | None) -> HybridError:
    return error or ExecutionFailed(
        f"job {job.handle!r} ended at {job.backend!r} without a result or a reason"
    )


def _check_limit(wait: WaitCall, allowed: timedelta, limit: type[HybridError], what: str) -> timedelta:
    """The time left of what the job allows, counted from the stage's first attempt; raises where none is."""
    since = activity.info().scheduled_time
    waited = datetime.now(UTC) - since
    if waited >= allowed:
        raise limit(
            f"the job {what} {wait.job.backend!r} for {waited.total_seconds():.0f} s, its limit of {allowed} is reached"
        )
    return allowed - waited
