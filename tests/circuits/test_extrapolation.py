"""Extrapolation to zero noise: right on what it assumes, honest where it says less than the raw value."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from circuits.extrapolation import MISFIT, zero_noise_limit

_STD = 0.01
_FACTORS = (1.0, 2.0, 3.0, 5.0)
_CURVES: dict[str, tuple[Callable[[float], float], float]] = {
    "linear": (lambda x: 0.9 - 0.1 * x, 0.0),
    "quadratic": (lambda x: 0.9 - 0.2 * x + 0.01 * x * x, 0.0),
    "exponential": (lambda x: 0.1 + 0.8 * math.exp(-0.2 * x), 0.1),
}


@pytest.mark.parametrize("extrapolator", _CURVES)
def test_error_bars_hold_what_they_say(extrapolator: Any) -> None:
    """Of 1,000 noisy curves of the right form, 95 % of the intervals hold the truth, within 3.5 sigma of a binomial."""
    curve, mixed = _CURVES[extrapolator]
    draws, inside, misfits = np.random.default_rng(3), 0, 0
    for _ in range(1000):
        values = [curve(factor) + draws.normal(scale=_STD) for factor in _FACTORS]
        found = zero_noise_limit(
            _FACTORS, values, [_STD] * 4, extrapolator=extrapolator, mixed=mixed, reach=1.0
        )
        assert found.worthless == ""
        assert found.inflation == pytest.approx((found.std / _STD) ** 2)
        inside += abs(found.value - curve(0)) < 1.96 * found.std
        misfits += found.misfit < 0.05

    allowed = 3.5 * math.sqrt(1000 * 0.05 * 0.95)
    assert abs(inside - 950) < allowed
    assert abs(misfits - 50) < allowed


def test_points_count_by_their_error_bars() -> None:
    """The straight line through three points with weights, against NumPy's own."""
    values, stds = [0.8, 0.55, 0.5], [0.01, 0.02, 0.05]
    found = zero_noise_limit([1, 3, 5], values, stds, extrapolator="linear", mixed=0.0, reach=1.0)
    line, covariance = np.polyfit([1, 3, 5], values, 1, w=1 / np.array(stds), cov="unscaled")

    assert found.value == pytest.approx(line[1])
    assert found.std == pytest.approx(math.sqrt(covariance[1, 1]))


@pytest.mark.parametrize(
    ("values", "stds", "extrapolator", "because"),
    [
        ((0.5, 0.5, 0.499), (0.05, 0.05, 0.05), "linear", "larger than the raw value's"),
        ((0.95, 0.2, 0.1), (0.001, 0.001, 0.001), "linear", "outside what the observable can be"),
        ((0.01, -0.02, 0.0), (0.05, 0.05, 0.05), "exponential", "the exponential fit diverges"),
        ((0.5, 0.4, 0.3), (0.01, 0.0, 0.01), "linear", "no standard error"),
        ((0.5, math.nan, 0.3), (0.01, 0.01, 0.01), "linear", "no standard error"),
    ],
)
def test_a_worthless_fit_leaves_the_raw_value(
    values: tuple[float, ...], stds: tuple[float, ...], extrapolator: Any, because: str
) -> None:
    """And says why."""
    found = zero_noise_limit((1, 3, 5), values, stds, extrapolator=extrapolator, mixed=0.0, reach=1.0)

    assert (found.value, found.std, found.inflation) == (values[0], stds[0], 1.0)
    assert because in found.worthless


def test_a_fit_of_the_wrong_form_is_noticed() -> None:
    """A decay is no straight line, where shots are many."""
    values = [math.exp(-0.5 * factor) for factor in _FACTORS]
    found = zero_noise_limit(_FACTORS, values, [0.001] * 4, extrapolator="linear", mixed=0.0, reach=1.0)

    assert found.misfit < MISFIT
