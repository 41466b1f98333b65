"""How the results of several places differ that were asked the same, pair by pair; runs in a child.

Counts are tested by dealing all shots anew to the two places, values by their standard errors; a distance stands beside
what the same dealing makes of it. The pubs and elements that are looked at are the first ones, chosen before there are any
results.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from circuits.drift import Sample, counts_differ, values_differ
from circuits.shadow_comparison import deviations_of, values_of
from circuits.statistics import any_of, bound
from qurable.contracts.arrays import size_of
from qurable.contracts.comparisons import FALSE_ALARM, Gap, PairComparison, PubComparison
from qurable.contracts.results import EstimateResult, PubResult, SampleResult

TABLES = 64
"""Elements of pubs that are compared over all pairs together: each takes a quarter of a second."""

MAX_PUBS = 32
MAX_CELLS = 4_096
"""Different outcomes of two places up to which a distance is computed."""

QUANTILE = 0.99
_DEALINGS = 999
_SHOWN = 100

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Result = SampleResult | EstimateResult

_RESULT: TypeAdapter[Result] = TypeAdapter(PubResult)


def compare(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: how results of several places differ.

    Args:
        payload: `{"answers": [place, JSON of each pub's result] for each place, "seed": of the dealings}`.

    Returns:
        JSON of a `PairComparison` for each two places, in their order.
    """
    answers = [
        (place, [_RESULT.validate_json(text) for text in results]) for place, results in payload["answers"]
    ]
    pairs = list(itertools.combinations(answers, 2))
    tables = max(1, TABLES // max(1, len(pairs)))
    return [
        pair_of(
            (here[0], there[0]), here[1], there[1], seed=payload["seed"], tables=tables, pairs=len(pairs)
        ).model_dump_json()
        for here, there in pairs
    ]


def pair_of(
    places: tuple[str, str],
    here: Sequence[Result],
    there: Sequence[Result],
    *,
    seed: int,
    tables: int,
    pairs: int,
) -> PairComparison:
    """How two places differ.

    Args:
        places: Their names.
        here: Results of the first.
        there: Results of the second, of as many pubs.
        seed: Of dealings.
        tables: So many elements of pubs are compared.
        pairs: That are compared in all, for the bound below which two differ.
    """
    if len(here) != len(there) or not here:
        return PairComparison(places=places, missing="one of the two answered without running the circuits")
    found: list[PubComparison] = []
    left, looked = tables, 0
    for number, (mine, other) in enumerate(zip(here[:MAX_PUBS], there[:MAX_PUBS], strict=True)):
        if left < 1:
            break
        looked += 1
        told = _pub(number, mine, other, seed=seed, tables=left)
        left -= min(left, size_of(mine.shape)) if isinstance(mine, SampleResult) else 0
        if told is not None:
            found.append(told)
    if not found:
        return PairComparison(places=places, missing="there is nothing to compare")
    p_value = any_of([pub.p_value for pub in found])
    return PairComparison(
        places=places,
        p_value=p_value,
        differ=p_value < bound(pairs, FALSE_ALARM),
        pubs=tuple(found),
        left_out=len(here) - looked,
    )


def _pub(number: int, here: Result, there: Result, *, seed: int, tables: int) -> PubComparison | None:
    if isinstance(here, SampleResult) and isinstance(there, SampleResult):
        return _of_counts(number, here, there, seed=seed, tables=tables)
    if isinstance(here, EstimateResult) and isinstance(there, EstimateResult):
        return _of_values(number, here, there)
    raise ValueError(f"pub {number} was sampled at one place and estimated at the other")


def _of_counts(
    number: int, here: SampleResult, there: SampleResult, *, seed: int, tables: int
) -> PubComparison | None:
    width = sum(register.bits.num_bits for register in here.registers)
    if not width:
        return None
    elements = size_of(here.shape)
    looked = range(min(elements, tables))
    samples = [Sample(width, _words(there, element), _words(here, element)) for element in looked]
    drift = counts_differ(samples, seed=seed)
    variation, hellinger = distances(samples, seed=seed)
    beyond = f", of {elements} elements the first {len(looked)}" if elements > len(looked) else ""
    return PubComparison(
        pub=number,
        kind="sample",
        p_value=drift.p_value,
        total_variation=variation,
        hellinger=hellinger,
        looked_at=drift.looked_at + beyond,
    )


def _words(result: SampleResult, element: int) -> dict[str, int]:
    """Counts over all registers as they were read, last register first, without the spaces."""
    return {outcome.replace(" ", ""): count for outcome, count in result.counts(element).items()}


@dataclass
class _Distance:
    """A distance, summed over tables; and what each dealing makes of it."""

    seen: float = 0.0
    dealt: Floats = field(default_factory=lambda: np.zeros(_DEALINGS))

    def gap(self, tables: int) -> Gap:
        null = self.dealt / tables
        return Gap(
            value=self.seen / tables,
            expected=float(null.mean()),
            null_quantile=float(np.quantile(null, QUANTILE)),
        )


def distances(samples: Sequence[Sample], *, seed: int) -> tuple[Gap | None, Gap | None]:
    """Mean total variation and Hellinger distance of tables, beside those of shots that are dealt anew.

    None where a table has more different outcomes than `MAX_CELLS`.
    """
    variation, hellinger = _Distance(), _Distance()
    generator = np.random.default_rng(seed)
    for sample in samples:
        outcomes = sorted({*sample.here, *sample.there})
        if len(outcomes) > MAX_CELLS:
            return None, None
        own = np.array([sample.here.get(outcome, 0) for outcome in outcomes], dtype=np.int64)
        pooled = own + np.array([sample.there.get(outcome, 0) for outcome in outcomes], dtype=np.int64)
        shots = int(own.sum())
        variation.seen += float(_variation(own, pooled))
        hellinger.seen += float(_hellinger(own, pooled))
        for start in range(0, _DEALINGS, step := max(1, 1_000_000 // len(outcomes))):
            number = min(step, _DEALINGS - start)
            dealt = generator.multivariate_hypergeometric(pooled, shots, size=number, method="marginals")
            variation.dealt[start : start + number] += _variation(dealt, pooled)
            hellinger.dealt[start : start + number] += _hellinger(dealt, pooled)
    return variation.gap(len(samples)), hellinger.gap(len(samples))


def _frequencies(own: Integers, pooled: Integers) -> tuple[Floats, Floats]:
    other = pooled - own
    return own / own.sum(axis=-1, keepdims=True), other / other.sum(axis=-1, keepdims=True)


def _variation(own: Integers, pooled: Integers) -> Floats:
    here, there = _frequencies(own, pooled)
    result: Floats = np.abs(here - there).sum(axis=-1) / 2
    return result


def _hellinger(own: Integers, pooled: Integers) -> Floats:
    here, there = _frequencies(own, pooled)
    result: Floats = np.sqrt(np.clip(1.0 - np.sqrt(here * there).sum(axis=-1), 0.0, 1.0))
    return result


def _of_values(number: int, here: EstimateResult, there: EstimateResult) -> PubComparison | None:
    first, second = values_of(here), values_of(there)
    if not first:
        return None
    drift = values_differ(second, first)
    return PubComparison(
        pub=number,
        kind="estimate",
        p_value=drift.p_value,
        deviations=deviations_of(second[:_SHOWN], first[:_SHOWN]),
        largest=max(abs(value - other) for (value, _), (other, _) in zip(first, second, strict=True)),
        looked_at=drift.looked_at,
    )
