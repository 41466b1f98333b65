"""Calls of the activities that somebody waits for who asked the service: questions and settings."""

from datetime import timedelta

from temporalio.common import RawValue, RetryPolicy

from qurable.contracts.budgets import BudgetChange
from qurable.contracts.rollout import RolloutChange
from qurable.contracts.stages import (
    ReadRequest,
)
from qurable.names import Activity
from workflows.calling import FIRST, run_activity

_ASKED_BY_SOMEBODY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=8)
"""They would rather hear that it failed."""


async def read_store(request: ReadRequest) -> RawValue:
    """Ask the store."""
    return await run_activity(
        Activity.READ_STORE,
        request,
        returns=RawValue,
        activity_id="read_store",
        summary=f"read {request.what}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )


async def set_budget(change: BudgetChange) -> RawValue:
    """Change what jobs may cost."""
    return await run_activity(
        Activity.SET_BUDGET,
        change,
        returns=RawValue,
        activity_id="set_budget",
        summary=f"set the guardrails of {change.guardrails.project}"
        if change.guardrails
        else f"set {change.budget}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )


async def set_rollout(change: RolloutChange) -> RawValue:
    """Change which jobs go to which place first."""
    return await run_activity(
        Activity.SET_ROLLOUT,
        change,
        returns=RawValue,
        activity_id="set_rollout",
        summary=f"remove rule {change.remove}"
        if change.rule is None
        else f"{change.rule.name} {change.rule.effect}",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=_ASKED_BY_SOMEBODY,
    )
