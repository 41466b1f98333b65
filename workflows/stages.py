"""Calls of stage activities: the queue, the limits and the retries of each, in one place.

Retries have no number of attempts: an activity's own errors say when to stop (`activities/boundary.py`), a
benign "still waiting" counts as an attempt too, and a store that is down is waited for.
"""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, RetryState

from qurable.contracts.approvals import Approval
from qurable.contracts.batches import BatchCall, BatchHead, BatchReport, BatchStatus
from qurable.contracts.budgets import BudgetChange
from qurable.contracts.comparisons import (
    BeginComparison,
    ComparisonPlan,
    ComparisonReport,
    EndComparison,
    Judged,
    Leg,
)
from qurable.contracts.cutting import (
    CutCall,
    CutHead,
    CutPlanned,
    CutReport,
    EndCut,
    FragmentEnds,
    FragmentsCall,
)
from qurable.contracts.executions import JobRef
from qurable.contracts.fires import Due, DueCall, DueJob, FireReport, TallyCall
from qurable.contracts.jobs import Hook, Limits
from qurable.contracts.loop_turns import LastCall, LastJob, LeaveCall, Turn, TurnCall
from qurable.contracts.matrices import MatrixCall, MatrixHead, MatrixReport, MatrixStatus
from qurable.contracts.optimisations import BeginLoop, Chunk, ChunkCall, EndLoop, LoopPlan, OptimisationReport
from qurable.contracts.precise import PreciseCall, PreciseStep
from qurable.contracts.rollout import RolloutChange
from qurable.contracts.routes import Route
from qurable.contracts.shadows import ShadowCall, ShadowJob
from qurable.contracts.sharing import CollectorHead, Composed, GroupCall, GroupEnd, Joined
from qurable.contracts.stages import (
    AcceptCall,
    Accepted,
    ApprovalCall,
    CalibrationCall,
    ChangeCall,
    Changed,
    Compiled,
    FinishCall,
    Pace,
    PrepareCall,
    ReadRequest,
    Session,
    StageCall,
    Submitted,
    Validated,
    WaitCall,
    Waited,
    Withdrawn,
)
from qurable.contracts.targets import TargetSnapshot
from qurable.names import Activity, Queue
from workflows.calling import heed_cancellation

T = TypeVar("T")

PATIENT = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))

STEADY = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0)
"""For waits: each benign end names its own delay, and must not stretch that of a real error."""

_ASKED_BY_SOMEBODY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=8)
"""For questions and settings: whoever asked is waiting, and would rather hear that it failed."""

_FIRST = Pace()

_UNDO = timedelta(hours=24)

_FETCH_AT_LAST = timedelta(days=7)
"""A result that is paid for is asked for again for as long as this, while its place does not answer."""


_PLAN_CUT = timedelta(minutes=20)
"""The search for cuts, making the experiments, and what they are expected to take, each bounded by itself."""

_LEAVE = timedelta(minutes=10)


_TO_COMPARE = timedelta(minutes=15)
"""Its children have their own limits, which are shorter together."""

_ITERATION = timedelta(days=7)
"""An iteration of a loop takes the time it takes; a silent worker is noticed by its heartbeat."""


async def _run(activity: Activity, *args: Any, returns: type[T], **options: Any) -> T:
    """Call an activity by its name, with the type of its answer.

    An attempt that asks to be retried, and was told to stop meanwhile, reaches us as a failure: it is a cancellation.
    """
    call = workflow.start_activity(activity, args=args, result_type=returns, **options)
    try:
        answer: T = await heed_cancellation(call)
    except ActivityError as failure:
        if failure.retry_state is RetryState.CANCEL_REQUESTED:
            raise asyncio.CancelledError from failure
        raise
    return answer


async def accept(call: AcceptCall, body: RawValue) -> Accepted:
    """Insert the job, or learn that it has ended before."""
    return await _run(
        Activity.ACCEPT,
        call,
        body,
        returns=Accepted,
        activity_id="accept",
        summary="accept",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def prepare(call: PrepareCall, pace: Pace) -> Validated:
    """Validate; plan and transpile too where the circuits are small."""
    return await _run(
        Activity.PREPARE,
        call,
        returns=Validated,
        activity_id="prepare",
        summary="validate · plan route · transpile (merged where circuits are small)",
        start_to_close_timeout=pace.compile,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def validate(call: PrepareCall, body: Any, pace: Pace) -> Validated:
    """Validate a request that the caller's own stage rewrote."""
    return await _run(
        Activity.VALIDATE,
        call,
        body,
        returns=Validated,
        task_queue=Queue.COMPILE,
        activity_id=call.call.step,
        summary="validate",
        start_to_close_timeout=pace.compile,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def plan_route(call: StageCall, pace: Pace) -> Route:
    """Decide where the job may run."""
    return await _run(
        Activity.PLAN_ROUTE,
        call,
        returns=Route,
        task_queue=Queue.COMPILE,
        activity_id=call.step,
        summary="plan route",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def approval(call: ApprovalCall, pace: Pace) -> Approval:
    """Write down what is asked about a rung, or what was decided; gives back what stands."""
    what = "ask for an approval of" if call.decision is None else "write down what was decided about"
    return await _run(
        Activity.APPROVAL,
        call,
        returns=Approval,
        activity_id=call.call.step,
        summary=f"{what} {call.question.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def transpile(call: StageCall, pace: Pace) -> Compiled:
    """Compile for the rung's target."""
    return await _run(
        Activity.TRANSPILE,
        call,
        returns=Compiled,
        task_queue=Queue.COMPILE,
        activity_id=call.step,
        summary=f"transpile for {call.backend}",
        start_to_close_timeout=pace.compile,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def change(call: ChangeCall, pace: Pace) -> Changed:
    """Decide what is different when a rung is tried again."""
    return await _run(
        Activity.CHANGE,
        call,
        returns=Changed,
        activity_id=call.call.step,
        summary=f"after {call.error.code} on {call.call.backend}: what may be changed",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def open_session(call: StageCall, target: TargetSnapshot, pace: Pace) -> Session:
    """Open a session or batch at the provider."""
    return await _run(
        Activity.OPEN_SESSION,
        call,
        returns=Session,
        task_queue=target.run_queue,
        activity_id=call.step,
        summary=f"open a session on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def close_session(call: StageCall, target: TargetSnapshot, pace: Pace) -> None:
    """Close the session or batch that a call names, whatever became of its jobs."""
    await _run(
        Activity.CLOSE_SESSION,
        call,
        returns=Waited,
        task_queue=target.run_queue,
        activity_id=call.step,
        summary=f"close the session on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=_UNDO,
        retry_policy=PATIENT,
    )


async def submit(
    call: StageCall, target: TargetSnapshot, pace: Pace, within: timedelta | None = None
) -> Submitted:
    """Start the rung's job, or adopt it; where the provider takes few jobs a minute, this waits for its turn.

    Given up after a while where one is named.
    """
    return await _run(
        Activity.SUBMIT,
        call,
        returns=Submitted,
        task_queue=target.submit_queue,
        activity_id=call.step,
        summary=f"submit to {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=within,
        retry_policy=STEADY if target.paid else PATIENT,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def await_start(
    call: StageCall, job: JobRef, target: TargetSnapshot, limits: Limits, pace: Pace
) -> None:
    """Wait in the provider's queue."""
    await _run(
        Activity.AWAIT_START,
        WaitCall(call=call, job=job, wait=limits.queue, run=limits.run),
        returns=Waited,
        task_queue=target.run_queue,
        activity_id=call.step,
        summary=f"wait for {call.backend} to start",
        schedule_to_start_timeout=limits.queue,
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=STEADY,
    )


async def await_done(
    call: StageCall, job: JobRef, target: TargetSnapshot, limits: Limits, pace: Pace
) -> None:
    """Wait for the run's end; a simulator runs in it."""
    await _run(
        Activity.AWAIT_DONE,
        WaitCall(call=call, job=job, wait=limits.queue, run=limits.run),
        returns=Waited,
        task_queue=target.run_queue,
        activity_id=call.step,
        summary=f"{'run on' if target.simulator else 'wait for'} {call.backend}",
        schedule_to_start_timeout=limits.queue,
        start_to_close_timeout=limits.run + pace.stage if target.simulator else pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def await_calibration(call: CalibrationCall, pace: Pace) -> None:
    """Wait for a calibration that another job measures, for a while."""
    await _run(
        Activity.AWAIT_CALIBRATION,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id=call.call.step,
        summary="wait for another job's calibration",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=STEADY,
    )


async def precise(call: PreciseCall) -> PreciseStep:
    """Take in a round, and decide on the next."""
    return await _run(
        Activity.PRECISE,
        call,
        returns=PreciseStep,
        summary="decide on the next round",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def finish(call: FinishCall, pace: Pace) -> RawValue:
    """Fetch, post-process and record a small result."""
    return await _run(
        Activity.FINISH,
        call,
        returns=RawValue,
        activity_id="finish",
        summary="fetch · post-process · record (merged, the result is small)",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def fetch(
    call: FinishCall, target: TargetSnapshot, pace: Pace, within: timedelta | None = None
) -> None:
    """Bring the raw result into the store; given up sooner where a time is named."""
    await _run(
        Activity.FETCH,
        call,
        returns=Waited,
        task_queue=Queue.WORKFLOWS if target.simulator else target.run_queue,
        activity_id=call.call.step,
        summary=f"fetch from {call.call.backend}",
        start_to_close_timeout=pace.compile,
        schedule_to_close_timeout=None if target.simulator else within or _FETCH_AT_LAST,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def post_process(call: FinishCall, pace: Pace, *, draft: bool) -> RawValue:
    """Put results together and check them; by option, give back the report as it will be."""
    return await _run(
        Activity.POST_PROCESS,
        call,
        draft,
        returns=RawValue,
        activity_id=call.call.step,
        summary="post-process",
        start_to_close_timeout=pace.compile,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def record(call: FinishCall, derived: Any, pace: Pace, within: timedelta | None = None) -> RawValue:
    """Give the job its report; give up after a while where one is named."""
    return await _run(
        Activity.RECORD,
        call,
        derived,
        returns=RawValue,
        activity_id=call.call.step,
        summary="record",
        start_to_close_timeout=pace.compile,
        schedule_to_close_timeout=within,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
    )


async def withdraw(
    call: StageCall, target: TargetSnapshot, pace: Pace, within: timedelta | None = None
) -> Withdrawn:
    """Cancel whatever the job has started on a rung; given up sooner where a time is named."""
    return await _run(
        Activity.WITHDRAW,
        call,
        returns=Withdrawn,
        task_queue=Queue.WORKFLOWS if target.simulator else target.run_queue,
        activity_id=call.step,
        summary=f"withdraw from {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=within or _UNDO,
        retry_policy=STEADY,
    )


async def batch_begin(head: BatchHead, call: BatchCall, body: RawValue) -> BatchStatus:
    """Take in a batch's lines, or have what failed of it run again."""
    return await _run(
        Activity.BATCH_BEGIN,
        head,
        call,
        body,
        returns=BatchStatus,
        activity_id="batch_begin",
        summary="run again what failed" if head.rerun else "read the lines, group the items",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def batch_advance(call: BatchCall) -> BatchStatus:
    """Run chunks for a turn; on a queue whose stages wait for others, so that it takes none of the jobs' own places."""
    return await _run(
        Activity.BATCH_ADVANCE,
        call,
        returns=BatchStatus,
        task_queue=Queue.HARDWARE,
        summary="run chunks",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def batch_cancel(head: BatchHead, call: BatchCall) -> None:
    """Cancel a batch's jobs, and see that they end."""
    await _run(
        Activity.BATCH_CANCEL,
        head,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id="batch_cancel",
        summary="cancel what is in flight",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        schedule_to_close_timeout=_UNDO,
        retry_policy=STEADY,
    )


async def batch_end(call: BatchCall) -> BatchReport:
    """Close a batch, and put its report together."""
    return await _run(
        Activity.BATCH_END,
        call,
        returns=BatchReport,
        activity_id="batch_end",
        summary="the sum",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def plan_cut(head: CutHead, call: CutCall, body: RawValue) -> CutPlanned:
    """Find cuts, make the fragments' jobs, say what all that takes."""
    return await _run(
        Activity.PLAN_CUT,
        head,
        call,
        body,
        returns=CutPlanned,
        task_queue=Queue.COMPILE,
        activity_id="plan_cut",
        summary="find cuts, make the fragments",
        start_to_close_timeout=_PLAN_CUT,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def run_fragments(call: FragmentsCall) -> FragmentEnds:
    """Run fragments until one has ended; on a queue whose stages wait for others, so that it takes none of their jobs' places."""
    return await _run(
        Activity.RUN_FRAGMENTS,
        call,
        returns=FragmentEnds,
        task_queue=Queue.HARDWARE,
        summary=f"run fragments {', '.join(run.name for run in call.runs[:8])}",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def cancel_fragments(call: FragmentsCall) -> FragmentEnds:
    """Cancel a cut's jobs, and see that they end."""
    return await _run(
        Activity.CANCEL_FRAGMENTS,
        call,
        returns=FragmentEnds,
        task_queue=Queue.HARDWARE,
        activity_id="cancel_fragments",
        summary="cancel what runs",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        schedule_to_close_timeout=_UNDO,
        retry_policy=STEADY,
    )


async def end_cut(call: EndCut) -> CutReport:
    """Put the values together, and keep the report."""
    return await _run(
        Activity.END_CUT,
        call,
        returns=CutReport,
        task_queue=Queue.COMPILE,
        activity_id="end_cut",
        summary="put the values together" if call.error is None else "keep why there is no answer",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def matrix_begin(head: MatrixHead, call: MatrixCall, body: RawValue) -> MatrixStatus:
    """Take in a matrix, or have what it lacks run again."""
    return await _run(
        Activity.MATRIX_BEGIN,
        head,
        call,
        body,
        returns=MatrixStatus,
        task_queue=Queue.COMPILE,
        activity_id="matrix_begin",
        summary="run again what is missing" if head.rerun else "read the data, list the entries",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def matrix_advance(call: MatrixCall) -> MatrixStatus:
    """Keep what a matrix's batch brings, for a turn; on a queue whose stages wait for others."""
    return await _run(
        Activity.MATRIX_ADVANCE,
        call,
        returns=MatrixStatus,
        task_queue=Queue.HARDWARE,
        summary="run what is missing",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def matrix_cancel(call: MatrixCall) -> None:
    """Cancel a matrix's batch, and keep what it had brought."""
    await _run(
        Activity.MATRIX_CANCEL,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id="matrix_cancel",
        summary="cancel what is in flight",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        schedule_to_close_timeout=_UNDO,
        retry_policy=STEADY,
    )


async def matrix_end(call: MatrixCall) -> MatrixReport:
    """Put a matrix's file together."""
    return await _run(
        Activity.MATRIX_END,
        call,
        returns=MatrixReport,
        task_queue=Queue.COMPILE,
        activity_id="matrix_end",
        summary="the file",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def user_stage(hook: Hook, document: RawValue, step: str) -> Any:
    """Run the caller's own registered activity on its own queue; gives back the JSON value it returned."""
    return await workflow.execute_activity(
        hook.activity,
        document,
        task_queue=hook.task_queue,
        activity_id=step,
        summary=f"{hook.activity} (the caller's own stage)",
        start_to_close_timeout=hook.timeout,
        retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=10),
    )


async def set_budget(change: BudgetChange) -> RawValue:
    """Change what jobs may cost."""
    return await _run(
        Activity.SET_BUDGET,
        change,
        returns=RawValue,
        activity_id="set_budget",
        summary=f"set the guardrails of {change.guardrails.project}"
        if change.guardrails
        else f"set {change.budget}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )


async def set_rollout(change: RolloutChange) -> RawValue:
    """Change which jobs go to which place first."""
    return await _run(
        Activity.SET_ROLLOUT,
        change,
        returns=RawValue,
        activity_id="set_rollout",
        summary=f"remove rule {change.remove}"
        if change.rule is None
        else f"{change.rule.name} {change.rule.effect}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )


async def plan_shadow(call: ShadowCall) -> ShadowJob:
    """The job that runs in the shadow of another, where one may."""
    return await _run(
        Activity.PLAN_SHADOW,
        call,
        returns=ShadowJob,
        activity_id="plan_shadow",
        summary=f"plan the shadow on {call.shadowing.backend}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def compare_shadow(call: ShadowCall, *, ended: bool) -> RawValue:
    """Write down how a shadow differs from the answer; waits for a job that is not known to have ended."""
    return await _run(
        Activity.COMPARE_SHADOW,
        call,
        ended,
        returns=RawValue,
        activity_id="compare_shadow",
        summary=f"compare with {call.shadowing.backend}",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=STEADY,
    )


async def due(call: DueCall, documents: Any) -> Due:
    """Make the jobs of a fire, or find those that it has started before."""
    return await _run(
        Activity.DUE,
        call,
        documents,
        returns=Due,
        activity_id="due",
        summary=f"what is due at {call.fire.moment}",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def due_request(job: DueJob) -> RawValue:
    """The request of a job that is due, unread."""
    return await _run(
        Activity.DUE_REQUEST,
        job.request,
        returns=RawValue,
        activity_id=f"request-{job.head.id}",
        summary=f"request of {job.head.id}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def tally_fire(call: TallyCall) -> FireReport:
    """Put together how the jobs of a fire ended, and add their rows to the export."""
    return await _run(
        Activity.TALLY_FIRE,
        call,
        returns=FireReport,
        activity_id="tally_fire",
        summary=f"sum up{' and export to ' + call.export if call.export else ''}",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def begin_loop(call: BeginLoop) -> LoopPlan:
    """Read a loop's problem, build its ansatz, ask a classical solver."""
    return await _run(
        Activity.BEGIN_LOOP,
        call,
        returns=LoopPlan,
        task_queue=Queue.COMPILE,
        activity_id="begin_loop",
        summary="prepare the loop",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def iterate(call: ChunkCall, heartbeat: timedelta) -> Chunk:
    """Go on with a loop for about a second, or for one iteration, which may take hours."""
    return await _run(
        Activity.ITERATE,
        call,
        returns=Chunk,
        task_queue=Queue.SIM,
        activity_id=f"iterate-{call.number}",
        summary=f"chunk {call.number} of the loop",
        start_to_close_timeout=_ITERATION,
        heartbeat_timeout=heartbeat,
        retry_policy=STEADY,
        # A chunk is shorter than a heartbeat: waited for, it would end well, and the cancellation be forgotten.
        cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
    )


async def end_loop(call: EndLoop, heartbeat: timedelta) -> OptimisationReport:
    """Evaluate the point that a loop ends with, and keep its report."""
    return await _run(
        Activity.END_LOOP,
        call,
        returns=OptimisationReport,
        task_queue=Queue.SIM,
        activity_id="end_loop",
        summary="make the loop's report",
        start_to_close_timeout=_ITERATION,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
    )


async def join_group(call: StageCall, pace: Pace) -> Joined:
    """Wait with others to share a provider job; a cancellation waits until it is known whether it does."""
    return await _run(
        Activity.JOIN_GROUP,
        call,
        returns=Joined,
        task_queue=Queue.HARDWARE,
        activity_id=call.step,
        summary=f"join those that wait to share a provider job on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=STEADY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def await_group(call: StageCall, joined: Joined, limits: Limits, pace: Pace) -> GroupEnd:
    """Wait for the end of what is shared, and take the job's part of it."""
    return await _run(
        Activity.AWAIT_GROUP,
        call,
        joined,
        limits.queue,
        returns=GroupEnd,
        task_queue=Queue.HARDWARE,
        activity_id=call.step,
        summary=f"wait with others for {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=STEADY,
    )


async def leave_group(call: StageCall, pace: Pace) -> GroupEnd:
    """Wait with nobody any more."""
    return await _run(
        Activity.LEAVE_GROUP,
        call,
        returns=GroupEnd,
        task_queue=Queue.HARDWARE,
        activity_id=call.step,
        summary=f"leave those that share a provider job on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=_UNDO,
        retry_policy=PATIENT,
    )


async def await_turn(head: CollectorHead) -> None:
    """Wait until the account may send one more."""
    await _run(
        Activity.AWAIT_TURN,
        head,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        summary=f"wait until {head.backend} may be sent to",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=STEADY,
    )


async def start_group(call: GroupCall, number: int) -> Composed:
    """Have those who waited together run as one."""
    return await _run(
        Activity.START_GROUP,
        call,
        returns=Composed,
        summary=f"group {number + 1}: {len(call.members)} jobs",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def loop_turn(call: TurnCall, heartbeat: timedelta) -> Turn:
    """Tell a loop's optimiser what a job found, and make the job of the next iteration."""
    return await _run(
        Activity.LOOP_TURN,
        call,
        returns=Turn,
        task_queue=Queue.SIM,
        activity_id=f"turn-{call.number}",
        summary=f"turn {call.number}: keep what a job found, ask the optimiser",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
    )


async def loop_last(call: LastCall, heartbeat: timedelta) -> LastJob:
    """The job that evaluates the point that a loop ends with, or reads assignments there."""
    return await _run(
        Activity.LOOP_LAST,
        call,
        returns=LastJob,
        task_queue=Queue.SIM,
        activity_id=f"last-{call.purpose}",
        summary=f"make the job of the last point's {call.purpose}",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
    )


async def leave_sessions(call: LeaveCall) -> None:
    """Close the sessions that a loop holds; given up after a while, since the reconciler closes those of loops that ended."""
    await _run(
        Activity.LEAVE_SESSIONS,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id=f"leave-{call.number}",
        summary="close the loop's sessions",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        schedule_to_close_timeout=_LEAVE,
        retry_policy=PATIENT,
    )


async def begin_comparison(call: BeginComparison, body: RawValue) -> ComparisonPlan:
    """Make the jobs of a comparison, or find those that it was given first."""
    return await _run(
        Activity.BEGIN_COMPARISON,
        call,
        body,
        returns=ComparisonPlan,
        activity_id="begin_comparison",
        summary="make each place's job",
        start_to_close_timeout=_FIRST.compile,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def leg_request(leg: Leg) -> RawValue:
    """The request of a leg's job, unread."""
    return await _run(
        Activity.LEG_REQUEST,
        leg.request,
        returns=RawValue,
        activity_id=f"request-{leg.head.id}",
        summary=f"request for {leg.place}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def judge_leg(leg: Leg) -> Judged:
    """Whether a leg's answer is good enough to be taken."""
    return await _run(
        Activity.JUDGE_LEG,
        leg,
        returns=Judged,
        activity_id=f"judge-{leg.head.id}",
        summary=f"judge the answer of {leg.place}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def end_comparison(call: EndComparison) -> ComparisonReport:
    """Put a comparison together and keep its report."""
    return await _run(
        Activity.END_COMPARISON,
        call,
        returns=ComparisonReport,
        activity_id="end_comparison",
        summary="compare, decide, record",
        start_to_close_timeout=_TO_COMPARE,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def read_store(request: ReadRequest) -> RawValue:
    """Ask the store."""
    return await _run(
        Activity.READ_STORE,
        request,
        returns=RawValue,
        activity_id="read_store",
        summary=f"read {request.what}",
        start_to_close_timeout=_FIRST.stage,
        heartbeat_timeout=_FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )
