"""What rollout rules say of a job: the same for ever, for as many as was said, and in no contradiction."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import stats

from fallback.ladder import ladder_of
from fallback.planner import plan
from fallback.rollout import Applied, Subject, applied, draw, flaws, goes
from fallback.table import AsksFor
from fallback.table_file import load_table
from fallback.wish import Surroundings, Wish
from qurable.contracts.fallback import Fallback
from qurable.contracts.rollout import RolloutEntry, RolloutRule
from qurable.contracts.routes import Route
from store.database import now
from tests.fallback.places import DEVICE, around, device, twin, wish

TABLE = load_table()
JOBS = 20_000


def rule(name: str = "r", backend: str = "ibm:fez", **fields: Any) -> RolloutRule:
    """A rule that sends everything unless it is said otherwise."""
    one_thing = {} if fields.keys() & {"kill", "cohort"} else {"share": 1.0}
    return RolloutRule.model_validate({"name": name, "backend": backend, **one_thing, **fields})


def entries(*rules: RolloutRule) -> list[RolloutEntry]:
    return [RolloutEntry(rule=one, by="ada", at=now()) for one in rules]


def subject(number: int = 0, **fields: Any) -> Subject:
    known: dict[str, Any] = {
        "job_id": f"lab-{number}",
        "project": "lab",
        "user": "",
        "kind": "sample",
        "asks_for": "hardware",
        "asked": DEVICE,
        "qubits": 5,
    }
    return Subject(**(known | fields))


def _sent(share: float, name: str = "r") -> set[int]:
    one = rule(name, share=share)
    return {number for number in range(JOBS) if goes(one, subject(number))}


def test_a_larger_share_takes_no_job_back() -> None:
    """Who has once been sent there stays there while the share grows, and all are at 1."""
    shares = [0.0, 0.01, 0.1, 0.37, 0.9, 1.0]
    sent = [_sent(share) for share in shares]

    assert all(few <= more for few, more in itertools.pairwise(sent))
    assert (len(sent[0]), len(sent[-1])) == (0, JOBS)
    assert _sent(0.37) == sent[3]
    for share, found in zip(shares[1:-1], sent[1:-1], strict=True):
        assert stats.binomtest(len(found), JOBS, share).pvalue > 1e-6


def test_draws_are_uniform_and_one_rule_says_nothing_of_another() -> None:
    """By chi-square over twenty cells, and over the four cells of two rules at a half."""
    one, other = rule("one"), rule("other")
    draws = [(draw(one, subject(n)), draw(other, subject(n))) for n in range(JOBS)]
    cells = [0] * 20
    quarters = [0] * 4
    for first, second in draws:
        assert 0 <= first < 1
        cells[int(20 * first)] += 1
        quarters[2 * (first < 0.5) + (second < 0.5)] += 1

    assert stats.chisquare(cells).pvalue > 1e-6
    assert stats.chisquare(quarters).pvalue > 1e-6


def test_a_share_of_users_moves_all_their_jobs_together() -> None:
    """In one project; whoever is nobody in particular goes job by job."""
    one = rule(by="user", share=0.5)
    of_user = {goes(one, subject(n, user="ada")) for n in range(100)}
    of_nobody = {goes(one, subject(n)) for n in range(100)}
    users = {draw(one, subject(user=f"u{n}")) for n in range(100)}
    projects = {draw(one, subject(user="ada", project=f"p{n}")) for n in range(100)}

    assert len(of_user) == 1
    assert len(of_nobody) == 2
    assert len(users) == len(projects) == 100


@pytest.mark.parametrize(
    ("when", "fields", "meets"),
    [
        ({"project": "lab*"}, {}, True),
        ({"project": "chem"}, {}, False),
        ({"kind": ["estimate"]}, {}, False),
        ({"asks_for": ["hardware", "auto"]}, {}, True),
        ({"asked": "ibm:*"}, {}, True),
        ({"asked": "ibm"}, {}, False),
        ({"label": "team=red"}, {"labels": {"team": "red"}}, True),
        ({"label": "team=red"}, {"labels": {"team": "blue"}}, False),
        ({"label": "team=red"}, {}, False),
        ({"label": "team="}, {}, False),
        ({"qubits_from": 5, "qubits_to": 5}, {}, True),
        ({"qubits_from": 6}, {}, False),
        ({"qubits_to": 4}, {}, False),
    ],
)
def test_a_rule_is_about_jobs_that_meet_all_of_it(
    when: dict[str, Any], fields: dict[str, Any], meets: bool
) -> None:
    """A condition that is left out holds for all."""
    said = applied(entries(rule(when=when)), subject(**fields))

    assert (said.sends is not None) == meets


@pytest.mark.parametrize(
    ("when", "fields", "off"),
    [
        ({"project": "lab*"}, {}, True),
        ({"project": "chem"}, {}, False),
        ({"user": "ada"}, {"user": "ada"}, True),
        ({"user": "a*"}, {"user": "grace"}, False),
        ({"user": "?*"}, {}, False),
        ({"data_class": "secret"}, {"data_class": "secret"}, True),
        ({"data_class": "secret"}, {"data_class": "public"}, False),
        ({"data_class": "secret"}, {}, False),
        ({"kind": ["sample", "solve"]}, {}, True),
        ({"kind": ["sample", "solve"]}, {"kind": "estimate"}, False),
        ({"asks_for": ["hardware"]}, {}, True),
        ({"asks_for": ["hardware"]}, {"asks_for": "auto"}, False),
        ({"asked": "ibm:*"}, {}, True),
        ({"asked": "ibm:*"}, {"asked": "aer"}, False),
        ({"label": "data=secret"}, {"labels": {"data": "secret"}}, True),
        ({"label": "data=secret"}, {"labels": {"data": "public"}}, False),
        ({"qubits_from": 6}, {}, False),
        ({"qubits_to": 5}, {}, True),
        ({"project": "lab", "kind": ["sample"], "label": "data=secret"}, {}, False),
    ],
)
def test_a_switch_may_be_for_some_jobs_alone(when: dict[str, Any], fields: dict[str, Any], off: bool) -> None:
    """The others are still sent there, and asked first where they ask for it."""
    said = applied(entries(rule("off", "ibm:*", kill=True, when=when)), subject(**fields))
    route = _planned(said)

    assert (said.killed(DEVICE) is not None) == off
    assert (route.rungs[0].name == DEVICE) != off


def test_a_shadow_is_of_the_jobs_that_a_share_would_be_of() -> None:
    """By the same number, or of a cohort; nobody is sent elsewhere by it."""
    share = entries(rule("look", "fake_fez", share=0.3, shadow=True))
    cohort = entries(rule("look", "fake_fez", cohort=["user:ada"], shadow=True, budget={"price": 2.0}))
    shadowed = {
        number for number in range(500) if applied(share, subject(number)).shadowing(DEVICE) is not None
    }
    ada = applied(cohort, subject(user="ada"))
    shadowing = ada.shadowing(DEVICE)

    assert shadowed == {number for number in _sent(0.3, "look") if number < 500}
    assert all(applied(share, subject(number)).sends is None for number in range(500))
    assert applied(cohort, subject()).shadowing(DEVICE) is None
    assert shadowing is not None
    assert (shadowing.rule, shadowing.backend, shadowing.budget.price) == ("look", "fake_fez", 2.0)
    assert _planned(ada).rungs[0].name == DEVICE


def test_no_shadow_of_a_shadow_of_the_place_itself_or_where_it_is_switched_off() -> None:
    """A switch holds for a shadow that is under way to its plan, too."""
    look, off = rule("look", "fake_fez", shadow=True), rule("off", "fake_*", kill=True)
    itself = applied(entries(look), subject(shadow=True))
    sent = applied(entries(rule("canary", "fake_fez"), look), subject(shadow=True))

    assert applied(entries(look), subject()).shadowing(DEVICE) is not None
    assert applied(entries(look), subject()).shadowing("fake_fez") is None
    assert applied(entries(look, off), subject()).shadowing(DEVICE) is None
    assert itself.shadowing(DEVICE) is None
    assert sent.sends is None
    assert applied(entries(look, off), subject(shadow=True)).killed("fake_fez") is not None


def test_a_cohort_is_asked_before_a_share() -> None:
    """By user or project, whatever the share is."""
    both = entries(rule("a", share=0.0), rule("b", cohort=["user:ada", "project:chem"]))

    assert applied(both, subject()).sends is None
    for member in (subject(user="ada"), subject(project="chem")):
        sends = applied(both, member).sends
        assert sends is not None
        assert sends.rule.name == "b"


@pytest.mark.parametrize(
    ("fields", "others", "why"),
    [
        ({"when": {"qubits_from": 9, "qubits_to": 3}}, [], "no job has from 9 to 3 qubits"),
        ({"when": {"asks_for": ["auto"], "asked": "ibm"}}, [], "no job that asks for auto asks for 'ibm'"),
        ({"when": {"asked": "ibm:fez"}}, [], "jobs that ask for 'ibm:fez' go there anyway"),
        ({"cohort": ["project:a"], "when": {"project": "b*"}}, [], "no project of the cohort is among 'b*'"),
        ({}, [rule("k", "ibm:*", kill=True)], "rule 'k' switches 'ibm:*' off: remove that first"),
        (
            {},
            [rule("s", "ibm:kyiv", share=0.1)],
            "rule 's' sends 0.1 of the jobs to 'ibm:kyiv', and both may be",
        ),
        (
            {"when": {"project": "lab"}},
            [rule("s", "ibm:kyiv", when={"project": "l*"})],
            "both may be about the same job",
        ),
        ({"shadow": True, "when": {"asked": "ibm:fez"}}, [], "jobs that ask for 'ibm:fez' go there anyway"),
        ({"shadow": True}, [rule("k", "ibm", kill=True)], "rule 'k' switches 'ibm' off: remove that first"),
        ({"shadow": True}, [rule("s", "aer", shadow=True)], "rule 's' runs 1 of the jobs at 'aer' too"),
        ({"shadow": True}, [rule("s", "aer")], "now with the old place and now with the new one"),
        ({}, [rule("s", "aer", shadow=True)], "now with the old place and now with the new one"),
    ],
)
def test_a_rule_that_means_nothing_or_contradicts_is_refused(
    fields: dict[str, Any], others: list[RolloutRule], why: str
) -> None:
    """With the reason, and the other rule by its name."""
    assert any(why in flaw for flaw in flaws(rule(**fields), others))


@pytest.mark.parametrize(
    ("fields", "others"),
    [
        ({}, [rule("s", "ibm:fez", cohort=["user:ada"])]),
        ({"when": {"project": "a"}}, [rule("s", "ibm:kyiv", when={"project": "b"})]),
        ({"when": {"user": "a"}}, [rule("s", "ibm:kyiv", when={"user": "b"})]),
        ({"when": {"data_class": "a"}}, [rule("s", "ibm:kyiv", when={"data_class": "b*"})]),
        ({"when": {"project": "a*"}}, [rule("s", "ibm:kyiv", when={"project": "b"})]),
        ({"when": {"asked": "ibm"}}, [rule("s", "ibm:kyiv", when={"asked": "aer"})]),
        ({"when": {"kind": ["sample"]}}, [rule("s", "ibm:kyiv", when={"kind": ["estimate", "solve"]})]),
        ({"when": {"label": "t=a"}}, [rule("s", "ibm:kyiv", when={"label": "t=b"})]),
        ({"when": {"qubits_to": 4}}, [rule("s", "ibm:kyiv", when={"qubits_from": 5})]),
        ({}, [rule("k", "ibm:kyiv", kill=True)]),
        ({"kill": True}, [rule("s", "ibm:fez"), rule("t", "ibm:kyiv")]),
        ({"kill": True, "when": {"asked": "ibm:fez"}}, []),
        ({"shadow": True}, [rule("s", "ibm:fez", share=0.1)]),
        ({"shadow": True, "when": {"project": "a"}}, [rule("s", "aer", when={"project": "b"})]),
        ({"kill": True}, [rule("s", "ibm:fez", shadow=True)]),
    ],
)
def test_rules_that_cannot_meet_stand_together(fields: dict[str, Any], others: list[RolloutRule]) -> None:
    """And a kill switch is never refused: there is an emergency."""
    assert list(flaws(rule(**fields), others)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"share": 0.5, "kill": True},
        {"share": 1.1},
        {"share": -0.1},
        {"cohort": ["ada"]},
        {"share": 0.1, "by": "day"},
        {"shadow": True},
        {"shadow": True, "kill": True},
        {"share": 0.1, "paid": True},
        {"share": 0.1, "budget": {"qpu_seconds": 1.0}},
    ],
)
def test_a_rule_does_one_thing(fields: dict[str, Any]) -> None:
    """And a share is one."""
    with pytest.raises(ValidationError):
        RolloutRule.model_validate({"name": "r", "backend": "aer", **fields})


def _planned(said: Applied, asked: Wish | None = None, **offers: Any) -> Route:
    asked = asked or wish()
    there = around(offers)
    return plan(asked, TABLE, Surroundings(there.offers, there.capacity_bytes, rollout=said)).route


def test_who_is_sent_elsewhere_falls_back_to_what_was_asked() -> None:
    """The rule is named with its maker, and the ladder is that of before below it."""
    said = applied(entries(rule("canary", "fake_fez")), subject())
    route = _planned(said, fake_fez=[twin("fake_fez")])

    assert [rung.name for rung in route.rungs][:2] == ["fake_fez", DEVICE]
    assert route.rungs[0].because.startswith("rollout rule 'canary' (set by ada at ")
    assert "sends 1 of the jobs to 'fake_fez'" in route.rungs[0].because
    assert [rung.degraded for rung in route.rungs][:2] == [True, False]


def test_nobody_pays_elsewhere_without_the_callers_word() -> None:
    """A device that was named stays the only one, unless the job lets others be asked; `any device` is answered by any."""
    said = applied(entries(rule("canary", "ibm:fez")), subject())
    fez: dict[str, Any] = {"ibm:fez": [device("ibm:fez")]}
    named = _planned(said, **fez)
    allowed = _planned(said, wish(fallback=Fallback(other_devices=True)), **fez)
    anyone = _planned(said, wish(asked="ibm", any_device=True), **fez)
    auto = _planned(said, wish(asked="auto", asks_for=AsksFor.AUTO), **fez)

    assert named.rungs[0].name == DEVICE
    assert "fallback.other_devices" in named.considered[0].because
    assert (allowed.rungs[0].name, allowed.rungs[0].degraded) == ("ibm:fez", True)
    assert (anyone.rungs[0].name, anyone.rungs[0].degraded) == ("ibm:fez", False)
    assert [rung.name for rung in auto.rungs] == ["aer"]


def test_whoever_wants_one_place_is_sent_nowhere_else() -> None:
    """But a place that is switched off is not asked for them either."""
    said = applied(entries(rule("canary", "fake_fez"), rule("off", "ibm:*", kill=True)), subject())
    alone = wish(fallback=Fallback(policy="none"))
    planned = plan(alone, TABLE, Surroundings(around().offers, 2**33, rollout=said))

    assert [name for name, _ in ladder_of(alone, TABLE, said)] == ["hardware"]
    assert planned.route.rungs == ()
    assert planned.refusal is not None
    assert planned.refusal.code == "TargetClosed"
    assert "rollout rule 'off' (set by ada at " in planned.refusal.message


@pytest.mark.parametrize(
    ("pattern", "backend", "off"),
    [
        ("ibm:fez", "ibm:fez", True),
        ("ibm:fez", "ibm:fez@lab", True),
        ("ibm:fez@lab", "ibm:fez", False),
        ("ibm", "ibm:fez@lab", True),
        ("ibm:*", "ibm:fez", True),
        ("ibm:fez", "ibm:kyiv", False),
        ("classical", "classical:mps", True),
        ("aer", "aer_gpu", False),
    ],
)
def test_a_switch_is_for_a_place_on_whatever_account(pattern: str, backend: str, off: bool) -> None:
    """And a name that stands for many switches all of them off."""
    said = applied(entries(rule("off", pattern, kill=True)), subject())

    assert (said.killed(backend) is not None) == off


def test_a_switch_wins_over_a_share() -> None:
    """Also one that was set later: what is sent nowhere falls back at once."""
    said = applied(entries(rule("canary", "fake_fez"), rule("off", "fake_*", kill=True)), subject())
    route = _planned(said, fake_fez=[twin("fake_fez")])

    assert [rung.name for rung in route.rungs] == [DEVICE, "aer"]
    assert "switches it off" in route.considered[0].because
