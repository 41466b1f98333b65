"""Whether measured counts come from the distribution they should come from.

A distance alone says nothing: perfect sampling of a random 12-qubit circuit with 1,000 shots lies at a total
variation of 0.6 from the truth. So counts are tested: against known probabilities by a G-test, against other
counts by a permutation test, and where the outcomes are too many for either, by marginals, parities and
cross-entropy chosen beforehand. A distance stands beside the quantile it would have if nothing were wrong.

Bit order: bit i of a bitstring is its i-th character from the right; a distribution over n bits is an array of
shape (2^n,) whose index is the bitstring read as a binary number.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FALSE_ALARM = 1e-3
"""How often a suite of tests may fail although nothing is wrong."""

LEAST_EXPECTED = 5.0
"""Cells are pooled until each expects so many shots; below, the chi-square law does not hold (Cochran 1954)."""

IMPOSSIBLE = 1e-14
"""Probabilities below are rounding errors of amplitudes that vanish."""

_ASYMPTOTIC = 100.0
"""Expectations from here on are large enough for the first term of a series."""

_MAX_BITS = 28
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Verdict:
    """The outcome of a test.

    Attributes:
        statistic: Its statistic; larger is less likely.
        degrees_of_freedom: Of the statistic's law, 0 where it has none.
        p_value: Probability of such a statistic, or a larger one, if nothing is wrong.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class Distance:
    """A distance from the truth, beside what chance alone would make it.

    Attributes:
        value: Of the counts at hand.
        null_quantile: Quantile, at `level`, of the distance of perfect samples of the same size.
        level: In (0, 1).
    """

    value: float
    null_quantile: float
    level: float


@dataclass(frozen=True)
class CrossEntropy:
    """Linear cross-entropy of counts with the distribution they should come from.

    Attributes:
        value: 0 for uniform outcomes, `expected` for perfect ones.
        expected: Of perfect samples.
        standard_error: Of `value`, for perfect samples.
        p_value: Two-sided, by the normal law.
    """

    value: float
    expected: float
    standard_error: float
    p_value: float


def histogram(counts: Mapping[str, int], width: int) -> Integers:
    """Counts as an array of shape (2^width,); spaces between registers are left out.

    Raises:
        ValueError: A bitstring has another width, or there are too many bits for an array.
    """
    if width > _MAX_BITS:
        raise ValueError(
            f"{width} bits make too many cells; at most {_MAX_BITS} are tabulated: take marginals"
        )
    table = np.zeros(2**width, dtype=np.int64)
    for outcome, number in counts.items():
        table[int(_bits(outcome, width) or "0", 2)] += number
    return table


def g_test(observed: Integers, probabilities: Floats) -> Verdict:
    """Test counts against exact probabilities.

    Cells are pooled, in order of their probability, to an expectation of at least 5. With many cells near that,
    the chi-square law would alarm three times too often at 10^-3, so the statistic's own mean and variance are
    used, by a scaled chi-square; for large expectations that is the usual law.

    Args:
        observed: Counts, shape (k,).
        probabilities: Shape (k,), sum 1.

    Returns:
        Degrees of freedom are pooled cells less one. A single impossible outcome gives the p-value 0.

    Raises:
        ValueError: Shapes differ, there are no counts, or the probabilities do not add up to 1.

    Source: Sokal and Rohlf, Biometry, 4th ed., section 17.2; moments as in Koehler and Larntz, J. Am. Stat.
    Assoc. 75, 336 (1980).
    """
    from scipy import stats

    probabilities = _checked(observed, probabilities)
    shots = int(observed.sum())
    if observed[probabilities == 0].any():
        return Verdict(math.inf, 0, 0.0)
    seen, expected = _pooled(observed, probabilities * shots)
    cells = len(expected)
    if cells == 1:
        return Verdict(0.0, 0, 1.0)
    some = seen > 0
    statistic = max(2.0 * float((seen[some] * np.log(seen[some] / expected[some])).sum()), 0.0)
    mean, variance = _moments(expected)
    p_value = stats.chi2.sf(statistic * 2 * mean / variance, 2 * mean**2 / variance)
    return Verdict(statistic, cells - 1, float(p_value))


def _moments(expected: Floats) -> tuple[float, float]:
    """Mean and variance of G over cells of these expectations.

    A multinomial is a set of Poisson numbers whose sum is known: G is the sum of the cells' deviances less the
    deviance of the total, whose mean is 1 and whose variance is 2; what depends linearly on the total goes too.
    """
    from scipy import special, stats

    small = expected[expected < _ASYMPTOTIC]
    large = expected[expected >= _ASYMPTOTIC]
    mean = float((1 + 1 / (6 * large)).sum()) - 1.0
    variance = float((2 * (1 + 1 / (6 * large)) ** 2).sum()) - 2.0
    covariance = 0.0
    for some in np.array_split(small, 1 + small.size // 4096):
        number = np.arange(int(_ASYMPTOTIC + 12 * math.sqrt(_ASYMPTOTIC)))[:, None]
        weight = stats.poisson.pmf(number, some)
        deviance = 2 * (special.xlogy(number, number / some) - number + some)
        means = (weight * deviance).sum(axis=0)
        mean += float(means.sum())
        variance += float((weight * (deviance - means) ** 2).sum())
        covariance += float((weight * (deviance - means) * (number - some)).sum())
    return mean, variance - covariance**2 / float(expected.sum())


def _checked(observed: Integers, probabilities: Floats) -> Floats:
    if observed.shape != probabilities.shape or not observed.sum():
        raise ValueError(
            f"{int(observed.sum())} counts of shape {observed.shape} for probabilities of shape {probabilities.shape}"
        )
    total = float(probabilities.sum())
    if not abs(total - 1) < 1e-6:
        raise ValueError(f"the probabilities add up to {total}")
    return np.where(probabilities < IMPOSSIBLE, 0.0, probabilities) / total


def _pooled(observed: Integers, expected: Floats) -> tuple[Floats, Floats]:
    """Cells of an expectation of at least 5 each; how they are made depends on the expectations alone."""
    order = np.argsort(-expected, kind="stable")
    order = order[expected[order] > 0]
    seen, due = observed[order].astype(np.float64), expected[order]
    alone = int(np.searchsorted(-due, -LEAST_EXPECTED, side="right"))
    sums = np.cumsum(due[alone:])
    starts, reached = [], 0.0
    while sums.size and sums[-1] - reached >= LEAST_EXPECTED:
        starts.append(int(np.searchsorted(sums, reached, side="right")))
        reached = float(sums[np.searchsorted(sums, reached + LEAST_EXPECTED)])
    cuts = [*range(alone), *(alone + start for start in starts)] or [0]
    return np.add.reduceat(seen, cuts), np.add.reduceat(due, cuts)


def permutation_test(first: Integers, second: Integers, *, seed: int, permutations: int = 9_999) -> Verdict:
    """Test whether two samples come from one distribution, whatever it is.

    All shots are dealt anew to two samples of the old sizes; the statistic is the two-sample chi-square.

    Args:
        first: Counts, shape (k,).
        second: Counts over the same cells.
        seed: Of the dealing.
        permutations: The p-value is never below 1 / (permutations + 1).

    Raises:
        ValueError: Shapes differ, or one sample is empty.

    Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., chapter 3; the p-value as
    in Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 39 (2010).
    """
    sizes = int(first.sum()), int(second.sum())
    if first.shape != second.shape or not all(sizes):
        raise ValueError(f"samples of {sizes} shots over {first.shape} and {second.shape} cells")
    pooled = first + second
    seen = pooled > 0
    pooled, own = pooled[seen], first[seen]
    share = sizes[0] / sum(sizes)
    weight = 1.0 / (pooled * share * (1.0 - share))

    def chi_square(samples: Integers) -> Floats:
        result: Floats = ((samples - pooled * share) ** 2 * weight).sum(axis=-1)
        return result

    statistic = float(chi_square(own))
    generator = np.random.default_rng(seed)
    at_least = 0
    for number in _batches(permutations, pooled.size):
        dealt = generator.multivariate_hypergeometric(pooled, sizes[0], size=number, method="marginals")
        at_least += int((chi_square(dealt) >= statistic * (1 - 1e-12)).sum())
    return Verdict(statistic, pooled.size - 1, (1 + at_least) / (1 + permutations))


def _batches(total: int, cells: int) -> Iterator[int]:
    most = max(1, _CELLS_AT_ONCE // max(cells, 1))
    for start in range(0, total, most):
        yield min(most, total - start)


def total_variation(
    observed: Integers, probabilities: Floats, *, seed: int, level: float = 0.99, draws: int = 1000
) -> Distance:
    """Half the sum of absolute differences, from 0 to 1, with its null quantile.

    Args:
        observed: Counts, shape (k,).
        probabilities: Shape (k,), sum 1.
        seed: Of the simulation under the reference.
        level: Of the quantile.
        draws: Simulated samples.
    """

    def distance(frequencies: Floats, truth: Floats) -> Floats:
        result: Floats = np.abs(frequencies - truth).sum(axis=-1) / 2
        return result

    return _distance(distance, observed, probabilities, seed, level, draws)


def hellinger(
    observed: Integers, probabilities: Floats, *, seed: int, level: float = 0.99, draws: int = 1000
) -> Distance:
    """Square root of one less the sum of sqrt(p q), from 0 to 1, with its null quantile; see `total_variation`."""

    def distance(frequencies: Floats, truth: Floats) -> Floats:
        overlap = np.sqrt(frequencies * truth).sum(axis=-1)
        result: Floats = np.sqrt(np.clip(1.0 - overlap, 0.0, 1.0))
        return result

    return _distance(distance, observed, probabilities, seed, level, draws)


def _distance(
    distance: Callable[[Floats, Floats], Floats],
    observed: Integers,
    probabilities: Floats,
    seed: int,
    level: float,
    draws: int,
) -> Distance:
    probabilities = _checked(observed, probabilities)
    cells = (probabilities > 0) | (observed > 0)
    truth, shots = probabilities[cells], int(observed.sum())
    generator = np.random.default_rng(seed)
    null = np.concatenate(
        [
            distance(generator.multinomial(shots, truth, size=number) / shots, truth)
            for number in _batches(draws, truth.size)
        ]
    )
    value = float(distance(observed[cells] / shots, truth))
    return Distance(value, float(np.quantile(null, level)), level)


def choose_bits(width: int, size: int, number: int, *, seed: int) -> tuple[tuple[int, ...], ...]:
    """Different sets of bits to look at, chosen before there are any counts.

    Args:
        width: Bits there are.
        size: Bits in each set.
        number: Sets, or as many as there are.
        seed: Of the choice.
    """
    generator = np.random.default_rng(seed)
    chosen: dict[tuple[int, ...], None] = {}
    while len(chosen) < min(number, math.comb(width, size)):
        bits = generator.choice(width, size=size, replace=False)
        chosen.setdefault(tuple(sorted(int(bit) for bit in bits)))
    return tuple(chosen)


def marginal_probabilities(probabilities: Floats, bits: Sequence[int]) -> Floats:
    """Distribution of some bits, shape (2^len(bits),); bits[0] is its bit 0.

    Args:
        probabilities: Over all bits, shape (2^n,).
        bits: Different ones below n.
    """
    place = np.arange(probabilities.size)
    key = np.zeros_like(place)
    for position, bit in enumerate(bits):
        key |= ((place >> bit) & 1) << position
    return np.bincount(key, weights=probabilities, minlength=2 ** len(bits)).astype(np.float64)


def marginal_counts(counts: Mapping[str, int], bits: Sequence[int]) -> Integers:
    """Counts of some bits, of outcomes however wide, shape (2^len(bits),); bits[0] is its bit 0."""
    table = np.zeros(2 ** len(bits), dtype=np.int64)
    for outcome, number in counts.items():
        word = outcome.replace(" ", "")
        table[sum((word[-1 - bit] == "1") << position for position, bit in enumerate(bits))] += number
    return table


def odd_probability(probabilities: Floats, bits: Sequence[int]) -> float:
    """Probability that an odd number of these bits is 1.

    Args:
        probabilities: Over all bits, shape (2^n,).
        bits: Different ones below n.
    """
    mask = sum(1 << bit for bit in bits)
    odd = np.bitwise_count(np.arange(probabilities.size) & mask) % 2 == 1
    return float(probabilities[odd].sum())


def parity_test(counts: Mapping[str, int], bits: Sequence[int], odd: float) -> Verdict:
    """Test how often an odd number of bits is 1, by the exact binomial law, two-sided.

    Args:
        counts: Of outcomes however wide.
        bits: Whose parity.
        odd: Its probability to be odd.
    """
    from scipy import stats

    shots = sum(counts.values())
    seen = sum(
        number
        for outcome, number in counts.items()
        if sum(outcome.replace(" ", "")[-1 - bit] == "1" for bit in bits) % 2
    )
    odd = 0.0 if odd < IMPOSSIBLE else min(odd, 1.0)
    return Verdict(abs(seen - shots * odd), 0, float(stats.binomtest(seen, shots, odd).pvalue))


def linear_cross_entropy(observed: Integers, probabilities: Floats) -> CrossEntropy:
    """2^n times the mean probability of the outcomes, less 1.

    Args:
        observed: Counts, shape (2^n,).
        probabilities: Exact ones, shape (2^n,).

    Source: Arute et al., Nature 574, 505 (2019), supplement IV; mean and variance of perfect samples by
    definition.
    """
    from scipy import stats

    probabilities = _checked(observed, probabilities)
    cells, shots = probabilities.size, int(observed.sum())
    value = cells * float((observed * probabilities).sum()) / shots - 1.0
    mean = float((probabilities**2).sum())
    variance = max(float((probabilities**3).sum()) - mean**2, 0.0)
    expected, error = cells * mean - 1.0, cells * math.sqrt(variance / shots)
    deviation = abs(value - expected)
    if deviation <= 1e-9 * (
        1.0 + abs(expected)
    ):  # a flat distribution, on which every outcome scores the same
        return CrossEntropy(value, expected, error, 1.0)
    return CrossEntropy(value, expected, error, float(2 * stats.norm.sf(deviation / error)) if error else 0.0)


def any_of(p_values: Sequence[float]) -> float:
    """The p-value of several tests of one thing taken together, however they depend on each other.

    Source: Bonferroni's inequality.
    """
    return min(1.0, len(p_values) * min(p_values))


def bound(tests: int, false_alarm: float = FALSE_ALARM) -> float:
    """The p-value below which one test of a suite fails, so that the suite fails falsely as rarely as stated.

    Source: Bonferroni's inequality.
    """
    return false_alarm / tests


def _bits(outcome: str, width: int) -> str:
    word = outcome.replace(" ", "")
    if len(word) != width:
        raise ValueError(f"outcome {outcome!r} has {len(word)} bits, not {width}")
    return word
