"""Broken results are refused by the rule that suits them; right ones pass all of them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.verdict_rules import Answered, always
from circuits.verdicts import Finding, verdict_of
from qurable.contracts.arrays import BitArrays, FloatArray
from qurable.contracts.checks import Action, Passed, Ruling, Verdict
from qurable.contracts.problems import Ising, MaxCut, ProblemAnswer, Sense
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from tests.circuits_at_hand import BELL

_SAMPLE = SamplePub.model_validate({"circuit": BELL, "shots": 100})
_ESTIMATE = EstimatePub.model_validate(
    {"circuit": BELL, "observables": ["ZZ", {"II": 1.0, "XX": -2.0}], "shots": 100}
)


def _bits(raw: bytes, shots: int, width: int = 2) -> SampleResult:
    data = BitArrays.pack(raw, shape=(), num_shots=shots, num_bits=width)
    return SampleResult(shots=shots, registers=(RegisterResult(name="c", bits=data),))


def _values(
    evs: tuple[float, float],
    stds: tuple[float, float],
    origin: ErrorOrigin = ErrorOrigin.SHOTS,
    shots: int = 100,
) -> EstimateResult:
    return EstimateResult(
        shape=(2,),
        evs=FloatArray(shape=(2,), values=evs),
        stds=FloatArray(shape=(2,), values=stds),
        error_origin=origin,
        shots=0 if origin is ErrorOrigin.EXACT else shots,
    )


def _verdict(answered: Answered) -> Verdict:
    return verdict_of(always(answered), 1e-3)


def test_right_results_are_accepted() -> None:
    """Every rule that suits them is told."""
    sampled = _verdict(Answered([_SAMPLE], [_bits(bytes([0, 3] * 50), 100)]))
    estimated = _verdict(Answered([_ESTIMATE], [_values((0.9, 2.4), (0.04, 0.1))]))

    assert (sampled.ruling, [check.rule for check in sampled.checks]) == (Ruling.ACCEPT, ["shot count"])
    assert estimated.ruling is Ruling.ACCEPT
    assert [check.rule for check in estimated.checks] == ["finite values", "error bars", "observable bound"]
    assert "3 of 3 checks passed" in estimated.because


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_bits(bytes(99), 99), "99 shots"),
        (_bits(bytes(101), 101), "101 shots"),
        (_bits(bytes(101), 101).model_copy(update={"shots": 100}), "has 101 shots"),
        (_bits(bytes([0] * 99 + [4]), 100), "wider than its 2 bits"),
        (_bits(bytes(50), 100), "50 or more bytes"),
    ],
)
def test_shots_that_are_not_those_asked_for_are_refused(broken: SampleResult, words: str) -> None:
    """One too few, one too many, one of another width, or half of them gone."""
    verdict = _verdict(Answered([_SAMPLE], [broken]))

    assert (verdict.ruling, verdict.rule) == (Ruling.REFUSE, "shot count")
    assert words in verdict.because


@pytest.mark.parametrize(
    ("broken", "rule", "ruling"),
    [
        (_values((math.nan, 0.0), (0.1, 0.1)), "finite values", Ruling.REFUSE),
        (_values((0.9, 0.0), (math.inf, 0.1)), "finite values", Ruling.REFUSE),
        (_values((1.5, 0.0), (0.01, 0.1)), "observable bound", Ruling.REFUSE),
        (_values((0.9, 3.6), (0.04, 0.01)), "observable bound", Ruling.REFUSE),
        (_values((0.9, -1.6), (0.04, 0.01)), "observable bound", Ruling.REFUSE),
        (_values((1.5, 0.0), (0.01, 0.1), ErrorOrigin.EXTRAPOLATION), "observable bound", Ruling.DOWN_RANK),
        (_values((1.02, 0.0), (0.04, 0.1)), "", Ruling.ACCEPT),
        (_values((1.04, 0.0), (0.0, 0.1)), "", Ruling.ACCEPT),
        (_values((1.04, 0.0), (0.0, 0.1), shots=4_000), "observable bound", Ruling.REFUSE),
        (_values((1.02, 0.0), (0.0, 0.0), ErrorOrigin.EXACT), "observable bound", Ruling.REFUSE),
        (_values((0.5, 0.0), (0.0, 0.1)), "error bars", Ruling.DOWN_RANK),
        (_values((1.0, 3.0), (0.0, 0.0)), "", Ruling.ACCEPT),
        (_values((1.0, -1.0), (0.0, 0.0)), "", Ruling.ACCEPT),
        (_values((0.5, 0.0), (-0.1, 0.1)), "error bars", Ruling.DOWN_RANK),
    ],
)
def test_values_that_cannot_be_are_found(broken: EstimateResult, rule: str, ruling: Ruling) -> None:
    """Outside the observable by more than its error, without an error where shots scatter, or no numbers at all."""
    verdict = _verdict(Answered([_ESTIMATE], [broken]))

    assert (verdict.ruling, verdict.rule) == (ruling, rule)


@given(st.floats(-1, 1), st.integers(1, 10_000), st.integers(0, 2**32 - 1))
def test_what_shots_give_is_never_refused(mean: float, shots: int, seed: int) -> None:
    """A Pauli's mean of shots lies within its bound, and its error is 0 only at an end of it."""
    ones = np.random.default_rng(seed).binomial(shots, (1 - mean) / 2)
    value = 1 - 2 * ones / shots
    error = math.sqrt(max(1 - value**2, 0.0) / shots)
    result = _values((value, 1.0), (error, 0.1))

    assert _verdict(Answered([_ESTIMATE], [result])).ruling is Ruling.ACCEPT


def _cut(**fields: Any) -> Verdict:
    problem = MaxCut(num_nodes=2, edges=((0, 1, 2.0),))
    right: dict[str, Any] = {"assignment": (0.0, 1.0), "objective": 2.0, "bound": 2.0}
    answer = ProblemAnswer(kind="maxcut", sense=Sense.MAXIMIZE, **{**right, **fields})
    return _verdict(Answered([], [], problem, answer))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"assignment": (0.0, 2.0)}, "variable 1 is 2"),
        ({"assignment": (0.0, 0.0)}, "worth 0"),
        ({"assignment": (0.0, 1.0, 1.0)}, "3 variables, and the problem 2"),
        ({"objective": math.inf}, "not finite"),
        ({"assignment": None, "objective": 2.1}, "better than its own bound"),
    ],
)
def test_an_assignment_that_is_none_is_refused(fields: dict[str, Any], words: str) -> None:
    """Out of its domain, worth something else, or better than can be."""
    verdict = _cut(**fields)

    assert verdict.ruling is Ruling.REFUSE
    assert words in verdict.because
    assert _cut().ruling is Ruling.ACCEPT


def test_spins_are_plus_and_minus_one() -> None:
    """A 0 is no spin."""
    answered = Answered([], [], Ising(h=(1.0, 1.0), couplings=()), ProblemAnswer(kind="ising"))

    def ruling(*spins: float) -> Ruling:
        answer = ProblemAnswer(kind="ising", assignment=spins, objective=sum(spins))
        return _verdict(replace(answered, answer=answer)).ruling

    assert ruling(-1.0, -1.0) is Ruling.ACCEPT
    assert ruling(-1.0, 0.0) is Ruling.REFUSE


def test_the_gravest_failure_decides_and_tests_share_the_false_alarm() -> None:
    """A p-value that alarms alone does not where there are ten tests; what was not run says nothing."""
    doubtful = Finding("drift", Action.REFUSE, "so it is", p_value=5e-4)
    fine = Finding("fine", Action.REFUSE, "so it is", p_value=0.5)
    lower = Finding("lower", Action.DOWN_RANK, "so it is", failed=True)
    noted = Finding("noted", Action.NOTE, "so it is", failed=True)
    absent = Finding("absent", Action.REFUSE, "so it is", failed=None)

    alone, among = verdict_of([doubtful], 1e-3), verdict_of([doubtful, *[fine] * 9], 1e-3)
    both = verdict_of([noted, lower, doubtful, absent], 1e-3)
    harmless = verdict_of([noted, absent, fine], 1e-3)

    assert (alone.ruling, among.ruling, among.tests) == (Ruling.REFUSE, Ruling.ACCEPT, 10)
    assert (both.ruling, both.rule) == (Ruling.REFUSE, "drift")
    assert verdict_of([noted, lower], 1e-3).rule == "lower"
    assert (harmless.ruling, harmless.rule) == (Ruling.ACCEPT, "")
    assert "noted failed and is only a note" in harmless.because
    assert "absent was not run" in harmless.because
    assert [check.outcome for check in both.checks] == [
        Passed.FAILED,
        Passed.FAILED,
        Passed.FAILED,
        Passed.NOT_RUN,
    ]


def test_a_verdict_stays_a_small_document() -> None:
    """Of ten thousand checks all failures stand before the others."""
    passed = [Finding(f"check {number}", Action.REFUSE, "fine") for number in range(10_000)]
    verdict = verdict_of([*passed, Finding("last", Action.NOTE, "not fine", failed=True)], 1e-3)

    assert len(verdict.checks) == 200
    assert verdict.checks[-1].rule == "last"
