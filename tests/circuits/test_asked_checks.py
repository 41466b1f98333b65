"""What a job asks of its answer: found where it is wrong, not found where it is not, refused where it cannot be asked."""

from typing import Any

import numpy as np
import pytest

from circuits.askable import refuse_impossible
from circuits.asked_checks import Reference, asked
from circuits.verdict_rules import Answered
from circuits.verdicts import verdict_of
from qurable.contracts.arrays import BitArrays, FloatArray
from qurable.contracts.checks import Checks, Passed, Ruling, Verdict
from qurable.contracts.circuits import Dress, Register
from qurable.contracts.problems import MaxCut, ProblemAnswer, Sense
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL

_ONE = Dress(name="bell", registers=(Register(name="c", bits=(0, 1)),))
_TWO = Dress(name="pair", registers=(Register(name="a", bits=(0,)), Register(name="b", bits=(1, 2))))
_CUT = MaxCut(num_nodes=2, edges=((0, 1, 1.0),))


def _sampled(counts: dict[str, int]) -> SampleResult:
    raw = b"".join(bytes([int(word, 2)]) * number for word, number in counts.items())
    shots = sum(counts.values())
    data = BitArrays.pack(raw, shape=(), num_shots=shots, num_bits=2)
    return SampleResult(shots=shots, registers=(RegisterResult(name="c", bits=data),))


def _found(counts: dict[str, int], *checks: dict[str, Any], reference: Reference | None = None) -> Verdict:
    result, chosen = _sampled(counts), Checks.model_validate(list(checks))
    pub = SamplePub.model_validate({"circuit": BELL, "shots": result.shots})
    references = {} if reference is None else {0: reference}
    findings = asked(Answered([pub], [result]), chosen, references, seed=1)
    return verdict_of(findings, chosen.level)


def _bell(shots: int, wrong: float = 0.0, bias: float = 0.0, seed: int = 0) -> dict[str, int]:
    shares = [0.5 + bias - wrong / 2, wrong / 2, wrong / 2, 0.5 - bias - wrong / 2]
    drawn = np.random.default_rng(seed).multinomial(shots, shares)
    return {word: int(number) for word, number in zip(("00", "01", "10", "11"), drawn, strict=True)}


@pytest.mark.parametrize(
    ("check", "counts", "failed"),
    [
        ({"kind": "forbidden", "outcomes": ["01", "10"]}, {"00": 50, "11": 50}, False),
        ({"kind": "forbidden", "outcomes": ["01", "10"]}, {"00": 50, "11": 49, "10": 1}, True),
        ({"kind": "forbidden", "outcomes": ["-1"]}, {"00": 50, "10": 50}, False),
        ({"kind": "forbidden", "outcomes": ["-1"]}, {"00": 50, "01": 1}, True),
        ({"kind": "forbidden", "outcomes": ["1-"]}, {"00": 50, "01": 50}, False),
        ({"kind": "forbidden", "outcomes": ["10"], "at_most": 0.05}, {"00": 94, "10": 6}, False),
        ({"kind": "forbidden", "outcomes": ["10"], "at_most": 0.05}, {"00": 80, "10": 20}, True),
        ({"kind": "hamming_weights", "weights": [0, 2]}, {"00": 50, "11": 50}, False),
        ({"kind": "hamming_weights", "weights": [0, 2]}, {"00": 50, "11": 50, "01": 1}, True),
        ({"kind": "hamming_weights", "weights": [1]}, {"01": 50, "10": 50}, False),
    ],
)
def test_outcomes_that_must_not_come(check: dict[str, Any], counts: dict[str, int], failed: bool) -> None:
    """The rightmost character is bit 0; one shot is too many, unless a share is allowed."""
    verdict = _found(counts, check)

    assert (verdict.ruling is Ruling.REFUSE) is failed


def test_a_distribution_alarms_as_rarely_as_stated_and_finds_a_bias() -> None:
    """200 seeds at a level of 5 %; 2,000 shots find 6 % too many zeros; and noise within an allowance is no alarm."""
    fair = {"kind": "distribution", "probabilities": {"00": 0.5, "11": 0.5}}
    allowing = {**fair, "within": 0.1}

    def alarms(check: dict[str, Any], repeats: int, **how: float) -> float:
        chosen = Checks.model_validate({"items": [check], "level": 0.05})
        alarmed = 0
        for seed in range(repeats):
            result = _sampled(_bell(2000, seed=seed, **how))
            pub = SamplePub.model_validate({"circuit": BELL, "shots": 2000})
            findings = asked(Answered([pub], [result]), chosen, {}, seed=seed)
            alarmed += verdict_of(findings, chosen.level).ruling is Ruling.REFUSE
        return alarmed / repeats

    assert alarms(fair, 200) < 0.11
    assert alarms(fair, 20, bias=0.06) > 0.9
    assert alarms(fair, 20, wrong=0.01) == 1.0
    assert alarms(allowing, 100, wrong=0.1) < 0.14
    assert alarms(allowing, 20, wrong=0.2) == 1.0


def test_a_baseline_holds_counts_and_values_against_others() -> None:
    """Equal sources pass, a biased one does not, and what was not brought is said."""
    check = {"kind": "baseline", "against": "simulator"}
    same = Reference(results=[_sampled(_bell(4000, seed=5))], name="a simulation")

    fine = _found(_bell(1000, seed=6), check, reference=same)
    biased = _found(_bell(1000, seed=6, bias=0.2), check, reference=same)
    absent = _found(_bell(1000), check, reference=Reference(missing="it is too large"))

    assert fine.ruling is Ruling.ACCEPT
    assert biased.ruling is Ruling.REFUSE
    assert biased.checks[0].distance is not None
    assert biased.checks[0].distance.value > biased.checks[0].distance.null_quantile
    assert (absent.ruling, absent.checks[0].outcome) == (Ruling.ACCEPT, Passed.NOT_RUN)
    assert "it is too large" in absent.checks[0].because


@pytest.mark.parametrize(
    ("value", "error", "failed"), [(0.5, 0.1, False), (0.85, 0.1, False), (1.5, 0.1, True), (0.81, 0.0, True)]
)
def test_a_range_of_expectation_values_allows_for_their_errors(
    value: float, error: float, failed: bool
) -> None:
    """Without an error it is exact."""
    pub = EstimatePub.model_validate({"circuit": BELL, "observables": "ZZ", "shots": 10})
    result = EstimateResult(
        evs=FloatArray(values=(value,)),
        stds=FloatArray(values=(error,)),
        error_origin=ErrorOrigin.SHOTS,
    )
    checks = Checks.model_validate([{"kind": "range", "low": 0.2, "high": 0.8}])
    findings = asked(Answered([pub], [result]), checks, {}, seed=1)

    assert (verdict_of(findings, checks.level).ruling is Ruling.REFUSE) is failed


def _solved(
    check: dict[str, Any], objective: float, reference: Reference | None = None, **more: Any
) -> Ruling:
    answer = ProblemAnswer(
        kind="maxcut", sense=Sense.MAXIMIZE, assignment=(0.0, 1.0), objective=objective, **more
    )
    checks = Checks.model_validate([check])
    references = {} if reference is None else {0: reference}
    findings = asked(Answered([], [], _CUT, answer), checks, references, seed=1)
    return verdict_of(findings, checks.level).ruling


def test_assignments_keep_the_users_constraints() -> None:
    """A weighted sum in its range."""
    check = {"kind": "constraint", "terms": [[0, 1.0], [1, 2.0]], "high": 2.0}

    assert _solved(check, 1.0) is Ruling.ACCEPT
    assert _solved({**check, "high": 1.5}, 1.0) is Ruling.REFUSE
    assert _solved({**check, "low": 2.5, "high": None}, 1.0) is Ruling.REFUSE


def test_an_answer_worse_than_a_solvers_is_down_ranked() -> None:
    """In the problem's own sense, beyond the gap that is allowed and what errors explain."""
    best = Reference(answer=ProblemAnswer(kind="maxcut", sense=Sense.MAXIMIZE, objective=10.0), name="exact")
    check = {"kind": "classical", "gap": 0.1}

    assert _solved(check, 9.0, best) is Ruling.ACCEPT
    assert _solved(check, 8.9, best) is Ruling.DOWN_RANK
    assert _solved(check, 8.5, best, standard_error=0.2) is Ruling.ACCEPT
    assert _solved(check, 11.0, best) is Ruling.ACCEPT
    assert _solved(check, 8.9, Reference(missing="no solver")) is Ruling.ACCEPT


@pytest.mark.parametrize(
    ("check", "dress", "words"),
    [
        ({"kind": "forbidden", "outcomes": ["1"]}, _ONE, "'1' of 1 bits, and the register has 2"),
        ({"kind": "forbidden", "outcomes": ["11"]}, _TWO, "names no classical register"),
        ({"kind": "forbidden", "outcomes": ["11"], "creg": "d"}, _TWO, "has 'a', 'b': name one"),
        ({"kind": "forbidden", "outcomes": ["11"], "pub": 1}, _ONE, "of pub 1, and the job has 1"),
        ({"kind": "hamming_weights", "weights": [3]}, _ONE, "allows 3 ones, and the register has 2"),
        ({"kind": "distribution", "probabilities": {"111": 1.0}}, _ONE, "'111' of 3 bits"),
        ({"kind": "distribution", "probabilities": {"11": 1.0}, "element": 1}, _ONE, "element 1"),
        ({"kind": "range", "low": 0.0}, _ONE, "pubs that are estimated"),
        ({"kind": "constraint", "terms": [[0, 1.0]], "low": 0.0}, _ONE, "give a problem"),
        ({"kind": "classical"}, _ONE, "give `problem`"),
    ],
)
def test_what_cannot_be_asked_is_refused(check: dict[str, Any], dress: Dress, words: str) -> None:
    """Naming the check, the limit and the way out."""
    pub = SamplePub.model_validate({"circuit": BELL, "shots": 10})
    with pytest.raises(RequestRejected, match=r"check 0 \(") as refused:
        refuse_impossible(Checks.model_validate([check]), [pub], [dress], None)

    assert words in str(refused.value)


def test_what_can_be_asked_is_not_refused() -> None:
    """By register, by variable, of a baseline."""
    pub = SamplePub.model_validate({"circuit": BELL, "shots": 10})
    checks: list[dict[str, Any]] = [
        {"kind": "forbidden", "outcomes": ["1-"], "creg": "b"},
        {"kind": "constraint", "terms": [[1, 1.0]], "low": 0.0},
        {"kind": "baseline", "against": "simulator"},
        {"kind": "classical"},
    ]

    refuse_impossible(Checks.model_validate(checks), [pub], [_TWO], _CUT)
    with pytest.raises(RequestRejected, match="variable 2, and the problem has 2"):
        refuse_impossible(Checks.model_validate([{**checks[1], "terms": [[2, 1.0]]}]), [pub], [_TWO], _CUT)
