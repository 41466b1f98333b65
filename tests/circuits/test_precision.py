"""Shots are allotted where they help most, and what rounds come to is as right as it says."""

import math

import numpy as np
import pytest

from circuits.estimation import estimate_from_shots, group_products
from circuits.precision import next_round, pooled, standard_error, value
from circuits.precision_groups import groups_of
from qurable.contracts.observables import Observable
from qurable.contracts.precise import Moments

_COEFFICIENTS = (1.0, 0.5, 0.2)
_MEANS = (0.3, -0.8, 0.25)
_TRUTH = sum(factor * mean for factor, mean in zip(_COEFFICIENTS, _MEANS, strict=True))
_SIGMAS = [factor * math.sqrt(1 - mean**2) for factor, mean in zip(_COEFFICIENTS, _MEANS, strict=True)]
_ANYTHING = 10**9


def _until(precision: float, draws: np.random.Generator, pilot: int) -> tuple[list[Moments], int]:
    """Rounds of ±1 readings, with each run's mean and standard error as the service gives them."""
    moments, rounds = [Moments()] * 3, 0
    while standard_error(moments) > precision:
        runs = next_round(moments, precision, pilot, 0, _ANYTHING)
        assert runs is not None
        found = []
        for before, factor, mean, copies in zip(moments, _COEFFICIENTS, _MEANS, runs.copies, strict=True):
            answers = []
            for _ in range(copies):
                bits = (draws.random((runs.each, 1)) > (1 + mean) / 2).astype(np.uint8)
                (group,) = group_products([((0, "Z"),)])
                answers.append(estimate_from_shots({((0, "Z"),): factor}, [group], [bits]))
            evs, stds = [ev for ev, _ in answers], [std for _, std in answers]
            found.append(pooled(before, runs.each, evs, stds) if copies else before)
        moments, rounds = found, rounds + 1
    return moments, rounds


def test_intervals_hold_what_they_say_although_they_were_stopped_early() -> None:
    """Of 600 estimates 95 % of the intervals hold the truth, within 3.5 sigma of a binomial; the values have no bias to speak of."""
    draws, inside, off = np.random.default_rng(8), 0, []
    for _ in range(600):
        moments, rounds = _until(0.03, draws, 200)
        assert rounds >= 2
        error = standard_error(moments)
        assert error <= 0.03
        off.append((value(0.0, moments) - _TRUTH) / error)
        inside += abs(off[-1]) < 1.96

    assert abs(inside - 570) < 3.5 * math.sqrt(600 * 0.05 * 0.95)
    assert abs(np.mean(off)) < 3.5 / math.sqrt(600) + 0.05


def test_shots_go_where_the_variance_is() -> None:
    """As Neyman allots them, and hardly more than are needed."""
    moments, _ = _until(0.005, np.random.default_rng(2), 1_000)
    shots = [group.shots for group in moments]
    due = [sigma * sum(_SIGMAS) / 0.005**2 for sigma in _SIGMAS]

    assert shots == pytest.approx(due, rel=0.15)


def test_rounds_keep_to_what_is_allowed() -> None:
    """Halved where they were too dear, until they are too small; never beyond the shots that are left."""
    begun = [Moments(shots=1_000, mean=0.0, square=1.0)] * 2
    whole, half = (next_round(begun, 0.001, 1_000, halved, _ANYTHING) for halved in (0, 1))
    bounded = next_round(begun, 0.001, 1_000, 0, 700)

    assert whole is not None
    assert half is not None
    assert bounded is not None
    assert sum(whole.shots) == pytest.approx(4 * 2_000, rel=0.1)
    assert sum(half.shots) == pytest.approx(sum(whole.shots) / 2, rel=0.1)
    assert sum(bounded.shots) <= 700
    assert next_round(begun, 0.001, 1_000, 8, _ANYTHING) is None
    assert next_round(begun, 0.001, 1_000, 0, 50) is None
    assert next_round([Moments()] * 2, 0.001, 1_000, 0, 150) is None


def test_many_groups_each_get_a_pilot() -> None:
    """Of one number of shots, so that they are one job of a provider's."""
    runs = next_round([Moments()] * 200, 0.01, 1_000, 0, _ANYTHING)

    assert runs is not None
    assert set(runs.shots) == {1_000}


def test_no_run_is_larger_than_a_place_takes() -> None:
    """A large round has more runs instead, and one that would have too many is followed by another."""
    large, huge = (
        next_round([Moments(shots=shots, mean=0.0, square=1.0)], 1e-6, 1_000, 0, 10**12)
        for shots in (10**7, 10**10)
    )

    assert large is not None
    assert huge is not None
    assert (large.each, sum(large.shots)) == (100_000, 4 * 10**7)
    assert (huge.each, sum(huge.copies)) == (100_000, 1024)


def test_an_observable_is_divided_into_what_is_measured_together() -> None:
    """The identity costs no shots, and what cancels none either."""
    observable = Observable.model_validate(
        {
            "terms": [
                {"pauli": pauli, "qubits": qubits, "coefficient": factor}
                for pauli, qubits, factor in (
                    ("", [], 0.5),
                    ("ZZ", [0, 1], 1.0),
                    ("Z", [0], 0.3),
                    ("X", [1], 0.2),
                    ("Y", [1], 0.1),
                    ("Y", [1], -0.1),
                )
            ]
        }
    )
    found = groups_of({"observable": observable.model_dump_json()}, lambda _: None)

    assert found["constant"] == 0.5
    assert [sorted(letters for letters, *_ in group) for group in found["groups"]] == [["Z", "ZZ"], ["X"]]
