"""Calls of the activities of a shadow run."""

from temporalio.common import RawValue

from qurable.contracts.shadows import ShadowCall, ShadowJob
from qurable.names import Activity
from workflows.calling import FIRST, PATIENT, STEADY, run_activity


async def plan(call: ShadowCall) -> ShadowJob:
    """The job that runs in the shadow of another, where one may."""
    return await run_activity(
        Activity.PLAN_SHADOW,
        call,
        returns=ShadowJob,
        activity_id="plan_shadow",
        summary=f"plan the shadow on {call.shadowing.backend}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def compare(call: ShadowCall, *, ended: bool) -> RawValue:
    """Write down how a shadow differs from the answer; waits for a job that is not known to have ended."""
    return await run_activity(
        Activity.COMPARE_SHADOW,
        call,
        ended,
        returns=RawValue,
        activity_id="compare_shadow",
        summary=f"compare with {call.shadowing.backend}",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
    )
