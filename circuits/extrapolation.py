"""Values at zero noise from values at several noise factors, by weighted least squares.

Points are weighted by one over their variance, so that the fit's covariance is that of shot noise alone. The exponential
decays to the value of the fully mixed state, which is an observable's coefficient of the identity.

Source: K. Temme, S. Bravyi, J. M. Gambetta, Phys. Rev. Lett. 119, 180509 (2017).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Extrapolator = Literal["linear", "quadratic", "exponential"]

MISFIT = 1e-3
"""Chance below which points are said to lie too far off their fit."""

_STEPS = 200
_CONVERGED = 1e-10
_OFF = 3.0
"""Error bars by which a value may lie outside the range of its observable."""


class _Diverges(Exception):
    """A fit finds no end."""


@dataclass(frozen=True)
class Limit:
    """A value at zero noise.

    Attributes:
        value: There; the raw value where the fit is worthless.
        std: Its standard error.
        inflation: Its variance over that of the raw value.
        misfit: How likely the points are to lie so far off the fit by chance; 1 where they determine it.
        worthless: Why the raw value stands; empty where it does not have to.
    """

    value: float
    std: float
    inflation: float
    misfit: float
    worthless: str = ""


def zero_noise_limit(
    factors: Sequence[float],
    values: Sequence[float],
    stds: Sequence[float],
    *,
    extrapolator: Extrapolator,
    mixed: float,
    reach: float,
) -> Limit:
    """Extrapolate an expectation value to zero noise.

    A fit is worthless where it diverges, where it leads out of the observable's range by more than three of its error
    bars, or where its error bar is larger than the raw value's and the correction together: then nobody can tell from
    these shots that the correction is one, and the raw value is expected to lie nearer to the truth.

    Args:
        factors: Noise factors, shape (k,), ascending, the first of them that of the raw value.
        values: Expectation values at those factors, shape (k,).
        stds: Their standard errors, shape (k,), each above zero.
        extrapolator: What is fitted.
        mixed: Value in the fully mixed state.
        reach: Farthest that a value can be from it.
    """
    raw, raw_std = values[0], stds[0]
    if not all(map(math.isfinite, (*values, *stds))) or min(stds) <= 0:
        return Limit(raw, raw_std, 1.0, 1.0, "the place gives no standard error to weigh its values by")
    x, y, sigma = (np.asarray(numbers, dtype=np.float64) for numbers in (factors, values, stds))
    try:
        if extrapolator == "exponential":
            value, std, chi_squared = _decay(x, y - mixed, sigma)
            value, parameters = value + mixed, 2
        else:
            parameters = 2 if extrapolator == "linear" else 3
            value, std, chi_squared = _polynomial(x, y, sigma, parameters)
    except (_Diverges, np.linalg.LinAlgError) as reason:
        return Limit(raw, raw_std, 1.0, 1.0, f"the {extrapolator} fit diverges: {reason}")
    misfit = _chance_of(chi_squared, len(factors) - parameters)
    if abs(value - mixed) > reach + _OFF * std:
        because = (
            f"the {extrapolator} fit diverges: its value at zero noise, {value:.4g}, lies outside what the observable can be, "
            f"{mixed - reach:.4g} to {mixed + reach:.4g}"
        )
    elif std**2 > raw_std**2 + (value - raw) ** 2:
        because = (
            f"its error bar, {std:.2g}, is larger than the raw value's, {raw_std:.2g}, and the correction, {abs(value - raw):.2g}, "
            "together"
        )
    else:
        return Limit(value, std, (std / raw_std) ** 2, misfit)
    return Limit(raw, raw_std, 1.0, misfit, because)


def _polynomial(x: Floats, y: Floats, sigma: Floats, parameters: int) -> tuple[float, float, float]:
    """Value at 0, its standard error, and chi squared of the fit."""
    rows = np.vander(x, parameters, increasing=True) / sigma[:, None]
    covariance = np.linalg.inv(rows.T @ rows)
    found = covariance @ (rows.T @ (y / sigma))
    residuals = rows @ found - y / sigma
    return float(found[0]), math.sqrt(covariance[0, 0]), float(residuals @ residuals)


def _decay(x: Floats, y: Floats, sigma: Floats) -> tuple[float, float, float]:
    """The same of `a exp(-b x)`, by Levenberg's steps.

    Raises:
        _Diverges: It finds no end, or nothing decays.
    """
    sign = math.copysign(1.0, float(y[0]))
    there = y * sign > sigma
    if there.sum() < 2:
        raise _Diverges("fewer than two values differ from the fully mixed state's by their error bar")
    # Logarithms of those that are far from zero give the start.
    slope, level = np.polyfit(x[there], np.log(y[there] * sign), 1, w=y[there] * sign / sigma[there])
    found, damping = np.array([sign * math.exp(min(level, 50.0)), -slope]), 1e-3
    best = _misses(found, x, y, sigma)
    for _ in range(_STEPS):
        powers = np.exp(-found[1] * x)
        rows = np.column_stack([powers, -found[0] * x * powers]) / sigma[:, None]
        normal = rows.T @ rows
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -rows.T @ best)
        tried = _misses(found + step, x, y, sigma)
        if np.isfinite(tried).all() and tried @ tried <= best @ best:
            gained = best @ best - tried @ tried
            found, best, damping = found + step, tried, damping / 4
            if gained <= _CONVERGED * (1 + best @ best):
                covariance = np.linalg.inv(rows.T @ rows)
                return float(found[0]), math.sqrt(covariance[0, 0]), float(best @ best)
        else:
            damping *= 8
            if damping > 1e12:
                raise _Diverges("no step makes it better")
    raise _Diverges(f"it finds no end in {_STEPS} steps")


def _misses(found: Floats, x: Floats, y: Floats, sigma: Floats) -> Floats:
    with np.errstate(over="ignore"):
        missed: Floats = (found[0] * np.exp(-found[1] * x) - y) / sigma
    return missed


def _chance_of(chi_squared: float, freedom: int) -> float:
    """How likely chi squared is to be at least this by chance; 1 without degrees of freedom."""
    if freedom < 1:
        return 1.0
    half = chi_squared / 2
    tail, degrees = (math.erfc(math.sqrt(half)), 1) if freedom % 2 else (math.exp(-half), 2)
    while degrees < freedom:
        tail += half ** (degrees / 2) * math.exp(-half) / math.gamma(degrees / 2 + 1)
        degrees += 2
    return min(1.0, tail)
