"""`qurable budget`: what is said to set one, what is shown, and what is refused."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qurable.cli import show_budgets
from qurable.cli.jobs import read_job
from qurable.cli.limits import read_budget, read_guardrails
from qurable.cli.options import Wishes
from qurable.contracts.budgets import (
    EACH,
    Budget,
    Budgets,
    Forecast,
    Guardrails,
    JobBudget,
    Period,
    Scope,
    Standing,
)
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Stack

NOBODY: dict[str, str | None] = {"project": None, "user": None, "job": None, "each": None}


def test_units_of_time_and_money() -> None:
    """A limit of each kind, with the units people use."""
    hours = read_budget(["1.5h", "25EUR"], whose=NOBODY, total=False, off=False).budget
    minutes = read_budget(["10min"], whose={**NOBODY, "project": "chemistry"}, total=True, off=False).budget
    each = read_budget(["60s"], whose={**NOBODY, "each": "job"}, total=False, off=False).budget
    gone = read_budget([], whose={**NOBODY, "user": "ada"}, total=False, off=True).budget

    assert hours == Budget(scope=Scope.HOUSE, qpu_seconds=5400, money=25, currency="EUR")
    assert minutes == Budget(scope=Scope.PROJECT, name="chemistry", period=Period.TOTAL, qpu_seconds=600)
    assert each == Budget(scope=Scope.JOB, name=EACH, period=Period.TOTAL, qpu_seconds=60)
    assert gone == Budget(scope=Scope.USER, name="ada")


def test_a_job_s_own_budget_is_said_in_the_same_words(tmp_path: Path) -> None:
    """Money keeps its currency; where none is said, the job's digest is what it was before there was one."""
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="ascii")

    both = read_job(file, Wishes(user="ada", budget=["1.5min", "25EUR"]))
    none = read_job(file, Wishes())
    priced = both.model_copy(update={"budget": JobBudget(price=25)})

    assert (both.user, both.budget) == ("ada", JobBudget(qpu_seconds=90, price=25, currency="EUR"))
    assert (none.user, none.budget) == ("", JobBudget())
    assert "currency" not in priced.model_dump_json()
    assert '"currency":"EUR"' in both.model_dump_json()


@pytest.mark.parametrize(
    ("words", "whose", "off", "message"),
    [
        ([], {}, False, "name one limit at least, such as 600s, 10min or 25EUR"),
        (["600"], {}, False, "'600' has no unit: time in s, min, h, money in a currency of three"),
        (["600fortnights"], {}, False, "the unit of '600fortnights' is not known"),
        (["5eur"], {}, False, "the unit of '5eur' is not known"),
        (["much"], {}, False, "'much' is no limit"),
        (["0s"], {}, False, "'0s' is not above zero: to take a limit away, use --off"),
        (["-5EUR"], {}, False, "'-5EUR' is not above zero"),
        (["5s", "1h"], {}, False, "'1h' is a second limit of its kind"),
        (["5s"], {"project": "a", "user": "b"}, False, "a budget is of one of them: --project, --user"),
        (["5s"], {"each": "house"}, False, "--each is job, user or project, not 'house'"),
        (["5s"], {"project": "Red Team"}, False, "name: String should match pattern"),
        (["5s"], {}, True, "--off takes the budget away, and 5s limits it"),
    ],
)
def test_what_means_nothing_is_refused_by_its_word(
    words: list[str], whose: dict[str, str | None], off: bool, message: str
) -> None:
    """A budget that is not what somebody meant is worse than none."""
    with pytest.raises(RequestRejected) as refused:
        read_budget(words, whose={**NOBODY, **whose}, total=False, off=off)

    assert message in refused.value.message


def test_a_guardrail_of_nothing_is_refused() -> None:
    """Zero shots would let nothing pass."""
    with pytest.raises(RequestRejected, match="shots: Input should be greater than or equal to 1"):
        read_guardrails("chemistry", shots=0)


def _standing(spent: float, reserved: float, forecast: Forecast | None = None) -> Standing:
    return Standing(
        budget=Budget(scope=Scope.PROJECT, name="chemistry", qpu_seconds=100),
        month="2026-11",
        reserved_seconds=reserved,
        spent_seconds=spent,
        left_seconds=100 - spent - reserved,
        forecast=forecast,
    )


def test_a_bar_shows_what_is_spent_reserved_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Full, shaded, empty; and one that is passed says so."""
    rails = Guardrails(project=EACH, two_qubit_gates=2000)
    show_budgets.standings(Budgets(standings=(_standing(50, 25),), guardrails=(rails,)), json=False)
    within = capsys.readouterr().out
    show_budgets.standings(Budgets(standings=(_standing(90, 25),)), json=False)
    beyond = capsys.readouterr().out

    assert "█" * 10 + "▒" * 5 + "·" * 5 in within
    assert "project 'chemistry' a month" in within
    assert "25.00 s" in within
    assert "guard    each project: two qubit gates up to 2,000" in within
    assert "over" in beyond
    assert "-15.00 s" in beyond


def test_a_forecast_names_its_basis_and_the_day_it_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads a number has to know what it was made of."""
    forecast = Forecast(
        qpu_seconds=150.0,
        exhausted=datetime(2026, 11, 21, 6, tzinfo=UTC),
        basis="50 QPU seconds in 10.0 of 30 days, on a straight line",
    )
    show_budgets.forecasts(Budgets(standings=(_standing(50, 0, forecast), _standing(0, 0))), json=False)
    known, early = capsys.readouterr().out.splitlines()

    assert known == (
        "project 'chemistry' a month: 150.0 QPU seconds by the end of 2026-11 (50 QPU seconds in 10.0 of 30 days, on a "
        "straight line); the first limit is reached on 21 November at 06:00 UTC"
    )
    assert early.endswith("too early to say")


async def test_budgets_are_set_shown_and_taken_away(stack: Stack) -> None:
    """As an operator does it in a shell; programs read the same as JSON."""
    async with stack() as service:
        none = await qurable(service, "budget")
        each = await qurable(service, "budget", "set", "10min", "25EUR", "--project", "chemistry")
        rails = await qurable(service, "budget", "guard", "--project", "*", "--shots", "20000", "--json")
        shown = await qurable(service, "budget", "--json")
        forecast = await qurable(service, "budget", "forecast")
        refused = await qurable(service, "budget", "set", "0s", "--json")
        off = await qurable(service, "budget", "set", "--off", "--project", "chemistry", "--json")

    assert "no budgets" in none.out
    assert each.code == 0, each.err
    assert "600.00 s" in each.out
    assert "25.00 EUR" in each.out
    assert rails.document == shown.document
    (standing,) = shown.document["standings"]
    assert (standing["budget"]["name"], standing["left_seconds"], standing["left_money"]) == (
        "chemistry",
        600,
        25,
    )
    assert shown.document["guardrails"][0]["shots"] == 20000
    assert "project 'chemistry' a month" in forecast.out
    assert refused.code == 2
    assert json.loads(refused.out)["error"]["code"] == "RequestRejected"
    assert off.document["standings"] == []
