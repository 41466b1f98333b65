"""Calls of a job's stages: the queue, the limits and the retries of each, in one place."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy

from qurable.contracts.approvals import Approval
from qurable.contracts.executions import JobRef
from qurable.contracts.jobs import Hook, Limits
from qurable.contracts.routes import Route
from qurable.contracts.sharing import GroupEnd, Joined
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
from workflows.calling import FIRST, PATIENT, STEADY, UNDO, run_activity

_FETCH_AT_LAST = timedelta(days=7)
"""A result that is paid for is asked for again for as long as this, while its place does not answer."""


async def accept(call: AcceptCall, body: RawValue) -> Accepted:
    """Insert the job, or learn that it has ended before."""
    return await run_activity(
        Activity.ACCEPT,
        call,
        body,
        returns=Accepted,
        activity_id="accept",
        summary="accept",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def prepare(call: PrepareCall, pace: Pace) -> Validated:
    """Validate; plan and transpile too where the circuits are small."""
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    await run_activity(
        Activity.CLOSE_SESSION,
        call,
        returns=Waited,
        task_queue=target.run_queue,
        activity_id=call.step,
        summary=f"close the session on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=UNDO,
        retry_policy=PATIENT,
    )


async def submit(
    call: StageCall, target: TargetSnapshot, pace: Pace, within: timedelta | None = None
) -> Submitted:
    """Start the rung's job, or adopt it; where the provider takes few jobs a minute, this waits for its turn.

    Given up after a while where one is named.
    """
    return await run_activity(
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
    await run_activity(
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
    await run_activity(
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
    await run_activity(
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


async def finish(call: FinishCall, pace: Pace) -> RawValue:
    """Fetch, post-process and record a small result."""
    return await run_activity(
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
    await run_activity(
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
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
        Activity.WITHDRAW,
        call,
        returns=Withdrawn,
        task_queue=Queue.WORKFLOWS if target.simulator else target.run_queue,
        activity_id=call.step,
        summary=f"withdraw from {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=within or UNDO,
        retry_policy=STEADY,
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


async def join_group(call: StageCall, pace: Pace) -> Joined:
    """Wait with others to share a provider job; a cancellation waits until it is known whether it does."""
    return await run_activity(
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
    return await run_activity(
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
    return await run_activity(
        Activity.LEAVE_GROUP,
        call,
        returns=GroupEnd,
        task_queue=Queue.HARDWARE,
        activity_id=call.step,
        summary=f"leave those that share a provider job on {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=UNDO,
        retry_policy=PATIENT,
    )
