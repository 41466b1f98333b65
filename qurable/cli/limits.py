"""From words such as `10min` and `25EUR` to what jobs may cost."""

import re

from pydantic import ValidationError

from qurable.contracts.base import explain
from qurable.contracts.budgets import EACH, Budget, BudgetChange, Guardrails, JobBudget, Period, Scope
from qurable.errors import RequestRejected

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_AMOUNT = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")


def read_budget(words: list[str], *, whose: dict[str, str | None], total: bool, off: bool) -> BudgetChange:
    """The budget that a command line describes.

    Args:
        words: Limits with their units, such as `10min` and `25EUR`.
        whose: Names by scope, of which one at most is given; `each` names a scope.
        total: For all time instead of a month.
        off: Take it away.

    Raises:
        RequestRejected: Naming the word, and what would do.
    """
    if off == bool(words):
        raise RequestRejected(
            "name one limit at least, such as 600s, 10min or 25EUR, or --off to take the budget away"
            if not off
            else f"--off takes the budget away, and {' '.join(words)} limits it: give one of them"
        )
    scope, name = _whose(whose)
    limits = _limits(words, "to take a limit away, use --off")
    period = Period.TOTAL if total or scope is Scope.JOB else Period.MONTH
    try:
        return BudgetChange(
            budget=Budget.model_validate({"scope": scope, "name": name, "period": period, **limits})
        )
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the budget")) from None


def _whose(names: dict[str, str | None]) -> tuple[Scope, str]:
    given = {option: name for option, name in names.items() if name is not None}
    if len(given) > 1:
        raise RequestRejected(f"a budget is of one of them: {', '.join(f'--{option}' for option in given)}")
    for option, name in given.items():
        if option != "each":
            return Scope(option), name
        if name not in (Scope.JOB, Scope.USER, Scope.PROJECT):
            raise RequestRejected(f"--each is job, user or project, not {name!r}")
        return Scope(name), EACH
    return Scope.HOUSE, ""


def read_job_budget(words: list[str]) -> JobBudget:
    """The budget of one job.

    Raises:
        RequestRejected: Naming the word, and what would do.
    """
    limits = _limits(words, "leave --budget out for no limit")
    return JobBudget.model_validate({"price" if name == "money" else name: limits[name] for name in limits})


def _limits(words: list[str], unlimited: str) -> dict[str, float | str]:
    limits: dict[str, float | str] = {}
    for word in words:
        found = _limit(word, unlimited)
        if found.keys() & limits.keys():
            raise RequestRejected(
                f"{word!r} is a second limit of its kind: give one in time and one in money"
            )
        limits |= found
    return limits


def _limit(word: str, unlimited: str) -> dict[str, float | str]:
    found = _AMOUNT.fullmatch(word)
    if found is None and word.startswith("--"):
        raise RequestRejected(f"there is no option {word!r}: `qurable budget set --help` lists them")
    if found is None:
        raise RequestRejected(
            f"{word!r} is no limit: write a number with its unit, such as 600s, 10min or 25EUR"
        )
    number, unit = float(found[1]), found[2]
    if number <= 0:
        raise RequestRejected(f"{word!r} is not above zero: {unlimited}")
    if unit in _SECONDS:
        return {"qpu_seconds": number * _SECONDS[unit]}
    if re.fullmatch("[A-Z]{3}", unit):
        return {"money": number, "currency": unit}
    known = f"time in {', '.join(_SECONDS)}, money in a currency of three capital letters such as EUR"
    raise RequestRejected(
        f"{word!r} has no unit: {known}" if not unit else f"the unit of {word!r} is not known: {known}"
    )


def read_guardrails(project: str, **limits: int | None) -> BudgetChange:
    """The guardrails that a command line describes; without limits, none.

    Raises:
        RequestRejected: Naming the field.
    """
    try:
        return BudgetChange(guardrails=Guardrails.model_validate({"project": project, **limits}))
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the guardrails")) from None
