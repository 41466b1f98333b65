"""Calls of a comparison's activities."""

from datetime import timedelta

from temporalio.common import RawValue

from qurable.contracts.comparisons import (
    BeginComparison,
    ComparisonPlan,
    ComparisonReport,
    EndComparison,
    Judged,
    Leg,
)
from qurable.names import Activity
from workflows.calling import FIRST, PATIENT, run_activity

_TO_COMPARE = timedelta(minutes=15)
"""Its children have their own limits, which are shorter together."""


async def begin(call: BeginComparison, body: RawValue) -> ComparisonPlan:
    """Make the jobs of a comparison, or find those that it was given first."""
    return await run_activity(
        Activity.BEGIN_COMPARISON,
        call,
        body,
        returns=ComparisonPlan,
        activity_id="begin_comparison",
        summary="make each place's job",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def request_of(leg: Leg) -> RawValue:
    """The request of a leg's job, unread."""
    return await run_activity(
        Activity.LEG_REQUEST,
        leg.request,
        returns=RawValue,
        activity_id=f"request-{leg.head.id}",
        summary=f"request for {leg.place}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def judge(leg: Leg) -> Judged:
    """Whether a leg's answer is good enough to be taken."""
    return await run_activity(
        Activity.JUDGE_LEG,
        leg,
        returns=Judged,
        activity_id=f"judge-{leg.head.id}",
        summary=f"judge the answer of {leg.place}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )


async def end(call: EndComparison) -> ComparisonReport:
    """Put a comparison together and keep its report."""
    return await run_activity(
        Activity.END_COMPARISON,
        call,
        returns=ComparisonReport,
        activity_id="end_comparison",
        summary="compare, decide, record",
        start_to_close_timeout=_TO_COMPARE,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
