"""Calls of a loop's activities."""

from datetime import timedelta

from temporalio import workflow

from qurable.contracts.loop_turns import LastCall, LastJob, LeaveCall, Turn, TurnCall
from qurable.contracts.optimisations import BeginLoop, Chunk, ChunkCall, EndLoop, LoopPlan, OptimisationReport
from qurable.contracts.stages import (
    Waited,
)
from qurable.names import Activity, Queue
from workflows.calling import FIRST, PATIENT, STEADY, run_activity

_ITERATION = timedelta(days=7)
"""An iteration of a loop takes the time it takes; a silent worker is noticed by its heartbeat."""

_LEAVE = timedelta(minutes=10)
"""For so long a loop tries to close its sessions; the reconciler closes those of loops that have ended."""


async def begin(call: BeginLoop) -> LoopPlan:
    """Read a loop's problem, build its ansatz, ask a classical solver."""
    return await run_activity(
        Activity.BEGIN_LOOP,
        call,
        returns=LoopPlan,
        task_queue=Queue.COMPILE,
        activity_id="begin_loop",
        summary="prepare the loop",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def iterate(call: ChunkCall, heartbeat: timedelta) -> Chunk:
    """Go on with a loop for about a second, or for one iteration, which may take hours."""
    return await run_activity(
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


async def turn(call: TurnCall, heartbeat: timedelta) -> Turn:
    """Tell a loop's optimiser what a job found, and make the job of the next iteration."""
    return await run_activity(
        Activity.LOOP_TURN,
        call,
        returns=Turn,
        task_queue=Queue.SIM,
        activity_id=f"turn-{call.number}",
        summary=f"turn {call.number}: keep what a job found, ask the optimiser",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
    )


async def last(call: LastCall, heartbeat: timedelta) -> LastJob:
    """The job that evaluates the point that a loop ends with, or reads assignments there."""
    return await run_activity(
        Activity.LOOP_LAST,
        call,
        returns=LastJob,
        task_queue=Queue.SIM,
        activity_id=f"last-{call.purpose}",
        summary=f"make the job of the last point's {call.purpose}",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
    )


async def end(call: EndLoop, heartbeat: timedelta) -> OptimisationReport:
    """Evaluate the point that a loop ends with, and keep its report."""
    return await run_activity(
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


async def leave_sessions(call: LeaveCall) -> None:
    """Close the sessions that a loop holds; given up after a while, since the reconciler closes those of loops that ended."""
    await run_activity(
        Activity.LEAVE_SESSIONS,
        call,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        activity_id=f"leave-{call.number}",
        summary="close the loop's sessions",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        schedule_to_close_timeout=_LEAVE,
        retry_policy=PATIENT,
    )
