"""What jobs may cost, and what projects may send: set by operators, locked by whoever reserves."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, and_, delete, or_, select

from qurable.contracts.budgets import EACH, Budget, BudgetChange, Guardrails, Scope
from store.clock import moment
from store.database import put_all
from store.schema import budgets, guardrails


def change(connection: Connection, wanted: BudgetChange) -> None:
    """Put a budget or guardrails in the place of those that stand; one that limits nothing is taken away.

    What is reserved stays reserved, also where a budget is now smaller than that.
    """
    if wanted.budget is not None:
        _set_budget(connection, wanted.budget)
    if wanted.guardrails is not None:
        _set_guardrails(connection, wanted.guardrails)


def _set_budget(connection: Connection, budget: Budget) -> None:
    if budget.qpu_seconds is None and budget.money is None:
        same = (budgets.c.scope == budget.scope) & (budgets.c.name == budget.name)
        connection.execute(delete(budgets).where(same, budgets.c.period == budget.period))
        return
    put_all(connection, budgets, [{**budget.model_dump(mode="json"), "set_at": moment(connection)}])


def _set_guardrails(connection: Connection, rails: Guardrails) -> None:
    limits = rails.model_dump(exclude={"project"})
    if not any(limits.values()):
        connection.execute(delete(guardrails).where(guardrails.c.project == rails.project))
        return
    put_all(connection, guardrails, [{**rails.model_dump(), "set_at": moment(connection)}])


def every(connection: Connection) -> tuple[Budget, ...]:
    """Every budget: the house's first, then by scope, name and period."""
    order = [Scope.HOUSE, Scope.PROJECT, Scope.USER, Scope.JOB]
    found = map(_budget, connection.execute(select(budgets)).mappings())
    return tuple(sorted(found, key=lambda one: (order.index(one.scope), one.name, one.period)))


def every_guardrail(connection: Connection) -> tuple[Guardrails, ...]:
    """Every project's guardrails, by project."""
    query = select(guardrails).order_by(guardrails.c.project)
    return tuple(map(_guardrails, connection.execute(query).mappings()))


def guardrails_of(connection: Connection, project: str, *, lock: bool = False) -> Guardrails | None:
    """What holds for a project: its own guardrails, else those of each; by option locked until the transaction ends."""
    query = select(guardrails).where(guardrails.c.project.in_([project, EACH])).order_by(guardrails.c.project)
    found = list(map(_guardrails, connection.execute(query.with_for_update() if lock else query).mappings()))
    return next((rails for rails in found if rails.project == project), found[0] if found else None)


def subjects_of(job_id: str, user: str, project: str) -> dict[Scope, str]:
    """Whose budgets bound a job; a user or project without a name has none."""
    named = {Scope.JOB: job_id, Scope.USER: user, Scope.PROJECT: project}
    return {Scope.HOUSE: "", **{scope: name for scope, name in named.items() if name}}


def bounding(connection: Connection, subjects: dict[Scope, str], *, lock: bool = False) -> Sequence[Budget]:
    """Every budget that bounds these subjects; by option locked until the transaction ends.

    All who reserve lock them in one order. One set for each of a scope gives way to the subject's own.
    """
    concerned = or_(
        *(
            and_(budgets.c.scope == scope, budgets.c.name.in_([name, EACH] if name else [""]))
            for scope, name in subjects.items()
        )
    )
    query = select(budgets).where(concerned).order_by(budgets.c.scope, budgets.c.name, budgets.c.period)
    rows = connection.execute(query.with_for_update() if lock else query).mappings()
    found = list(map(_budget, rows))
    own = {(budget.scope, budget.period) for budget in found if budget.name != EACH}
    return [budget for budget in found if budget.name != EACH or (budget.scope, budget.period) not in own]


def _budget(row: RowMapping) -> Budget:
    return Budget.model_validate({name: row[name] for name in Budget.model_fields})


def _guardrails(row: RowMapping) -> Guardrails:
    return Guardrails.model_validate({name: row[name] for name in Guardrails.model_fields})
