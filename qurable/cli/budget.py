"""`qurable budget`: what jobs may cost, what they have cost, and what they will have by the end of the month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json

if TYPE_CHECKING:
    from qurable.client import Qurable
    from qurable.contracts.budgets import BudgetChange

budget = typer.Typer(
    name="budget",
    help="Show, set and forecast what jobs may cost at places that cost money.",
    epilog="example: qurable budget --json",
    rich_markup_mode=None,
)


@budget.callback(invoke_without_command=True)
def show_budgets(context: typer.Context, json: Json = False) -> None:
    """Show, set and forecast what jobs may cost at places that cost money."""
    if context.invoked_subcommand is not None:
        return
    from qurable.cli import show_budgets as show

    async def command(qurable: Qurable) -> int:
        show.standings(await qurable.budgets(), json=json)
        return 0

    with_service(command, json=json)


@budget.command(
    "set",
    epilog="example: qurable budget set 10min 25EUR --project chemistry",
    context_settings={"ignore_unknown_options": True},  # -5s is an amount, and a wrong one
)
def set_limits(
    limits: Annotated[
        Optional[list[str]],  # noqa: UP045  typer reads it at run time
        typer.Argument(help="QPU time in s, min or h, and money in a currency, such as 600s 25EUR."),
    ] = None,
    project: Annotated[
        Optional[str], typer.Option(help="Of this project; without any, of the house.")  # noqa: UP045
    ] = None,
    user: Annotated[Optional[str], typer.Option(help="Of this user.")] = None,  # noqa: UP045
    job: Annotated[Optional[str], typer.Option(help="Of this job, by its id.")] = None,  # noqa: UP045
    each: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of each job, user or project by itself, unless it has one of its own."),
    ] = None,
    total: Annotated[bool, typer.Option("--total", help="For all time instead of a calendar month.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Take the budget away.")] = False,
    json: Json = False,
) -> None:
    """Set a budget in the place of the one that stands; what is reserved already stays reserved."""
    from qurable.cli.limits import read_budget
    from qurable.cli.service import said

    with said(json=json):
        whose = {"project": project, "user": user, "job": job, "each": each}
        change = read_budget(limits or [], whose=whose, total=total, off=off)
    _change(change, json=json)


@budget.command(epilog="example: qurable budget guard --project chemistry --depth 500 --submissions 50")
def guard(
    project: Annotated[str, typer.Option(help="Of this project; * for each that has none of its own.")],
    depth: Annotated[Optional[int], typer.Option(help="Deepest ISA circuit.")] = None,  # noqa: UP045
    two_qubit_gates: Annotated[
        Optional[int], typer.Option(help="Most two-qubit gates of an ISA circuit.")  # noqa: UP045
    ] = None,
    shots: Annotated[
        Optional[int], typer.Option(help="Most shots of a submission, over all its bindings.")  # noqa: UP045
    ] = None,
    submissions: Annotated[Optional[int], typer.Option(help="Most provider jobs in a month.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """Set what a project may send to places that cost money, in the place of what stands; without limits, anything."""
    from qurable.cli.limits import read_guardrails
    from qurable.cli.service import said

    with said(json=json):
        change = read_guardrails(
            project, depth=depth, two_qubit_gates=two_qubit_gates, shots=shots, submissions=submissions
        )
    _change(change, json=json)


@budget.command(epilog="example: qurable budget forecast")
def forecast(json: Json = False) -> None:
    """Show where the month's spending ends if it goes on as it has begun."""
    from qurable.cli import show_budgets as show

    async def command(qurable: Qurable) -> int:
        show.forecasts(await qurable.budgets(), json=json)
        return 0

    with_service(command, json=json)


def _change(change: BudgetChange, *, json: bool) -> None:
    from qurable.cli import show_budgets as show

    async def command(qurable: Qurable) -> int:
        show.standings(await qurable.set_budget(change), json=json)
        return 0

    with_service(command, json=json)
