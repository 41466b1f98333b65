"""A place that costs money is passed over where no budget has room for it, and the route says which and what to do."""

import dataclasses
from typing import Any

import pytest

from fallback.planner import Plan, plan
from fallback.table_file import load_table
from qurable.contracts.budgets import Budget, JobBudget, Period, Scope, Standing
from qurable.contracts.fallback import Fallback, Policy
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import BudgetExceeded
from tests.fallback.places import DEVICE, around, device, wish

TABLE = load_table()
PRICED: dict[str, Any] = {"price_per_second": 1.6, "currency": "USD"}


def _project(**fields: Any) -> Standing:
    """What is left of a project's month: of 100 QPU seconds 60 are reserved and 37 spent, unless said otherwise."""
    budget = Budget(scope=Scope.PROJECT, name="lab", qpu_seconds=100)
    return Standing(budget=budget, **{"reserved_seconds": 60.0, "spent_seconds": 37.0, **fields})


def _planned(
    standing: Standing, place: TargetSnapshot | None = None, policy: Policy = "table", **options: Any
) -> Plan:
    there = dataclasses.replace(around({"asked": [place or device()]}), room=(standing,))
    return plan(wish(ibm=IbmOptions(**options), fallback=Fallback(policy=policy)), TABLE, there)


def _money(money: float, spent: float, currency: str = "USD") -> Standing:
    budget = Budget(scope=Scope.HOUSE, period=Period.TOTAL, money=money, currency=currency)
    return Standing(budget=budget, spent_money=spent)


@pytest.mark.parametrize(
    ("standing", "place", "options", "because"),
    [
        (
            _project(),
            device(),
            {},
            (
                "project 'lab' a month may take 100 QPU seconds, of which 60 are reserved and 37 spent; on 'ibm:torino' the job reserves 5 "
                "at least: wait until running jobs are settled, ask for less, or allow more with `qurable budget set --project lab LIMIT`"
            ),
        ),
        (
            _money(20, 13),
            device(**PRICED),
            {},
            (
                "the house in all may take 20 USD, of which 0 are reserved and 13 spent; on 'ibm:torino' the job reserves 8 at least: wait "
                "until running jobs are settled, ask for less, or allow more with `qurable budget set --total LIMIT`"
            ),
        ),
        (_project(reserved_seconds=0), device(), {"max_execution_time": 64}, "the job reserves 64 at least"),
        (_money(20, 0, "EUR"), device(**PRICED), {}, "give the account a price_per_second in EUR"),
        (_money(20, 0), device(), {}, "is not known: give the account a price_per_second in USD"),
        (_project(reserved_seconds=0), device(), {"mode": "session"}, "use ibm.mode batch or job"),
    ],
)
def test_a_place_without_room_is_passed_over(
    standing: Standing, place: TargetSnapshot, options: dict[str, Any], because: str
) -> None:
    """What costs nothing answers; where it may not, the refusal is the same."""
    planned = _planned(standing, place, **options)
    alone = _planned(standing, place, policy="none", **options)

    (entry,) = [entry for entry in planned.route.considered if entry.name == DEVICE]
    assert not entry.taken
    assert because in entry.because
    assert [rung.name for rung in planned.route.rungs] == ["fake_torino", "aer"]
    assert isinstance(alone.refusal, BudgetExceeded)
    assert because in alone.refusal.message


def test_what_has_room_is_asked() -> None:
    """To the last second and cent, and where a caller's own limit makes it fit."""
    assert _planned(_project(reserved_seconds=58)).route.rungs[0].name == DEVICE
    assert _planned(_project(), max_execution_time=3).route.rungs[0].name == DEVICE
    assert _planned(_money(20, 12), device(**PRICED)).route.rungs[0].name == DEVICE


def test_a_job_s_own_money_is_of_its_own_currency() -> None:
    """A hundred euros are no hundred dollars; without a currency it is the account's."""
    there = around({"asked": [device(**PRICED)]})

    def asked(**budget: Any) -> str:
        planned = plan(wish(budget=JobBudget(price=100, **budget)), TABLE, there)
        return next(entry.because for entry in planned.route.considered if entry.name == DEVICE)

    assert asked() == asked(currency="USD") == "asked for"
    assert "100 EUR" in asked(currency="EUR")
    assert "in EUR is not known" in asked(currency="EUR")
