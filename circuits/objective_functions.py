"""Registered objectives that come with the application."""

from collections.abc import Mapping, Sequence
from typing import Any


def penalised(
    expectations: Sequence[float],
    parameters: Sequence[float],  # noqa: ARG001  what every objective is given
    data: Mapping[str, Any],
) -> float:
    """The first expectation value, and a price for every other one that is not as it should be.

    Args:
        expectations: An energy, and quantities that are conserved, such as the number of particles.
        parameters: Not used.
        data: `targets`, one for each quantity after the first, and `weight`, 1 by default.
    """
    energy, *quantities = expectations
    targets = data["targets"]
    price: float = sum((value - target) ** 2 for value, target in zip(quantities, targets, strict=True))
    return energy + float(data.get("weight", 1.0)) * price


def variance(
    expectations: Sequence[float],
    parameters: Sequence[float],  # noqa: ARG001
    data: Mapping[str, Any],  # noqa: ARG001
) -> float:
    """The variance of an observable, from the expectation values of it and of its square; 0 in its eigenstates."""
    mean, square = expectations
    return square - mean**2
