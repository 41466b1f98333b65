"""Rules of approval: which job asks, what it says, and which rules are refused at the start."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fallback.approval import ApprovalRule, Spending, terms_of
from fallback.table import StrategyTable
from fallback.table_file import load_table, parse_table
from qurable.contracts.executions import Seconds
from qurable.contracts.routes import Estimate
from qurable.errors import RequestRejected

DEAR = Spending(
    backend="ibm:torino",
    project="chemistry",
    user="ada",
    data_class="internal",
    shots=4000,
    estimate=Estimate(qpu_seconds=Seconds(low=5, high=12.5), price=20.0, currency="USD"),
)

_TABLE = """\
rules: [{first: asked}]
rungs: {asked: {places: [asked]}}
approval:
"""


def rule(when: dict[str, Any] | None = None, **fields: Any) -> ApprovalRule:
    return ApprovalRule.model_validate({"when": when or {}, **fields})


def table(*rules: str) -> StrategyTable:
    body = _TABLE + "".join(f"  - {text}\n" for text in rules)
    return parse_table(body.encode(), "table.yaml")


@pytest.mark.parametrize(
    ("when", "because"),
    [
        ({}, "every job for a place that costs money is asked about"),
        ({"price_over": 19.99, "currency": "USD"}, "up to 20.00 USD are more than 19.99"),
        ({"price_over": 20, "currency": "USD"}, None),
        ({"price_over": 1000, "currency": "EUR"}, "nobody can say what it costs in EUR"),
        ({"qpu_seconds_over": 12}, "up to 12.5 QPU seconds are more than 12"),
        ({"qpu_seconds_over": 12.5}, None),
        ({"shots_over": 3999}, "4,000 shots are more than 3,999"),
        ({"shots_over": 4000}, None),
        ({"data_class": ["secret", "internal"]}, "data class 'internal'"),
        ({"data_class": ["secret"]}, None),
        ({"projects": ["chem*"]}, "project 'chemistry'"),
        ({"projects": ["physics"]}, None),
        ({"first_run": True}, None),
        ({"shots_over": 10, "projects": ["physics"]}, None),
        ({"shots_over": 10, "projects": ["chemistry"]}, "4,000 shots are more than 10; project 'chemistry'"),
    ],
)
def test_a_rule_asks_where_all_its_conditions_hold(when: dict[str, Any], because: str | None) -> None:
    """And says what it found; what nobody can say is not taken for little."""
    terms = rule(when).terms(DEAR)

    assert (None if terms is None else terms.because) == because


def test_a_new_circuit_asks_and_one_that_was_sent_before_does_not() -> None:
    """Whatever it costs."""
    terms = rule({"first_run": True}).terms(replace(DEAR, is_new=True))

    assert terms is not None
    assert terms.because == "a circuit runs for the first time"


def test_what_nobody_can_say_is_more_than_any_limit() -> None:
    """A stop that lets the unknown through is none."""
    unknown = replace(DEAR, estimate=Estimate())

    for when in ({"price_over": 1e9, "currency": "USD"}, {"qpu_seconds_over": 1e9}):
        terms = rule(when).terms(unknown)
        assert terms is not None
        assert (terms.estimate, terms.cap) == (None, None)


@pytest.mark.parametrize(
    ("fields", "spending", "cap"),
    [
        ({}, DEAR, 1.6 * 38),
        ({"price_cap": 2}, DEAR, 1.6 * 25),
        ({"price_cap": 1}, DEAR, 1.6 * 13),
        ({}, replace(DEAR, limit_seconds=100), 1.6 * 100),
        ({}, replace(DEAR, estimate=Estimate(qpu_seconds=Seconds(low=5, high=12.5))), 38.0),
    ],
)
def test_the_cap_is_a_multiple_of_the_estimate_in_whole_seconds(
    fields: dict[str, Any], spending: Spending, cap: float
) -> None:
    """Providers are told whole seconds, and the job's own limit is what is reserved; without a price they are the unit."""
    terms = rule(**fields).terms(spending)

    assert terms is not None
    assert terms.cap == pytest.approx(cap)
    assert terms.unit == (spending.estimate.currency or "QPU seconds")
    assert terms.estimate == (spending.estimate.price or 12.5)


def test_the_first_rule_that_is_about_a_job_asks_by_its_own_terms() -> None:
    """Four eyes leave the job's own user out."""
    rules = [
        rule({"shots_over": 10_000}, approvers=["linus"]),
        rule(
            {"shots_over": 1000},
            approvers=["grace", "ada"],
            four_eyes=True,
            timeout=60,
            at_timeout="next_rung",
        ),
        rule(),
    ]
    asked, other = terms_of(rules, DEAR), terms_of(rules, replace(DEAR, shots=10))

    assert asked is not None
    assert (asked.approvers, asked.not_by) == (("grace", "ada"), "ada")
    assert (asked.timeout, asked.at_timeout) == (timedelta(minutes=1), "next_rung")
    assert other is not None
    assert (other.approvers, other.not_by, other.at_timeout) == ((), "", "refuse")
    assert terms_of(rules[:2], replace(DEAR, shots=10)) is None


@pytest.mark.parametrize(
    ("rules", "line", "why"),
    [
        (["when: {price_over: -1, currency: USD}"], 4, "greater than or equal to 0"),
        (["when: {price_over: .nan, currency: USD}"], 4, "finite"),
        (["when: {price_over: 5}"], 4, "price_over and currency go together"),
        (["when: {currency: USD}"], 4, "price_over and currency go together"),
        (["when: {shots_over: -5}"], 4, "greater than or equal to 0"),
        (["when: {first_run: false}"], 4, "Input should be True"),
        (["when: {data_class: []}"], 4, "at least 1 item"),
        (["when: {data_class: [Top Secret]}"], 4, "match pattern"),
        (["when: {projects: []}"], 4, "at least 1 item"),
        (["when: {project: chemistry}"], 4, "not permitted"),
        (["approvers: [Grace Hopper]"], 4, "match pattern"),
        (["timeout: 0"], 4, "greater than 0"),
        (["at_timeout: perhaps"], 4, "'refuse', 'approve' or 'next_rung'"),
        (["price_cap: 0.5"], 4, "greater than or equal to 1"),
        (["approvers: [grace]", "when: {shots_over: 5}"], 5, "taken by rule 1 before it"),
        (["when: {shots_over: 5}", "when: {shots_over: 6}"], 5, "taken by rule 1 before it"),
        (
            ["when: {projects: ['chem*']}", "when: {projects: [chemistry], first_run: true}"],
            5,
            "taken by rule 1 before it",
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_line(rules: list[str], line: int, why: str) -> None:
    """At the start, and not when the first job should have been asked about."""
    with pytest.raises(RequestRejected) as caught:
        table(*rules)

    assert f"line {line}: approval.{len(rules) - 1}" in caught.value.message
    assert why in caught.value.message


@pytest.mark.parametrize(
    "rules",
    [
        ["when: {shots_over: 6}", "when: {shots_over: 5}"],
        ["when: {price_over: 5, currency: USD}", "when: {price_over: 9, currency: EUR}"],
        ["when: {data_class: [secret]}", "when: {data_class: [secret, internal]}"],
        ["when: {projects: [chemistry]}", "when: {projects: ['chem*']}"],
        ["when: {projects: ['lab-?']}", "when: {projects: ['lab-*']}"],
        ["when: {first_run: true}", "when: {shots_over: 5}", "{}"],
    ],
)
def test_rules_that_say_something_each_are_taken(rules: list[str]) -> None:
    """A narrower rule may stand before a wider one."""
    assert len(table(*rules).approval) == len(rules)


def test_the_table_that_is_shipped_asks_nothing() -> None:
    """A house that wants to be asked says so."""
    assert load_table().approval == ()
