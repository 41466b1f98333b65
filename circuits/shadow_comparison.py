"""How the results of two places differ that were asked the same; runs in a child.

Each pub is tested by itself, counts by a permutation test and values by their standard errors, and all pubs together
by Bonferroni's inequality.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter

from circuits.drift import Drift, Sample, counts_differ, values_differ
from circuits.statistics import any_of
from qurable.contracts.arrays import size_of
from qurable.contracts.results import EstimateResult, PubResult, SampleResult
from qurable.contracts.shadows import PubDifference

PUBS = 32
"""So many pubs are compared, the first ones, as chosen before there were any results: each takes a second at most."""

_TABLES = 16
"""Registers and bindings of a pub that are compared."""

_VALUES = 1_000
_SHOWN = 100

Result = SampleResult | EstimateResult

_RESULT: TypeAdapter[Result] = TypeAdapter(PubResult)


def compare(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: how results differ from those of another place.

    Args:
        payload: `{"answer", "shadow": JSON of each pub's result, of as many pubs, "seed": of the dealings}`.

    Returns:
        `{"pubs": JSON of each `PubDifference`, "p_value": None where nothing could be compared, "left_out": pubs}`.
    """
    pairs = list(zip(_read(payload["answer"]), _read(payload["shadow"]), strict=True))
    found = [
        difference
        for number, (answer, shadow) in enumerate(pairs[:PUBS])
        if (difference := difference_of(number, answer, shadow, seed=payload["seed"])) is not None
    ]
    return {
        "pubs": [difference.model_dump_json() for difference in found],
        "p_value": any_of([difference.p_value for difference in found]) if found else None,
        "left_out": max(0, len(pairs) - PUBS),
    }


def difference_of(number: int, answer: Result, shadow: Result, *, seed: int) -> PubDifference | None:
    """How one pub's results differ; None where it has none to compare, as a circuit without classical bits."""
    if isinstance(answer, SampleResult) and isinstance(shadow, SampleResult):
        tables = [
            Sample(register.bits.num_bits, other.bits.counts(element), register.bits.counts(element))
            for register, other in zip(answer.registers, shadow.registers, strict=True)
            for element in range(size_of(answer.shape))
            if register.bits.num_bits
        ]
        return _told(number, "sample", counts_differ(tables[:_TABLES], seed=seed)) if tables else None
    if isinstance(answer, EstimateResult) and isinstance(shadow, EstimateResult):
        here, there = values_of(shadow), values_of(answer)
        if not here:
            return None
        told = _told(number, "estimate", values_differ(here, there))
        return told.model_copy(update={"deviations": deviations_of(here[:_SHOWN], there[:_SHOWN])})
    raise ValueError(f"pub {number} was sampled at one place and estimated at the other")


def _read(documents: Sequence[str]) -> list[Result]:
    return [_RESULT.validate_json(document) for document in documents]


def _told(number: int, kind: Any, drift: Drift) -> PubDifference:
    distance = drift.distance
    return PubDifference(
        pub=number,
        kind=kind,
        p_value=drift.p_value,
        distance=None if distance is None else distance.value,
        null_quantile=None if distance is None else distance.null_quantile,
        looked_at=drift.looked_at,
    )


def values_of(result: EstimateResult) -> list[tuple[float, float]]:
    """Each value with its standard error, the first ones of many."""
    return list(zip(result.evs.values, result.stds.values, strict=True))[:_VALUES]


def deviations_of(
    here: Sequence[tuple[float, float]], there: Sequence[tuple[float, float]]
) -> tuple[float | None, ...]:
    """What values differ by from others, in units of both standard errors together; None where there is no error bar."""
    deviations = []
    for (value, error), (other, other_error) in zip(here, there, strict=True):
        spread = math.hypot(error, other_error)
        deviations.append((value - other) / spread if spread else None)
    return tuple(deviations)
