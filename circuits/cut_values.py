"""From the outcomes of fragments to the values of the whole circuit, with error bars; without Qiskit.

A value is a sum over joint choices of coefficient times the product of what each fragment measures under that choice.
Error bars are the spread over bootstrap replicates: the shots of every experiment are drawn anew from what was measured, and
so are the joint choices where these had been drawn. One experiment serves many choices, and its replicate serves them all,
so correlations between choices, between Pauli products and between values count.

Source of the bootstrap: Efron, Ann. Statist. 7, 1 (1979).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qurable.contracts.arrays import BitArrays
from qurable.contracts.cutting import CutPlan, FragmentPlan
from qurable.contracts.results import SampleResult

OBSERVED = "observable_measurements"
QPD = "qpd_measurements"

REPLICATES = 400
"""The spread of so many is good to 4 %."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What one experiment of a fragment read.

    Attributes:
        observed: Bits of the register `observable_measurements`, shape (outcomes, bits); column i is bit i.
        signs: +1 or -1 by the parity of the register `qpd_measurements`, shape (outcomes,).
        weights: How often each came, shape (outcomes,); probabilities where they are exact.
    """

    observed: npt.NDArray[np.uint8]
    signs: Floats
    weights: Floats


def reconstruct(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: put the values together.

    Args:
        payload: `{"plan": CutPlan as JSON, "results": [[SampleResult as JSON of each experiment] of each fragment]}`.

    Returns:
        `{"values": [float], "errors": [float]}`, in the order of the plan's values.
    """
    plan = CutPlan.read(payload["plan"])
    read = [
        [outcomes_of(SampleResult.read(document)) for document in results] for results in payload["results"]
    ]
    values, errors = values_of(plan, read)
    return {"values": values.tolist(), "errors": errors.tolist()}


def outcomes_of(result: SampleResult) -> Outcomes:
    """The shots of an experiment, equal ones together."""
    names = [register.name for register in result.registers]
    bits = {register.name: _bits(register.bits) for register in result.registers}
    observed = bits[OBSERVED] if OBSERVED in names else np.zeros((result.shots, 0), dtype=np.uint8)
    qpd = bits[QPD] if QPD in names else np.zeros((result.shots, 0), dtype=np.uint8)
    parity = np.bitwise_xor.reduce(qpd, axis=1, keepdims=True)
    words, counts = np.unique(np.concatenate([observed, parity], axis=1), axis=0, return_counts=True)
    return Outcomes(words[:, :-1], 1.0 - 2.0 * words[:, -1], counts.astype(np.float64))


def _bits(bits: BitArrays) -> npt.NDArray[np.uint8]:
    """Shape (shots, bits), column i for bit i."""
    return np.unpackbits(bits.to_numpy()[:, ::-1], axis=1, bitorder="little")[:, : bits.num_bits]


def values_of(
    plan: CutPlan, outcomes: Sequence[Sequence[Outcomes]], replicates: int = REPLICATES
) -> tuple[Floats, Floats]:
    """Each value and its standard error.

    Args:
        plan: Of the cut.
        outcomes: Of each experiment of each fragment.
        replicates: Of the bootstrap.

    Returns:
        Values and errors, shape (values,) each.
    """
    generator = np.random.default_rng([plan.seed, 1])
    products = len(plan.fragments[0].lookup) if plan.fragments else 0
    means = [
        _means(fragment, read, replicates, generator)
        for fragment, read in zip(plan.fragments, outcomes, strict=True)
    ]
    coefficients = _coefficients(plan, replicates, generator)
    # Column 0 is what was measured, the others are replicates.
    found = np.empty((products, 1 + replicates))
    for product in range(products):
        joint = np.ones((len(plan.coefficients), 1 + replicates))
        for fragment, measured in zip(plan.fragments, means, strict=True):
            joint *= _of_product(fragment, measured, product)
        found[product] = (coefficients * joint).sum(axis=0)
    values, errors = [], []
    for constant, parts in zip(plan.constants, plan.values, strict=True):
        drawn = np.full(1 + replicates, constant)
        for product, factor in parts:
            drawn += factor * found[product]
        values.append(drawn[0])
        errors.append(drawn[1:].std(ddof=1) if replicates > 1 else 0.0)
    return np.array(values), np.array(errors)


Means = dict[tuple[int, int], Floats]
"""By (group, mask) the mean of every experiment of that group, shape (experiments, 1 + replicates); others are 0."""


def _means(
    fragment: FragmentPlan, outcomes: Sequence[Outcomes], replicates: int, generator: np.random.Generator
) -> Means:
    """What every experiment says of every mask of its group."""
    masks: dict[int, list[int]] = {}
    for pairs in fragment.lookup:
        for group, mask in pairs:
            if mask not in masks.setdefault(group, []):
                masks[group].append(mask)
    group_of = {experiment: group for numbers in fragment.index for group, experiment in enumerate(numbers)}
    means = {
        (group, mask): np.zeros((len(outcomes), 1 + replicates))
        for group, wanted in masks.items()
        for mask in wanted
    }
    for experiment, read in enumerate(outcomes):
        group = group_of[experiment]
        signs = np.stack([_signs(read, mask) for mask in masks[group]], axis=1)
        measured, drawn = _resampled(signs, read.weights, replicates, generator)
        for at, mask in enumerate(masks[group]):
            means[group, mask][experiment, 0] = measured[at]
            means[group, mask][experiment, 1:] = drawn[:, at]
    return means


def _signs(read: Outcomes, mask: int) -> Floats:
    columns = [at for at in range(read.observed.shape[1]) if mask >> at & 1]
    parity = np.bitwise_xor.reduce(read.observed[:, columns], axis=1) if columns else 0
    signs: Floats = read.signs * (1.0 - 2.0 * parity)
    return signs


def _resampled(
    signs: Floats, weights: Floats, replicates: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Means over the outcomes of each column, and those of replicates of as many shots.

    Replicates are drawn with one imaginary shot at either end of the range: a thousand equal outcomes do not prove that there
    is no other. Outcomes with equal signs are one.
    """
    total = weights.sum()
    measured: Floats = weights @ signs / total
    patterns, number = np.unique(signs, axis=0, return_inverse=True)
    tally = np.bincount(number.ravel(), weights=weights, minlength=len(patterns))
    ends = np.ones((2, signs.shape[1]))
    ends[1] = -1.0
    patterns, tally = np.concatenate([patterns, ends]), np.concatenate([tally, [1.0, 1.0]])
    drawn = generator.multinomial(round(total), tally / tally.sum(), size=replicates)
    return measured, drawn @ patterns / max(1, round(total))


def _of_product(fragment: FragmentPlan, means: Means, product: int) -> Floats:
    """What a fragment says of a product under each joint choice, shape (choices, 1 + replicates)."""
    pairs = fragment.lookup[product]
    parts = [means[group, mask][[numbers[group] for numbers in fragment.index]] for group, mask in pairs]
    total: Floats = sum(parts[1:], parts[0]) / len(parts)
    return total


def _coefficients(plan: CutPlan, replicates: int, generator: np.random.Generator) -> Floats:
    """Of each joint choice, shape (choices, 1 + replicates) or (choices, 1) where none was drawn.

    A replicate has one draw fewer, weighed up: as many as there were would spread by too little, sqrt(1 - 1 / draws) of what
    draws do. Source: Rao and Wu, J. Am. Stat. Assoc. 83, 231 (1988).
    """
    measured = np.array(plan.coefficients)[:, None]
    if not plan.draws:
        return measured
    lots = np.flatnonzero(plan.drawn)
    shares = np.abs(measured[lots, 0])
    drawn = np.repeat(measured, 1 + replicates, axis=1)
    draws = max(1, plan.draws - 1)
    again = generator.multinomial(draws, shares / shares.sum(), size=replicates).T
    drawn[lots, 1:] = np.sign(measured[lots]) * again * (shares.sum() / draws)
    return drawn
