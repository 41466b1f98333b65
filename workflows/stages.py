"""Calls of stage activities: the queue, the limits and the retries of each, in one place.

Retries have no number of attempts: an activity's own errors say when to stop (`activities/boundary.py`), a
benign "still waiting" counts as an attempt too, and a store that is down is waited for.
"""

from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy

from qurable.contracts.executions import JobRef
from qurable.contracts.jobs import Hook, Limits
from qurable.contracts.routes import Route
from qurable.contracts.stages import (
    AcceptCall,
    Accepted,
    Compiled,
    FinishCall,
    Pace,
    PrepareCall,
    ReadRequest,
    StageCall,
    Submitted,
    Validated,
    WaitCall,
    Waited,
)
from qurable.contracts.targets import TargetSnapshot
from qurable.names import Activity, Queue

T = TypeVar("T")

PATIENT = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
STEADY = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0)
"""For waits: each benign end names its own delay, and must not stretch that of a real error."""

_FIRST = Pace()
_UNDO = timedelta(hours=24)


async def _run(activity: Activity, *args: Any, returns: type[T], **options: Any) -> T:
    """Call an activity by its name, with the type of its answer."""
    answer: T = await workflow.execute_activity(activity, args=args, result_type=returns, **options)
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


async def submit(call: StageCall, target: TargetSnapshot, pace: Pace) -> Submitted:
    """Start the rung's job, or adopt it."""
    return await _run(
        Activity.SUBMIT,
        call,
        returns=Submitted,
        task_queue=target.submit_queue,
        activity_id=call.step,
        summary=f"submit to {call.backend}",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        retry_policy=PATIENT,
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


async def fetch(call: FinishCall, target: TargetSnapshot, pace: Pace) -> None:
    """Bring the raw result into the store."""
    await _run(
        Activity.FETCH,
        call,
        returns=Waited,
        task_queue=Queue.WORKFLOWS if target.simulator else target.run_queue,
        activity_id=call.call.step,
        summary=f"fetch from {call.call.backend}",
        start_to_close_timeout=pace.compile,
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


async def withdraw(call: StageCall, pace: Pace) -> None:
    """Cancel whatever the job has started."""
    await _run(
        Activity.WITHDRAW,
        call,
        returns=Waited,
        activity_id=call.step,
        summary="withdraw",
        start_to_close_timeout=pace.stage,
        heartbeat_timeout=pace.heartbeat,
        schedule_to_close_timeout=_UNDO,
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


async def read_store(request: ReadRequest) -> RawValue:
    """Ask the store."""
    return await _run(
        Activity.READ_STORE,
        request,
        returns=RawValue,
        activity_id="read_store",
        summary=f"read {request.what}",
        start_to_close_timeout=_FIRST.stage,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=8),
    )
