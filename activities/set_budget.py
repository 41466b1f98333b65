"""Set what jobs may cost, for clients, who speak Temporal only."""

from temporalio import activity

from activities.boundary import speaks_temporal
from qurable.contracts.budgets import BudgetChange, Budgets
from qurable.names import Activity
from store import budgets, standings
from store.database import Database


class SetBudget:
    """Sets budgets and guardrails.

    Args:
        database: The store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name=Activity.SET_BUDGET)
    @speaks_temporal
    async def set_budget(self, change: BudgetChange) -> Budgets:
        """Make the change; gives back every budget as it stands then. A repeated attempt changes nothing more."""
        await self._database.write(budgets.change, change)
        activity.logger.info("budget changed: %s", change.model_dump_json(exclude_none=True))
        return await self._database.read(standings.look)
