"""Whether results come from where other results came from: counts against counts, and values against values.

Counts over few bits are dealt anew, all registers and bindings at once, each within itself: one permutation test.
Counts over many bits are compared by the parities of sets of bits that the seed alone chooses, each by Fisher's exact
test, which is the permutation test of a table of two rows and two columns. A total variation stands beside the
quantile that the same dealing gives it.

Bit order: the rightmost character of an outcome is bit 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from circuits.statistics import Distance, any_of, choose_bits, histogram

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Counts = Mapping[str, int]

TABLE_BITS = 8
"""Up to here every outcome is a cell of its own."""

QUANTILE = 0.99

_SETS = ((1, 64), (2, 32), (3, 16), (4, 16))
"""How many bits a set has, and how many such sets are looked at."""

_DEALINGS = 4_999
_COUNTED = 10
"""From so many dealings on that are as far apart, their share is the p-value; the tail beyond is fitted to them all."""

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Sample:
    """Counts of one register and binding, here and there.

    Attributes:
        width: Bits of an outcome.
        here: Counts that are looked at.
        there: Counts that they are compared with.
    """

    width: int
    here: Counts
    there: Counts


@dataclass(frozen=True)
class Drift:
    """How results differ from others.

    Attributes:
        p_value: Of such a difference, or a larger one, where both come from one source, or from two that differ by no
            more than is allowed.
        statistic: Chi-square over all tables, or the largest deviation in standard errors.
        distance: Mean total variation over the tables of few bits, None where there are none.
        looked_at: What was compared, in a few words.
    """

    p_value: float
    statistic: float
    distance: Distance | None
    looked_at: str


def counts_differ(samples: Sequence[Sample], *, seed: int, within: float = 0.0) -> Drift:
    """Test whether counts come from where other counts came from.

    Args:
        samples: At least one, none of them empty.
        seed: Of the dealing and of the choice of bits.
        within: Total variation that is allowed; what is beyond it is tested against the worst that may be, by draws,
            and for parities by the normal law.

    Far out in the tail, where dealings are too few to count, the p-value is that of a scaled chi-square law, or with an
    allowance of a normal one, with the mean and variance of the dealings.

    Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., chapter 3.
    """
    narrow = [sample for sample in samples if sample.width <= TABLE_BITS]
    wide = [sample for sample in samples if sample.width > TABLE_BITS]
    p_values = [p_value for sample in wide for p_value in _parities(sample, seed, within)]
    words = [f"{len(p_values)} parities of sets of bits"] if p_values else []
    statistic, distance = 0.0, None
    if narrow:
        p_value, statistic, distance = _dealt(narrow, seed, within)
        p_values.append(p_value)
        words.append(f"all outcomes of {len(narrow)} table{'' if len(narrow) == 1 else 's'}")
    return Drift(any_of(p_values), statistic, distance, " and ".join(words))


def values_differ(
    here: Sequence[tuple[float, float]], there: Sequence[tuple[float, float]], *, within: float = 0.0
) -> Drift:
    """Test whether values agree with others within their standard errors.

    Args:
        here: (value, standard error) each.
        there: The same values elsewhere.
        within: Difference that is allowed beyond chance.

    Returns:
        Two-sided by the normal law, over all values by Bonferroni's inequality. Without standard errors a difference
        beyond rounding has the p-value 0.
    """
    from scipy import stats

    p_values, largest = [], 0.0
    for (value, error), (other, other_error) in zip(here, there, strict=True):
        beyond = max(0.0, abs(value - other) - within)
        spread = math.hypot(error, other_error)
        rounding = 1e-6 * max(1.0, abs(value), abs(other))
        if beyond <= rounding:
            p_values.append(1.0)
        elif not spread:
            p_values.append(0.0)
            largest = math.inf
        else:
            largest = max(largest, beyond / spread)
            p_values.append(float(2 * stats.norm.sf(beyond / spread)))
    return Drift(any_of(p_values), largest, None, f"{len(p_values)} values")


def _dealt(samples: Sequence[Sample], seed: int, within: float) -> tuple[float, float, Distance]:
    """p-value, chi-square and mean total variation of tables whose shots are dealt anew, each within itself."""
    from scipy import stats

    tables = [_table(sample) for sample in samples]
    generator = np.random.default_rng(seed)
    chi_square, variation = np.zeros(_DEALINGS), np.zeros(_DEALINGS)
    seen_chi, seen_variation = 0.0, 0.0
    for pooled, own in tables:
        sizes = int(own.sum()), int(pooled.sum() - own.sum())
        share = sizes[0] / sum(sizes)
        seen_chi += float(_chi_square(own, pooled, share))
        seen_variation += float(_variation(own, pooled, sizes)) / len(tables)
        for start, number in _batches(_DEALINGS, pooled.size):
            dealt = generator.multivariate_hypergeometric(pooled, sizes[0], size=number, method="marginals")
            chi_square[start : start + number] += _chi_square(dealt, pooled, share)
            variation[start : start + number] += _variation(dealt, pooled, sizes) / len(tables)
    distance = Distance(seen_variation, float(np.quantile(variation, QUANTILE)), QUANTILE)
    if within:
        return _beyond(tables, seen_variation, generator, within), seen_chi, distance
    mean, variance = float(chi_square.mean()), float(chi_square.var())
    tail = stats.chi2.sf(seen_chi * 2 * mean / variance, 2 * mean**2 / variance) if variance else 1.0
    return _tail(chi_square, seen_chi, float(tail)), seen_chi, distance


def _beyond(
    tables: Sequence[tuple[Integers, Integers]],
    seen: float,
    generator: np.random.Generator,
    within: float,
) -> float:
    """p-value of a mean total variation where as much as is allowed is there indeed.

    Drawn is from the others' frequencies, and from these moved towards the ones at hand as far as is allowed: the
    worst that may be, in the direction that was seen.
    """
    if seen <= within:
        return 1.0
    variation = np.zeros(_DEALINGS)
    for pooled, own in tables:
        sizes = int(own.sum()), int(pooled.sum() - own.sum())
        there = (pooled - own) / sizes[1]
        here = there + (own / sizes[0] - there) * within / seen
        for start, number in _batches(_DEALINGS, pooled.size):
            drawn = (
                generator.multinomial(sizes[0], here, size=number) / sizes[0]
                - generator.multinomial(sizes[1], there, size=number) / sizes[1]
            )
            variation[start : start + number] += np.abs(drawn).sum(axis=-1) / 2 / len(tables)
    return _tail(variation, seen, _normal(variation, seen))


def _tail(null: Floats, seen: float, fitted: float) -> float:
    """p-value of a statistic among those of dealings: their share, or far out what was fitted to them."""
    as_large = int((null >= seen * (1 - 1e-12)).sum())
    counted = (1 + as_large) / (1 + null.size)
    return counted if as_large >= _COUNTED else min(counted, fitted)


def _normal(null: Floats, seen: float) -> float:
    from scipy import stats

    spread = float(null.std())
    return float(stats.norm.sf((seen - null.mean()) / spread)) if spread else 0.0


def beyond_reference(observed: Integers, probabilities: Floats, *, seed: int, within: float) -> float:
    """p-value of counts' total variation from a known distribution, where so much of it is allowed; see `_beyond`.

    Args:
        observed: Counts, shape (k,).
        probabilities: Shape (k,), sum 1.
        seed: Of the draws.
        within: Total variation that is allowed, above 0.
    """
    shots = int(observed.sum())
    seen = float(np.abs(observed / shots - probabilities).sum() / 2)
    if seen <= within:
        return 1.0
    worst = probabilities + (observed / shots - probabilities) * within / seen
    generator, variation = np.random.default_rng(seed), np.zeros(_DEALINGS)
    for start, number in _batches(_DEALINGS, probabilities.size):
        drawn = generator.multinomial(shots, worst, size=number) / shots
        variation[start : start + number] = np.abs(drawn - probabilities).sum(axis=-1) / 2
    return _tail(variation, seen, _normal(variation, seen))


def _table(sample: Sample) -> tuple[Integers, Integers]:
    """Pooled and own counts of the outcomes that came."""
    own = histogram(sample.here, sample.width)
    pooled = own + histogram(sample.there, sample.width)
    seen = pooled > 0
    return pooled[seen], own[seen]


def _chi_square(own: Integers, pooled: Integers, share: float) -> Floats:
    weight = 1.0 / (pooled * share * (1.0 - share))
    result: Floats = ((own - pooled * share) ** 2 * weight).sum(axis=-1)
    return result


def _variation(own: Integers, pooled: Integers, sizes: tuple[int, int]) -> Floats:
    result: Floats = np.abs(own / sizes[0] - (pooled - own) / sizes[1]).sum(axis=-1) / 2
    return result


def _batches(total: int, cells: int) -> Iterator[tuple[int, int]]:
    most = max(1, _CELLS_AT_ONCE // max(cells, 1))
    for start in range(0, total, most):
        yield start, min(most, total - start)


def _chosen_bits(width: int, seed: int) -> list[tuple[int, ...]]:
    return [
        bits
        for size, number in _SETS
        if size <= width
        for bits in choose_bits(width, size, number, seed=seed)
    ]


def _parities(sample: Sample, seed: int, within: float) -> list[float]:
    """p-values of how often an odd number of bits is 1, here and there, for each chosen set of bits."""
    here, there = _Words.of(sample.here), _Words.of(sample.there)
    return [_parity(here, there, bits, within) for bits in _chosen_bits(sample.width, seed)]


@dataclass(frozen=True)
class _Words:
    """Outcomes as a matrix: column i is bit i."""

    bits: npt.NDArray[np.uint8]
    counts: Integers

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Counts of outcomes of one width."""
        words = np.array([list(word[::-1].encode()) for word in counts], dtype=np.uint8) - ord("0")
        return cls(words, np.array(list(counts.values()), dtype=np.int64))

    def odd(self, bits: Sequence[int]) -> int:
        """How many shots have an odd number of ones among these bits."""
        return int(self.counts[self.bits[:, list(bits)].sum(axis=1) % 2 == 1].sum())


def _parity(here: _Words, there: _Words, bits: Sequence[int], within: float) -> float:
    from scipy import stats

    odd_here, odd_there = here.odd(bits), there.odd(bits)
    shots_here, shots_there = int(here.counts.sum()), int(there.counts.sum())
    if within:
        rates = (odd_here + 1) / (shots_here + 2), (odd_there + 1) / (shots_there + 2)
        spread = math.sqrt(rates[0] * (1 - rates[0]) / shots_here + rates[1] * (1 - rates[1]) / shots_there)
        shift = abs(odd_here / shots_here - odd_there / shots_there)
        return float(stats.norm.sf((shift - within) / spread)) if shift > within else 1.0
    table = [[odd_here, shots_here - odd_here], [odd_there, shots_there - odd_there]]
    return float(stats.fisher_exact(table).pvalue)
