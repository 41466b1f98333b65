"""One variational loop: prepare it, go on with it until a rule or somebody ends it, report what came of it.

On `aer` it goes on chunk by chunk, anywhere else job by job; which of the two may change while it runs.
"""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.loop_places import IN_CHUNKS, check_place
from qurable.contracts.loop_turns import Turn, TurnCall
from qurable.contracts.optimisations import (
    MAX_CURVE,
    BeginLoop,
    Chunk,
    ChunkCall,
    CurvePoint,
    EndLoop,
    LoopCarry,
    LoopPlan,
    LoopState,
    Optimisation,
    OptimisationReport,
    OptimisationStatus,
    Spent,
    Steering,
    StopReason,
)
from qurable.errors import (
    HybridError,
    JobCancelled,
    JobTooLarge,
    KeyReused,
    OutOfMemory,
    RequestRejected,
    WorkerOutdated,
)
from qurable.names import STEER, VARIATIONAL
from workflows.calls import loops
from workflows.deadline import Deadline
from workflows.failures import as_failure, document_of, final
from workflows.loop_jobs import LoopJobs, is_own_budget

_AT_ONCE = frozenset({StopReason.STOPPED, StopReason.DEADLINE, StopReason.BUDGET})
"""Ends after which nothing more is sent to a place."""

_TOO_LARGE = frozenset({JobTooLarge.__name__, OutOfMemory.__name__})


@workflow.defn(name=VARIATIONAL, failure_exception_types=[HybridError])
class Variational:
    """Prepare a loop, go on with it until it ends, report."""

    @workflow.init
    def __init__(self, loop: Optimisation, carry: LoopCarry | None = None) -> None:
        self._loop = loop
        self._state = LoopState.PREPARING
        self._plan = None if carry is None else carry.plan
        self._began: datetime = workflow.now() if carry is None else carry.began
        self._chunks = 0 if carry is None else carry.chunks
        self._shots = loop.shots if carry is None else carry.shots
        self._paused = carry is not None and carry.paused
        self._last = Chunk(spent=Spent()) if carry is None else carry.last
        self._curve: list[CurvePoint] = [] if carry is None else list(carry.curve)
        self._backend = loop.backend if carry is None else carry.backend
        self._finishing = carry is not None and carry.finishing
        self._ordinal = 0 if carry is None else carry.ordinal
        self._because = "" if carry is None else carry.because
        self._ended = "" if carry is None else carry.ended
        self._jobs = LoopJobs(loop, "" if carry is None else carry.held_on)
        self._stop = False
        self._message = ""

    @workflow.run
    async def run(self, loop: Optimisation, carry: LoopCarry | None = None) -> OptimisationReport:  # noqa: ARG002  `__init__` has taken it
        """The report."""
        if loop.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the loop has schema version {loop.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers"
                )
            )
        try:
            return await self._run()
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                await self._conclude(LoopState.CANCELLED, self._cancelled())
                raise
            error = document_of(failure)
            if error.code != KeyReused.__name__:  # the row belongs to another loop
                await self._conclude(LoopState.FAILED, error)
            raise as_failure(error) from failure
        except asyncio.CancelledError:
            await self._conclude(LoopState.CANCELLED, self._cancelled())
            raise

    async def _run(self) -> OptimisationReport:
        if self._plan is None:
            owner = workflow.info().first_execution_run_id
            self._plan = await loops.begin(BeginLoop(loop=self._loop, owner=owner))
        if self._plan.report is not None:
            return self._plan.report
        stopped_by = await self._iterate(self._plan)
        self._enter(LoopState.FINISHING, str(stopped_by))
        because = await self._evaluate_anew(self._plan, stopped_by)
        await self._jobs.leave()
        end = EndLoop(
            loop_id=self._loop.loop_id,
            state=LoopState.COMPLETED,
            stopped_by=stopped_by,
            backend=self._backend,
            shots=self._shots,
            because=because,
        )
        report = await loops.end(end, self._plan.heartbeat)
        self._enter(LoopState.COMPLETED, str(stopped_by))
        return report

    async def _iterate(self, plan: LoopPlan) -> StopReason:
        """Iteration after iteration; why there is no other."""
        while True:
            left = self._left()
            late = self._is_late()
            if self._ended and (late or self._stop or self._paused or self._backend == IN_CHUNKS):
                kept = await self._turn(plan, "")
                if kept.chunk.stopped_by is not None:
                    return kept.chunk.stopped_by
            if self._stop:
                return StopReason.STOPPED
            if late:
                return StopReason.DEADLINE
            if self._paused:
                await self._rest(left)
                continue
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(args=[self._loop, self._carry(plan)])
            self._enter(LoopState.RUNNING, "")
            stopped = await (
                self._in_chunks(plan, left) if self._backend == IN_CHUNKS else self._by_job(plan, left)
            )
            if stopped is not None:
                return stopped

    async def _in_chunks(self, plan: LoopPlan, left: timedelta | None) -> StopReason | None:
        """Go on for a chunk; why there is no other, None where there is or the deadline passed before it ended."""
        await self._jobs.leave()  # a session that was held elsewhere costs money while it is open
        call = ChunkCall(
            loop_id=self._loop.loop_id, number=self._chunks, shots=self._shots, finishing=self._finishing
        )
        self._chunks += 1
        running = asyncio.create_task(loops.iterate(call, plan.heartbeat))
        try:
            if left is not None and not await Deadline(None).ends_within(
                running, left, "the loop's deadline"
            ):
                return None
            chunk = await running
        except ActivityError as failure:
            error = document_of(failure)
            if (
                is_cancelled_exception(failure)
                or self._backend == self._loop.backend
                or error.code not in _TOO_LARGE
            ):
                raise
            self._pause_because(f"it cannot go on here on {self._backend!r}: {error.message}")
            return None
        return self._take(chunk)

    async def _by_job(self, plan: LoopPlan, left: timedelta | None) -> StopReason | None:
        """Go on for an iteration that is a job; why there is no other."""
        turn = await self._turn(plan, self._backend)
        if turn.job is None:
            return turn.chunk.stopped_by
        backend, job_id = self._backend, turn.job.job_id
        self._enter(LoopState.RUNNING, f"iteration {turn.iteration} runs on {backend!r} as job {job_id}")
        error = await self._jobs.run(turn.job, lambda: self._stop, left)
        if error is None:
            self._ended, self._ordinal = job_id, 0
            return None
        self._ordinal += 1
        if self._stop or self._is_late():
            return None
        if is_own_budget(error, self._loop):
            self._because = error.message
            return StopReason.BUDGET
        self._pause_because(
            f"iteration {turn.iteration} failed on {backend!r}, as job {job_id}: {error.message}"
        )
        return None

    async def _turn(self, plan: LoopPlan, backend: str) -> Turn:
        """Keep what the last job found, and have the next one made for a place, if one is named."""
        call = TurnCall(
            loop_id=self._loop.loop_id,
            number=self._chunks,
            backend=backend,
            shots=self._shots,
            finishing=self._finishing,
            ordinal=self._ordinal,
            ended=self._ended,
        )
        self._chunks += 1
        turn = await loops.turn(call, plan.heartbeat)
        self._ended = ""
        self._take(turn.chunk)
        return turn

    def _take(self, chunk: Chunk) -> StopReason | None:
        """Note how far the loop has come; one that has explored goes on where it finishes."""
        self._last = chunk
        self._curve += chunk.curve
        if len(self._curve) > MAX_CURVE:
            self._curve = self._curve[1::2] if len(self._curve) % 2 == 0 else self._curve[::2]
        finish = self._loop.finish
        if chunk.finishing and not self._finishing and finish is not None:
            self._finishing = True
            self._backend, self._shots = finish.backend, finish.shots
        return chunk.stopped_by

    async def _evaluate_anew(self, plan: LoopPlan, stopped_by: StopReason) -> str:
        """Have jobs evaluate the point that the loop ends with, elsewhere than on aer; why not, where they do not."""
        if self._backend == IN_CHUNKS:
            return ""  # the report does
        if stopped_by in _AT_ONCE:
            return self._because or f"the loop ended by {stopped_by}"
        return await self._jobs.evaluate_last_point(plan, self._backend, self._shots, self._left)

    def _pause_because(self, because: str) -> None:
        """Wait for somebody to look at it: to resume, to switch, or to stop."""
        self._paused, self._because = True, because

    async def _rest(self, left: timedelta | None) -> None:
        """Until somebody wakes it, or the deadline passes. Nothing is held meanwhile that costs money."""
        self._enter(LoopState.PAUSED, self._because or "paused until somebody resumes it")
        await self._jobs.leave()
        try:
            await workflow.wait_condition(
                lambda: self._stop or not self._paused, timeout=left, timeout_summary="the loop's deadline"
            )
        except TimeoutError:
            return

    def _is_late(self) -> bool:
        left = self._left()
        return left is not None and left <= timedelta(0)

    def _left(self) -> timedelta | None:
        deadline = self._loop.stop.deadline
        return None if deadline is None else deadline - (workflow.now() - self._began)

    def _carry(self, plan: LoopPlan) -> LoopCarry:
        return LoopCarry(
            plan=plan,
            began=self._began,
            chunks=self._chunks,
            shots=self._shots,
            paused=self._paused,
            last=self._last,
            curve=tuple(self._curve),
            backend=self._backend,
            finishing=self._finishing,
            ordinal=self._ordinal,
            because=self._because,
            ended=self._ended,
            held_on=self._jobs.held_on,
        )

    async def _conclude(self, state: LoopState, error: ErrorDocument) -> None:
        """Keep a report of a loop that did not come to its end."""
        self._enter(state, error.message)
        await self._jobs.leave()
        if self._plan is not None:
            end = EndLoop(loop_id=self._loop.loop_id, state=state, error=error, backend=self._backend)
            await loops.end(end, self._plan.heartbeat)

    def _cancelled(self) -> ErrorDocument:
        return JobCancelled(f"loop {self._loop.loop_id!r} was cancelled").document()

    def _enter(self, state: LoopState, message: str) -> None:
        self._state, self._message = state, message
        best, spent = self._last.best, self._last.spent
        lines = [f"**{state}** {message}", ""]
        if best is not None:
            lines.append(f"best `{best.value:.8g}` of iteration {best.iteration}")
        lines.append(f"{spent.iterations} iterations, {spent.evaluations} evaluations, {spent.seconds:.1f} s")
        workflow.set_current_details("\n".join(lines))

    @workflow.query
    def progress(self) -> OptimisationStatus:
        """Where the loop stands."""
        plan = self._plan
        return OptimisationStatus(
            id=self._loop.loop_id,
            state=LoopState.PAUSED if self._paused and self._state is LoopState.RUNNING else self._state,
            backend=self._backend,
            finishing=self._finishing,
            job_id=self._jobs.running,
            parameters=0 if plan is None else plan.parameters,
            qubits=0 if plan is None else plan.qubits,
            sense=self._loop.sense if plan is None else plan.sense,
            shots=self._shots,
            best=self._last.best,
            spent=self._last.spent,
            curve=tuple(self._curve),
            reference=None if plan is None else plan.reference,
            message=self._message,
        )

    @workflow.update(name=STEER)
    def steer(self, steering: Steering) -> OptimisationStatus:
        """Change the loop from its next chunk on."""
        self._stop = self._stop or steering.stop
        if steering.pause is not None:
            self._paused = steering.pause
            self._because = self._because if steering.pause else ""
        if steering.backend is not None:
            self._backend = steering.backend
            if self._because and steering.pause is None:
                self._paused, self._because = False, ""
        if steering.shots is not None:
            self._shots = steering.shots
        return self.progress()

    @steer.validator
    def _may_steer(self, steering: Steering) -> None:
        if self._state in {LoopState.FINISHING, *(state for state in LoopState if state.final)}:
            raise final(
                RequestRejected(f"loop {self._loop.loop_id!r} is {self._state}: there is nothing to steer")
            )
        if steering.backend is not None:
            try:
                check_place(
                    steering.backend,
                    steering.shots or self._shots,
                    has_objective=self._loop.objective is not None,
                )
            except ValueError as failure:
                raise final(RequestRejected(str(failure))) from None
