"""What is left of every budget, and where the month ends if it goes on as it has begun."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from qurable.contracts.budgets import EACH, Budget, Budgets, Forecast, Period, Scope, Standing
from store import budgets
from store.clock import moment
from store.schema import reservations
from store.spending import OF_SCOPE, Taken, concerned, money_taken, seconds_taken

_SHOWN = 20
"""Jobs, users or projects that are listed of a budget for each of them: those that have taken most."""

_ENOUGH = timedelta(days=1)
"""Before that a month says little about its rest."""


def look(connection: Connection) -> Budgets:
    """Every budget as it stands now, and every project's guardrails."""
    at = moment(connection)
    every = budgets.every(connection)
    own = {(budget.scope, budget.name, budget.period) for budget in every}
    standings = [
        _standing(connection, budget, subject, at)
        for budget in every
        for subject in _subjects(connection, budget, at)
        if budget.name != EACH or (budget.scope, subject, budget.period) not in own
    ]
    return Budgets(standings=tuple(standings), guardrails=budgets.every_guardrail(connection))


def room(connection: Connection, job_id: str, user: str, project: str) -> tuple[Standing, ...]:
    """What is left, for one job, of every budget that bounds it; each under its subject's own name.

    What the job itself has reserved and spent does not count: planned again, it finds the room that it had.
    """
    at, subjects = moment(connection), budgets.subjects_of(job_id, user, project)
    return tuple(
        _room(connection, budget.of(subjects[budget.scope]), job_id, at)
        for budget in budgets.bounding(connection, subjects)
    )


def _room(connection: Connection, budget: Budget, job_id: str, at: datetime) -> Standing:
    month = _month(budget, at)
    among = [*concerned(budget.scope, budget.name, month), reservations.c.job_id != job_id]
    return _standing_of(connection, budget, month, among)


def _subjects(connection: Connection, budget: Budget, at: datetime) -> Iterator[str]:
    """Whom a budget is about; of one for each, nobody in particular first, and then whoever has taken most."""
    if budget.name != EACH:
        yield budget.name
        return
    yield ""
    column = OF_SCOPE[budget.scope]
    taken = func.sum(reservations.c.held + reservations.c.spent)
    among = [column != "", *concerned(Scope.HOUSE, "", _month(budget, at))]
    query = select(column).where(*among).group_by(column).having(taken > 0)
    yield from connection.execute(query.order_by(taken.desc(), column).limit(_SHOWN)).scalars().all()


def _month(budget: Budget, at: datetime) -> str:
    return f"{at:%Y-%m}" if budget.period is Period.MONTH else ""


def _standing(connection: Connection, budget: Budget, subject: str, at: datetime) -> Standing:
    month = _month(budget, at)
    if budget.name == EACH and not subject:
        return Standing(budget=budget, month=month, left_seconds=budget.qpu_seconds, left_money=budget.money)
    among = concerned(budget.scope, subject, month)
    taken = _standing_of(connection, budget, month, among)
    unpriced = Taken()
    if budget.currency:
        priced = (reservations.c.currency == budget.currency) & reservations.c.price_per_second.is_not(None)
        unpriced = seconds_taken(connection, [*among, ~priced])
    return taken.model_copy(
        update={
            "whose": subject if budget.name == EACH else "",
            "unpriced_seconds": unpriced.reserved + unpriced.spent,
            "forecast": forecast(budget, taken.spent_seconds, taken.spent_money, at) if month else None,
        }
    )


def _standing_of(
    connection: Connection, budget: Budget, month: str, among: Sequence[ColumnElement[bool]]
) -> Standing:
    """What some reservations leave of a budget."""
    seconds = seconds_taken(connection, among)
    money = money_taken(connection, among, budget.currency) if budget.currency else Taken()
    return Standing(
        budget=budget,
        month=month,
        reserved_seconds=seconds.reserved,
        spent_seconds=seconds.spent,
        left_seconds=_left(budget.qpu_seconds, seconds),
        reserved_money=money.reserved,
        spent_money=money.spent,
        left_money=_left(budget.money, money),
    )


def _left(limit: float | None, taken: Taken) -> float | None:
    return None if limit is None else limit - taken.reserved - taken.spent


def forecast(budget: Budget, seconds: float, money: float, at: datetime) -> Forecast | None:
    """The month's end on a straight line through its beginning and now; None on its first day.

    Args:
        budget: Whose limits may be reached.
        seconds: QPU seconds spent since the month began.
        money: Spent since then, in the budget's currency.
        at: Now.
    """
    began = datetime(at.year, at.month, 1, tzinfo=UTC)
    elapsed, days = at - began, monthrange(at.year, at.month)[1]
    if elapsed < _ENOUGH:
        return None
    whole = timedelta(days=days) / elapsed
    fills = [
        limit / spent
        for limit, spent in ((budget.qpu_seconds, seconds), (budget.money, money))
        if limit and spent
    ]
    first = min(fills, default=whole)
    return Forecast(
        qpu_seconds=seconds * whole,
        money=money * whole if budget.money is not None else None,
        exhausted=began + first * elapsed if first < whole else None,
        basis=f"{seconds:g} QPU seconds in {elapsed / _ENOUGH:.1f} of {days} days, on a straight line",
    )
