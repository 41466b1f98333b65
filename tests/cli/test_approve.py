"""`qurable approve`: what is shown of jobs that wait, and of what was decided."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from qurable.cli import show_approvals
from qurable.contracts.approvals import Approvals, Decision, Question, Terms

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICED = Terms(
    because="up to 40.00 USD are more than 25",
    estimate=40.0,
    cap=120.0,
    currency="USD",
    price_per_second=1.6,
    approvers=("grace", "ada"),
    not_by="ada",
    timeout=timedelta(hours=4),
    at_timeout="next_rung",
)
UNKNOWN = Terms(because="a circuit runs for the first time", timeout=timedelta(hours=4))


def question(terms: Terms) -> Question:
    return Question(
        job_id="lab-95d5c7f0ea18e9bd767e025c",
        project="lab",
        rung=0,
        backend="ibm:torino",
        route="5bd1e2a7c0f94b6d" * 4,
        terms=terms,
        asked=NOON,
        expires=NOON + terms.timeout,
    )


def test_what_waits_is_listed_with_its_cost_and_who_may_decide(capsys: pytest.CaptureFixture[str]) -> None:
    """An approver sees all that the word is about, and what to type."""
    show_approvals.waiting(Approvals(waiting=(question(PRICED), question(UNKNOWN))), json=False)
    _, priced, unknown = capsys.readouterr().out.splitlines()
    show_approvals.waiting(Approvals(), json=False)
    nothing = capsys.readouterr().out
    show_approvals.question(question(PRICED))
    asks, decide = capsys.readouterr().out.splitlines()

    for word in (
        "lab-95d5c7f0ea18e9bd767e025c",
        "40.00 USD",
        "120.00 USD",
        "grace, ada, not ada",
        "next rung",
    ):
        assert word in priced
    assert "2026-11-21 16:00:00" in priced
    assert "5bd1e2a7c0f9 " in priced
    assert unknown.count("not known") == 2
    assert "anybody" in unknown
    assert nothing == "no job waits for an approval\n"
    assert asks == (
        "asks     up to 40.00 USD are more than 25; 40.00 USD expected, 120.00 USD at most; plan 5bd1e2a7c0f9"
    )
    assert "`qurable approve lab-95d5c7f0ea18e9bd767e025c --as NAME --reason TEXT`" in decide


def test_a_decision_is_said_back(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands, not as it was typed."""
    yes = Decision(approve=True, by="grace", reason="for the paper", cap=60.0)
    no = Decision(approve=False, by="grace", reason="too dear")
    for found in (yes, no):
        show_approvals.decision("lab-1", found, json=False)
    said = capsys.readouterr().out.splitlines()
    show_approvals.decision("lab-1", no, json=True)
    document = json.loads(capsys.readouterr().out)

    assert said == [
        "job lab-1 is approved by grace, at most 60.00: for the paper",
        "job lab-1 is refused by grace: too dear",
    ]
    assert (document["id"], document["decision"]["reason"]) == ("lab-1", "too dear")


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": ""},
        {"by": "Grace Hopper"},
        {"reason": ""},
        {"reason": " \n"},
        {"reason": "a\0b"},
        {"reason": "x" * 501},
        {"cap": 0},
        {"cap": float("inf")},
        {"route": "5bd1"},
        {"route": "not a hash"},
        {"via": "telepathy"},
        {"strange": 1},
    ],
)
def test_a_decision_that_says_nothing_is_none(wrong: dict[str, object]) -> None:
    """Whoever reads the record later has to know who, why, and about what."""
    with pytest.raises(ValidationError):
        Decision.model_validate({"approve": True, "by": "grace", "reason": "go", **wrong})
