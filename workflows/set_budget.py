"""A short workflow by which clients set what jobs may cost; its history says who ran it, and when."""

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.budgets import BudgetChange
from qurable.errors import HybridError
from qurable.names import SET_BUDGET
from workflows.calls import service


@workflow.defn(name=SET_BUDGET, failure_exception_types=[HybridError])
class SetBudget:
    """Change one budget, or one project's guardrails."""

    @workflow.run
    async def run(self, change: BudgetChange) -> RawValue:
        """Every budget as it stands after it."""
        return await service.set_budget(change)
