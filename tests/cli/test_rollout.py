"""`qurable rollout`: what is said to set a rule, what is shown, and what is refused."""

import json

import pytest

from qurable.cli import show_route
from qurable.cli.show_rollout import read_change, rules
from qurable.contracts.rollout import Rollout
from qurable.contracts.routes import Route
from qurable.contracts.shadows import Shadowing
from qurable.errors import RequestRejected
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Stack
from tests.gateway.conftest import running_gateway


def test_a_change_without_a_maker_or_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the list later has to know whom to ask."""
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    rule = {"name": "r", "backend": "aer", "share": 0.5}

    assert read_change(None, rule=rule).by == "grace"
    assert read_change("ada", rule=rule).by == "ada"
    with pytest.raises(RequestRejected, match="a rule does one thing"):
        read_change("ada", rule={**rule, "kill": True})
    with pytest.raises(RequestRejected, match=r"rule\.when\.label: String should match pattern"):
        read_change("ada", rule={**rule, "when": {"label": "red"}})

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(RequestRejected, match="say who makes the change with --by"):
        read_change(None, rule=rule)


def test_what_shadows_have_shown_is_said_with_what_chance_does(capsys: pytest.CaptureFixture[str]) -> None:
    """A distance never stands alone, and a place that did not answer is not one that agrees."""
    run = {
        "rule": "look",
        "backend": "fake_fez",
        "answer": {"job_id": "lab-1", "served_by": "aer"},
        "shadow": {"job_id": "lab-9"},
        "ended": "2026-11-21T08:05:53Z",
    }
    counts = {"pub": 1, "kind": "sample", "p_value": 1e-9, "distance": 0.25, "null_quantile": 0.1}
    values = {"pub": 0, "kind": "estimate", "p_value": 0.5, "deviations": [None, -1.5, 0.5]}
    wide = {"pub": 0, "kind": "sample", "p_value": 0.5, "looked_at": "48 parities of sets of bits"}
    runs = [
        {**run, "p_value": 2e-9, "pubs": [values, counts]},
        {**run, "p_value": 0.5, "pubs": [values]},
        {**run, "p_value": 0.5, "pubs": [wide]},
        {**run, "error": {"code": "TargetUnavailable", "message": "in maintenance"}},
        {**run, "objectives": [5.0, 4.0], "missing": "one answered without running the circuits"},
        {**run, "missing": "there is nothing to compare"},
    ]
    summary = {
        "rule": "look",
        "backend": "fake_fez",
        "running": 2,
        "ended": 6,
        "unanswered": 1,
        "compared": 3,
        "differing": 1,
        "answers": {"seconds": 0.25},
        "shadows": {"seconds": 9.0, "qpu_seconds": 3.0, "price": 1.5, "currency": "EUR"},
        "latest": runs,
    }
    rules(Rollout.model_validate({"shadows": [summary]}), json=False)
    printed = capsys.readouterr().out

    assert "6 ended, 2 running, 1 without an answer" in printed
    assert "1 of 3 compared differ" in printed
    assert "answers 0.250 s; shadows 9.000 s, 3.00 QPU seconds, 1.50 EUR" in printed
    assert "p 2e-09, pub 1: total variation 0.25, 0.1 by chance" in printed
    assert "p 0.5, pub 0: 1.5 standard errors" in printed
    assert "48 parities of sets of bits" in printed
    assert "no answer: in maintenance" in printed
    assert "objective 5, the shadow's 4" in printed
    assert "there is nothing to compare" in printed


def test_a_route_says_where_the_job_runs_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks where a job would run learns of its shadow; of most there is nothing to say."""
    show_route.plan(Route(rungs=(), shadow=Shadowing(rule="look", backend="fake_fez")), json=False)
    shadowed = capsys.readouterr().out
    show_route.plan(Route(rungs=()), json=False)

    assert "after the answer it runs at fake_fez too: rollout rule 'look'" in shadowed
    assert "after the answer" not in capsys.readouterr().out


@pytest.mark.long
async def test_rules_are_set_shown_and_taken_away(stack: Stack) -> None:
    """As an operator does it in a shell; programs read the same as JSON, and others look over HTTP."""
    words = ["--share", "0.25", "--asked", "auto", "--by-user", "--kind", "sample", "--by", "ada"]
    async with stack() as service, running_gateway(service.settings) as http:
        none = await qurable(service, "rollout", "list")
        done = await qurable(service, "rollout", "set", "canary", "fake_manila", *words, "--json")
        refused = await qurable(service, "rollout", "set", "canary", "fake_manila", "--share", "2", "--json")
        shown = await qurable(service, "rollout", "list")
        answer = await http.get("/rollout")
        closed = [await http.call(method, "/rollout", json={}) for method in ("POST", "PUT", "DELETE")]
        gone = await qurable(service, "rollout", "remove", "canary", "--by", "grace")
        flags = ["--shadow", "--share", "1", "--paid", "--budget", "60s", "--asked", "aer", "--by", "ada"]
        look = await qurable(service, "rollout", "set", "look", "fake_manila", *flags, "--json")
        unclear = await qurable(service, "rollout", "set", "look", "fake_manila", "--shadow", "--json")
        report = await service.run(sample(BELL, shots=100, backend="aer"))

        async def summary() -> str:
            listed = await qurable(service, "rollout", "list")
            return listed.out if report.id in listed.out else ""

        compared = await until("the shadow is listed", summary)
        (summarised,) = (await http.get("/rollout")).json()["shadows"]
        jobs = await qurable(service, "list")
        changes = await qurable(service, "rollout", "list", "--changes")

    assert "no rollout rules" in none.out
    assert done.code == 0, done.err
    (entry,) = Rollout.model_validate(done.document).rules
    assert (entry.rule.share, entry.rule.by, entry.by) == (0.25, "user", "ada")
    assert answer.json() == done.document
    assert [one.status_code for one in closed] == [405] * 3
    assert refused.code == 2
    assert json.loads(refused.out)["error"]["code"] == "RequestRejected"
    assert "sends 0.25 of the users to 'fake_manila'" in shown.out
    assert "kind sample, asked auto" in shown.out
    assert "no rollout rules" in gone.out
    assert ["removed" in line for line in changes.out.splitlines()] == [False, False, True, False]
    (rule,) = [entry.rule for entry in Rollout.model_validate(look.document).rules]
    assert (rule.shadow, rule.paid, rule.budget.qpu_seconds) == (True, True, 60.0)
    assert unclear.code == 2
    assert "shadows of rule 'look' at 'fake_manila': 1 ended, 0 running, 0 without an answer" in compared
    assert (summarised["rule"], summarised["compared"]) == ("look", 1)
    assert "shadow of" in jobs.out.splitlines()[0]
    assert jobs.out.count(report.id) == 2
