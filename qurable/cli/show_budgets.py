"""What `qurable budget` prints."""

from collections.abc import Iterator

from rich.table import Table

from qurable.cli.printing import out, print_json, print_table
from qurable.contracts.budgets import EACH, Budgets, Guardrails, Standing

_BAR_WIDTH = 20


def standings(found: Budgets, *, json: bool) -> None:
    """Every budget with a bar: spent full, reserved shaded, left empty; and every project's guardrails."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    if not found.standings and not found.guardrails:
        out.print(
            "no budgets: nothing is limited, and everything is booked; set one with `qurable budget set`"
        )
    if found.standings:
        table = Table("budget", "", "limit", "reserved", "spent", "left", box=None)
        for standing in found.standings:
            for row in _rows(standing):
                table.add_row(*row)
        print_table(table)
    for rails in found.guardrails:
        out.print(f"guard    {_guardrails(rails)}")


def forecasts(found: Budgets, *, json: bool) -> None:
    """Where each month's budget ends, and what that was computed from."""
    monthly = [standing for standing in found.standings if standing.month and not _is_of_nobody(standing)]
    if json:
        print_json({"forecasts": [standing.model_dump(mode="json") for standing in monthly]})
        return
    if not monthly:
        out.print("no budget for a month is set: there is nothing to forecast")
    for standing in monthly:
        out.print(f"{_named(standing)}: {_forecast(standing)}")


def _rows(standing: Standing) -> Iterator[tuple[str, ...]]:
    """One for the limit in time, one for that in money."""
    budget = standing.budget
    if budget.qpu_seconds is not None:
        yield _row(standing, budget.qpu_seconds, standing.reserved_seconds, standing.spent_seconds, "s")
    if budget.money is not None:
        yield _row(standing, budget.money, standing.reserved_money, standing.spent_money, budget.currency)
        if standing.unpriced_seconds:
            yield "", f"{standing.unpriced_seconds:.2f} s have no price in {budget.currency}", "", "", "", ""


def _row(standing: Standing, limit: float, reserved: float, spent: float, unit: str) -> tuple[str, ...]:
    amounts = [limit, reserved, spent, limit - reserved - spent]
    if _is_of_nobody(standing):
        return _named(standing), "", f"{limit:.2f} {unit}", "", "", ""
    return (
        _named(standing),
        _bar(spent / limit, reserved / limit),
        *(f"{amount:.2f} {unit}" for amount in amounts),
    )


def _bar(spent: float, reserved: float) -> str:
    """Spent and reserved as parts of the limit; beyond it, it says so."""
    if spent + reserved > 1:
        return "█" * _BAR_WIDTH + " over"
    full = round(_BAR_WIDTH * spent)
    shaded = round(_BAR_WIDTH * (spent + reserved)) - full
    return "█" * full + "▒" * shaded + "·" * (_BAR_WIDTH - full - shaded)


def _is_of_nobody(standing: Standing) -> bool:
    """A budget for each of a scope, said once for all of them."""
    return standing.budget.name == EACH and not standing.whose


def _named(standing: Standing) -> str:
    budget = standing.budget
    return str(budget.model_copy(update={"name": standing.whose}) if standing.whose else budget)


def _forecast(standing: Standing) -> str:
    found = standing.forecast
    if found is None:
        return "the month has only begun, too early to say"
    money = "" if found.money is None else f" and {found.money:.2f} {standing.budget.currency}"
    gone = (
        ""
        if found.exhausted is None
        else f"; the first limit is reached on {found.exhausted:%d %B at %H:%M} UTC"
    )
    return f"{found.qpu_seconds:.1f} QPU seconds{money} by the end of {standing.month} ({found.basis}){gone}"


def _guardrails(rails: Guardrails) -> str:
    limits = rails.model_dump(exclude={"project"}, exclude_none=True)
    whose = "each project" if rails.project == EACH else f"project {rails.project!r}"
    return f"{whose}: " + ", ".join(
        f"{name.replace('_', ' ')} up to {number:,}" for name, number in limits.items()
    )
