"""Budgets over HTTP: to look at."""

from qurable.contracts.budgets import Budget, BudgetChange, Budgets, Guardrails, Scope
from tests.conftest import Stack
from tests.gateway.conftest import running_gateway


async def test_budgets_are_shown_and_not_set(stack: Stack) -> None:
    """Nobody knows who asks over HTTP yet, so nobody may raise a limit there."""
    budget = Budget(scope=Scope.PROJECT, name="chemistry", qpu_seconds=600)
    rails = Guardrails(project="chemistry", shots=1000)
    async with stack() as service, running_gateway(service.settings) as http:
        none = (await http.get("/budgets")).json()
        await service.qurable.set_budget(BudgetChange(budget=budget))
        await service.qurable.set_budget(BudgetChange(guardrails=rails))
        answer = await http.get("/budgets")
        refused = [await http.call(method, "/budgets", json={}) for method in ("POST", "PUT", "DELETE")]

    found = Budgets.model_validate(answer.json())
    (standing,) = found.standings
    assert Budgets.model_validate(none) == Budgets()
    assert (standing.budget, standing.left_seconds) == (budget, 600)
    assert found.guardrails == (rails,)
    assert [one.status_code for one in refused] == [405] * 3
