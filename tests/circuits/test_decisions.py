"""One answer of several: each rule on answers that are known."""

import sys
from pathlib import Path
from typing import Any

import pytest

from circuits import decisions
from qurable.contracts.arrays import FloatArray
from qurable.contracts.comparisons import Ballot, Decided, LegReport
from qurable.contracts.problems import ProblemAnswer, Sense
from qurable.contracts.reports import Durations
from qurable.contracts.results import ErrorOrigin, EstimateResult
from qurable.decisions import Undecided
from qurable.errors import RequestRejected
from tests.circuits.test_comparison import sampled


def solved(
    place: str, objective: float | None, *, feasible: bool = True, seconds: float = 1.0, **leg: Any
) -> Ballot:
    answer = ProblemAnswer(
        kind="maxcut",
        sense=Sense.MAXIMIZE,
        objective=objective,
        feasible=feasible,
        assignment=None if objective is None else (objective, 0.0),
    )
    row = LegReport(place=place, job_id=f"job-{place}", durations=Durations(total=seconds), **leg)
    return Ballot(leg=row, answer=answer)


def counted(place: str, outcomes: list[int], survival: float | None = 1.0, bits: int = 2) -> Ballot:
    row = LegReport(place=place, job_id=f"job-{place}")
    return Ballot(leg=row, survival=(survival,), results=(sampled(outcomes, bits),))


def valued(place: str, value: float, error: float, survival: float | None) -> Ballot:
    result = EstimateResult(
        evs=FloatArray(shape=(), values=(value,)),
        stds=FloatArray(shape=(), values=(error,)),
        error_origin=ErrorOrigin.SHOTS,
    )
    return Ballot(leg=LegReport(place=place, job_id=place), survival=(survival,), results=(result,))


def test_the_best_objective_breaks_no_constraint() -> None:
    """A better one that does is no answer."""
    decided = decisions.best_objective([solved("a", 3), solved("b", 9, feasible=False), solved("c", 5)])

    assert (decided.place, decided.job_id) == ("c", "job-c")


def test_of_equal_objectives_the_cheapest_is_taken_then_the_fastest() -> None:
    """And the others are named."""
    decided = decisions.best_objective(
        [solved("paid", 5, qpu_seconds=2.0, seconds=0.1), solved("slow", 5, seconds=9), solved("fast", 5)]
    )

    assert decided.place == "fast"
    assert "paid, slow found as good a one" in decided.because


@pytest.mark.parametrize("ballots", [[solved("a", 3, feasible=False)], [solved("a", None)]])
def test_without_an_objective_nothing_is_decided(ballots: list[Ballot]) -> None:
    """It says why."""
    with pytest.raises(Undecided, match=r"constraint|objective"):
        decisions.best_objective(ballots)


def test_more_than_half_have_to_agree() -> None:
    """Two of three are, two of four are not."""
    agreed = decisions.majority([counted("a", [1, 1, 0]), counted("b", [1, 1, 2]), counted("c", [3, 3, 0])])

    assert agreed.outcomes[0].outcomes == {"01": pytest.approx(2 / 3)}
    assert agreed.weights == {"a": 1.0, "b": 1.0, "c": 0.0}
    with pytest.raises(Undecided, match="more than half"):
        decisions.majority(
            [counted(name, [outcome]) for name, outcome in zip("abcd", (1, 1, 2, 2), strict=True)]
        )


def test_a_place_that_is_torn_has_no_vote() -> None:
    """As at a GHZ state: which of two equally frequent outcomes it names would be chance."""
    with pytest.raises(Undecided, match="a none"):
        decisions.majority([counted("a", [0, 3]), counted("b", [3])])


def test_assignments_are_voted_for_where_there_are_any() -> None:
    """The first place of the majority answers."""
    decided = decisions.majority([solved("a", 1), solved("b", 3), solved("c", 3)])

    assert decided.place == "b"
    assert decided.weights == {"a": 0.0, "b": 1.0, "c": 1.0}


def test_a_mean_is_weighted_by_survival() -> None:
    """0.8 and 0.2 make four fifths and a fifth; who does not know stays out, by name."""
    decided = decisions.fidelity_weighted(
        [valued("a", 1.0, 0.03, 0.8), valued("b", 0.0, 0.04, 0.2), valued("c", 9.0, 0.1, None)]
    )

    assert decided.values[0].evs.values == pytest.approx((0.8,))
    assert decided.values[0].stds.values == pytest.approx(((0.8**2 * 0.03**2 + 0.2**2 * 0.04**2) ** 0.5,))
    assert decided.weights == pytest.approx({"a": 0.8, "b": 0.2, "c": 0.0})
    assert "c is left out" in decided.because


def test_a_weighted_mean_of_counts_has_an_error_by_the_shots() -> None:
    """Frequencies are weighed, not counts: a place with more shots does not count more."""
    decided = decisions.fidelity_weighted(
        [counted("a", [0] * 50 + [3] * 50), counted("b", [0] * 1000, survival=0.5)]
    )

    assert decided.outcomes[0].outcomes == pytest.approx({"00": 2 / 3, "11": 1 / 3})
    assert decided.outcomes[0].error == pytest.approx(2 / 3 * (0.25 / 100) ** 0.5)


def test_what_nobody_can_weigh_is_not_decided() -> None:
    """Rather than weighed evenly in silence."""
    with pytest.raises(Undecided, match="how likely"):
        decisions.fidelity_weighted([counted("a", [0], survival=None)])


def test_the_first_good_answer_is_the_first_that_ended_well() -> None:
    """Ballots come in the order in which places ended."""
    bad, good, later = (
        LegReport(place=name, job_id=name, good=name != "bad") for name in ("bad", "good", "later")
    )
    decided = decisions.first_good([Ballot(leg=bad), Ballot(leg=good), Ballot(leg=later)])
    only_bad = decisions.first_good([Ballot(leg=bad)])

    assert decided.place == "good"
    assert only_bad.place == "bad"
    assert "no answer passed" in only_bad.because


PACKAGE = """
from qurable.contracts.comparisons import Decided
from qurable.decisions import DecisionRule, Undecided

def last(ballots):
    if len(ballots) == 1:
        raise Undecided("there is only one")
    if len(ballots) == 2:
        raise TypeError("two are too few")
    return Decided(rule="last", place=ballots[-1].leg.place, because="it is the last")

RULE = DecisionRule(frozenset({"sample"}), last)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers a rule, and one whose rule cannot be loaded."""
    (tmp_path / "lots.py").write_text(PACKAGE, encoding="utf-8")
    info = tmp_path / "lots-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lots\nVersion: 1.0\n", encoding="utf-8")
    entries = "[qurable.decisions]\nlast = lots:RULE\nbroken = nowhere:RULE\nno_rule = lots:last\n"
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lots", raising=False)


def _decide(*ballots: Ballot, rule: str = "last") -> Any:
    payload = {"rule": rule, "ballots": [ballot.model_dump_json() for ballot in ballots]}
    return decisions.decide(payload, lambda _: None)


@pytest.mark.usefixtures("package")
def test_a_package_registers_a_rule() -> None:
    """It is found by its name, and refuses in its own words."""
    a, b, c = (counted(name, [0]) for name in "abc")

    assert Decided.read(_decide(a, b, c)["decided"]).place == "c"
    assert _decide(a) == {"undecided": "there is only one"}
    assert _decide(a, b) == {"undecided": "rule 'last' failed with TypeError: two are too few"}
    assert decisions.check({"rule": "last", "kinds": ["sample"]}, lambda _: None) == {}


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("rule", "kind", "named"),
    [
        (
            "last",
            "estimate",
            "'last' does not fit a request of kind estimate.*fidelity_weighted, first_good$",
        ),
        ("lots", "sample", "no decision 'lots'.*first_good, last, majority"),
        ("broken", "sample", "'broken' does not fit"),
        ("no_rule", "sample", "'no_rule' does not fit"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_by_name(rule: str, kind: str, named: str) -> None:
    """With those that do; one that cannot be loaded fits nothing."""
    with pytest.raises(RequestRejected, match=named):
        decisions.check({"rule": rule, "kinds": [kind]}, lambda _: None)


def test_a_defect_of_ours_is_no_undecided() -> None:
    """It is to be seen, and the activity says so in the report."""
    broken = Ballot(leg=LegReport(place="a", job_id="a"), survival=(1.0,), results=(sampled([0], 2),))
    with pytest.raises(ValueError, match="JSON"):
        decisions.decide({"rule": "majority", "ballots": ["{", broken.model_dump_json()]}, lambda _: None)
