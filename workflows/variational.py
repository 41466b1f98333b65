"""One variational loop: prepare it, go on with it chunk by chunk until a rule or somebody ends it, report what came of it."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
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
from qurable.errors import HybridError, JobCancelled, KeyReused, RequestRejected, WorkerOutdated
from qurable.names import STEER, VARIATIONAL
from workflows import stages
from workflows.deadline import Deadline
from workflows.failures import as_failure, document_of, final


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
            self._plan = await stages.begin_loop(BeginLoop(loop=self._loop, owner=owner))
        if self._plan.report is not None:
            return self._plan.report
        stopped_by = await self._iterate(self._plan)
        self._enter(LoopState.FINISHING, str(stopped_by))
        end = EndLoop(loop_id=self._loop.loop_id, state=LoopState.COMPLETED, stopped_by=stopped_by)
        report = await stages.end_loop(end, self._plan.heartbeat)
        self._enter(LoopState.COMPLETED, str(stopped_by))
        return report

    async def _iterate(self, plan: LoopPlan) -> StopReason:
        """Chunk after chunk; why there is no other."""
        while True:
            left = self._left()
            if self._stop:
                return StopReason.STOPPED
            if left is not None and left <= timedelta(0):
                return StopReason.DEADLINE
            if self._paused:
                await self._rest(left)
                continue
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(args=[self._loop, self._carry(plan)])
            self._enter(LoopState.RUNNING, "")
            chunk = await self._chunk(plan, left)
            if chunk is not None and chunk.stopped_by is not None:
                return chunk.stopped_by

    async def _chunk(self, plan: LoopPlan, left: timedelta | None) -> Chunk | None:
        """How far a chunk has come; None where the deadline passed before it ended."""
        call = ChunkCall(loop_id=self._loop.loop_id, number=self._chunks, shots=self._shots)
        running = asyncio.create_task(stages.iterate(call, plan.heartbeat))
        if left is not None and not await Deadline(None).ends_within(running, left, "the loop's deadline"):
            return None
        self._last = await running
        self._chunks += 1
        self._curve += self._last.curve
        if len(self._curve) > MAX_CURVE:
            self._curve = self._curve[1::2] if len(self._curve) % 2 == 0 else self._curve[::2]
        return self._last

    async def _rest(self, left: timedelta | None) -> None:
        """Until somebody wakes it, or the deadline passes."""
        self._enter(LoopState.PAUSED, "paused until somebody resumes it")
        try:
            await workflow.wait_condition(
                lambda: self._stop or not self._paused, timeout=left, timeout_summary="the loop's deadline"
            )
        except TimeoutError:
            return

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
        )

    async def _conclude(self, state: LoopState, error: ErrorDocument) -> None:
        """Keep a report of a loop that did not come to its end."""
        self._enter(state, error.message)
        if self._plan is not None:
            end = EndLoop(loop_id=self._loop.loop_id, state=state, error=error)
            await stages.end_loop(end, self._plan.heartbeat)

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
            backend=self._loop.backend,
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
        if steering.shots is not None:
            self._shots = steering.shots
        return self.progress()

    @steer.validator
    def _may_steer(self, steering: Steering) -> None:  # noqa: ARG002  it is about the loop's state alone
        if self._state in {LoopState.FINISHING, *(state for state in LoopState if state.final)}:
            raise final(
                RequestRejected(f"loop {self._loop.loop_id!r} is {self._state}: there is nothing to steer")
            )
