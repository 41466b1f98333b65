"""Counts and values held against others: false alarms as rare as stated, and power where something is wrong."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.drift import Sample, beyond_reference, counts_differ, values_differ

_EIGHT = np.random.default_rng(1).dirichlet(np.ones(8))
_REPEATS = 100
_AS_OFTEN = 0.05


def _counts(generator: np.random.Generator, probabilities: np.ndarray, shots: int) -> dict[str, int]:
    drawn = generator.multinomial(shots, probabilities)
    return {format(outcome, "03b"): int(count) for outcome, count in enumerate(drawn) if count}


def _moved(probabilities: np.ndarray, share: float) -> np.ndarray:
    """So much of the probability moved to outcome 0."""
    moved = probabilities * (1 - share)
    moved[0] += share
    return moved


def _wide(generator: np.random.Generator, shots: int, bias: float) -> Counter[str]:
    """Twenty bits: each shot is another outcome."""
    ones = generator.random((shots, 20)) < 0.5 + bias
    return Counter("".join("01"[int(bit)] for bit in row) for row in ones)


def _alarms(p_values: list[float]) -> float:
    return float(np.mean(np.array(p_values) < _AS_OFTEN))


def test_few_bits_alarm_no_more_often_than_stated_and_find_a_bias() -> None:
    """Over 100 seeds at a level of 5 %, where four standard deviations of chance are 9 %; a tenth that moved is found."""
    generator = np.random.default_rng(11)

    def p_value(share: float, seed: int) -> float:
        here, there = _counts(generator, _moved(_EIGHT, share), 500), _counts(generator, _EIGHT, 2000)
        return counts_differ([Sample(3, here, there)], seed=seed).p_value

    assert _alarms([p_value(0.0, seed) for seed in range(_REPEATS)]) < 0.14
    assert _alarms([p_value(0.15, seed) for seed in range(_REPEATS)]) > 0.95


@pytest.mark.long
def test_an_allowance_holds_where_all_of_it_is_used_and_not_far_beyond() -> None:
    """Also against a reference of one outcome, whose own counts scatter not at all."""
    generator = np.random.default_rng(12)
    sure = np.eye(8)[1]

    def p_value(share: float, truth: np.ndarray, within: float, seed: int) -> float:
        here, there = _counts(generator, _moved(truth, share), 1000), _counts(generator, truth, 4000)
        return counts_differ([Sample(3, here, there)], seed=seed, within=within).p_value

    assert _alarms([p_value(0.1, sure, 0.1, seed) for seed in range(_REPEATS)]) < 0.14
    assert _alarms([p_value(0.2, sure, 0.1, seed) for seed in range(_REPEATS)]) == 1.0
    assert _alarms([p_value(0.1, _EIGHT, 0.1, seed) for seed in range(_REPEATS)]) < 0.14
    found = [
        beyond_reference(generator.multinomial(1000, _moved(sure, 0.1)), sure, seed=seed, within=0.1)
        for seed in range(_REPEATS)
    ]
    assert _alarms(found) < 0.14


def test_many_bits_are_compared_by_parities() -> None:
    """Every outcome came once, so only what bits have in common can tell; a tenth more ones is found."""
    generator = np.random.default_rng(13)

    def p_value(bias: float, seed: int) -> float:
        here, there = _wide(generator, 400, bias), _wide(generator, 1600, 0.0)
        return counts_differ([Sample(20, here, there)], seed=seed).p_value

    assert p_value(0.1, 1) < 1e-3
    assert sum(p_value(0.0, seed) < _AS_OFTEN for seed in range(4)) <= 1


def test_a_distance_stands_beside_what_chance_makes_it() -> None:
    """Of equal samples it lies below the quantile mostly, and a bare distance would say nothing."""
    generator = np.random.default_rng(14)
    found = counts_differ(
        [Sample(3, _counts(generator, _EIGHT, 300), _counts(generator, _EIGHT, 300))], seed=1
    ).distance

    assert found is not None
    assert 0 < found.value < found.null_quantile < 0.3


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(1e-3, 0.1)), min_size=1, max_size=20))
def test_equal_values_never_differ(values: list[tuple[float, float]]) -> None:
    """Whatever their errors."""
    assert values_differ(values, values).p_value == 1.0


@pytest.mark.parametrize(
    ("here", "there", "within", "differs"),
    [
        ((0.50, 0.01), (0.53, 0.0), 0.0, False),
        ((0.50, 0.01), (0.60, 0.0), 0.0, True),
        ((0.50, 0.01), (0.60, 0.0), 0.1, False),
        ((0.50, 0.0), (0.50001, 0.0), 0.0, True),
        ((0.50, 0.0), (0.5 + 1e-9, 0.0), 0.0, False),
    ],
)
def test_values_differ_by_their_errors(
    here: tuple[float, float], there: tuple[float, float], within: float, differs: bool
) -> None:
    """Three standard errors may be chance, ten are not; without errors only rounding is."""
    assert (values_differ([here], [there], within=within).p_value < 1e-3) is differs
