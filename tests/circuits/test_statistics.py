"""The tests that judge counts alarm as rarely as they say, and do alarm where something is wrong."""

import math

import numpy as np
import pytest

from circuits.statistics import (
    any_of,
    bound,
    choose_bits,
    g_test,
    hellinger,
    histogram,
    linear_cross_entropy,
    marginal_counts,
    marginal_probabilities,
    odd_probability,
    parity_test,
    permutation_test,
    total_variation,
)


def random_distribution(bits: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of a random circuit: exponentially distributed probabilities (Porter and Thomas)."""
    weights = np.random.default_rng(seed).exponential(size=2**bits)
    distribution: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return distribution


def as_counts(table: np.ndarray[tuple[int], np.dtype[np.int64]], width: int) -> dict[str, int]:
    """A table as people have it."""
    return {format(at, f"0{width}b"): int(number) for at, number in enumerate(table) if number}


def false_alarms(p_values: list[float], level: float) -> float:
    return sum(value < level for value in p_values) / len(p_values)


def at_most(level: float, tests: int) -> float:
    """Five standard errors above a level."""
    return level + 5 * math.sqrt(level / tests)


@pytest.mark.parametrize(
    ("bits", "shots", "repetitions"), [(1, 100, 2000), (4, 1000, 2000), (8, 1000, 1000), (12, 4096, 120)]
)
def test_the_g_test_alarms_as_rarely_as_it_says(bits: int, shots: int, repetitions: int) -> None:
    """With many cells near an expectation of 5, the plain chi-square law would alarm three times too often."""
    truth = random_distribution(bits)
    samples = np.random.default_rng(2).multinomial(shots, truth, size=repetitions)

    p_values = [g_test(sample, truth).p_value for sample in samples]

    for level in (0.1, 0.05, 0.01):
        assert false_alarms(p_values, level) <= at_most(level, repetitions)
    assert bits == 1 or false_alarms(p_values, 0.1) >= 0.04


@pytest.mark.parametrize("error", [0.1, 0.2])
def test_the_g_test_sees_an_error_that_a_distance_cannot(error: float) -> None:
    """At 12 bits and 4,096 shots chance alone makes a total variation of 0.35."""
    truth, wrong = random_distribution(12), random_distribution(12, seed=9)
    mixed = (1 - error) * truth + error * wrong
    samples = np.random.default_rng(3).multinomial(4096, mixed, size=50)

    seen = [g_test(sample, truth).p_value < 1e-5 for sample in samples]
    distances = [total_variation(sample, truth, seed=1, draws=100) for sample in samples[:10]]

    assert sum(seen) >= (45 if error == 0.2 else 0)
    assert all(distance.value < 0.5 for distance in distances)


def test_one_impossible_outcome_is_enough() -> None:
    """What cannot happen has no expectation to be pooled into."""
    assert g_test(np.array([999, 1]), np.array([1.0, 0.0])).p_value == 0.0
    assert g_test(np.array([1000, 0]), np.array([1.0, 0.0])).p_value == 1.0


@pytest.mark.parametrize(
    ("observed", "probabilities", "problem"),
    [
        ([1, 2], [0.5, 0.25, 0.25], "3 counts of shape"),
        ([0, 0], [0.5, 0.5], "0 counts of shape"),
        ([1, 2], [0.5, 0.4], "the probabilities add up to 0.9"),
        ([1, 2], [math.nan, 1.0], "the probabilities add up to nan"),
    ],
)
def test_nonsense_is_refused(observed: list[int], probabilities: list[float], problem: str) -> None:
    """A test of the wrong numbers would pass as easily as not."""
    with pytest.raises(ValueError, match=problem):
        g_test(np.array(observed), np.array(probabilities))


def test_the_permutation_test_alarms_as_rarely_as_it_says() -> None:
    """Whatever the distribution, and however few the counts."""
    truth, generator = random_distribution(5), np.random.default_rng(4)
    p_values = [
        permutation_test(
            generator.multinomial(100, truth),
            generator.multinomial(300, truth),
            seed=number,
            permutations=199,
        ).p_value
        for number in range(1000)
    ]

    assert 0.02 <= false_alarms(p_values, 0.0501) <= at_most(0.05, 1000)


def test_the_permutation_test_sees_another_distribution() -> None:
    """Its p-value reaches down to one in all dealings and no further."""
    truth, other = random_distribution(5), random_distribution(5, seed=2)
    generator = np.random.default_rng(5)

    verdict = permutation_test(
        generator.multinomial(2000, truth), generator.multinomial(2000, other), seed=1, permutations=999
    )

    assert verdict.p_value == pytest.approx(1 / 1000)


def test_equal_samples_are_equal() -> None:
    """A single outcome leaves nothing to deal."""
    assert permutation_test(np.array([0, 50]), np.array([0, 70]), seed=1, permutations=99).p_value == 1.0


@pytest.mark.parametrize("measure", [total_variation, hellinger])
def test_a_distance_lies_below_its_null_quantile_as_often_as_stated(measure: object) -> None:
    """The quantile is what makes a distance readable."""
    assert callable(measure)
    truth = random_distribution(6)
    samples = np.random.default_rng(6).multinomial(500, truth, size=150)

    found = [measure(sample, truth, seed=1, level=0.9) for sample in samples]

    below = sum(distance.value <= distance.null_quantile for distance in found) / len(found)
    assert 0.78 <= below <= 0.98


def test_the_null_distance_of_a_random_circuit_is_large() -> None:
    """Perfect sampling of 12 random qubits with 1,000 shots lies about 0.6 from the truth by either measure."""
    truth = random_distribution(12)
    sample = np.random.default_rng(7).multinomial(1000, truth)

    assert 0.55 < total_variation(sample, truth, seed=1).value < 0.7
    assert 0.55 < hellinger(sample, truth, seed=1).value < 0.7


def test_cross_entropy_tells_uniform_noise_from_the_circuit() -> None:
    """0 for noise, the sum of squares for perfect samples."""
    truth = random_distribution(12)
    generator = np.random.default_rng(8)

    perfect = linear_cross_entropy(generator.multinomial(4096, truth), truth)
    noise = linear_cross_entropy(generator.multinomial(4096, np.full(4096, 1 / 4096)), truth)

    assert perfect.p_value > 1e-3
    assert perfect.expected == pytest.approx(1.0, abs=0.1)
    assert abs(noise.value) < 0.1
    assert noise.p_value < 1e-10


def test_cross_entropy_of_a_flat_distribution_says_nothing() -> None:
    """Every outcome scores the same, so no error is to be divided by."""
    flat = np.full(8, 1 / 8)

    assert linear_cross_entropy(np.array([8, 0, 0, 0, 0, 0, 0, 0]), flat).p_value == 1.0


def test_marginals_of_counts_are_counts_of_marginals() -> None:
    """In the bit order stated: bit 0 is the rightmost character."""
    truth = random_distribution(5)
    table = np.random.default_rng(9).multinomial(1000, truth)
    bits = (3, 0)

    found = marginal_counts(as_counts(table, 5), bits)

    assert found.tolist() == [
        sum(int(table[at]) for at in range(32) if (at >> 3 & 1, at & 1) == (high, low))
        for low, high in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert marginal_probabilities(truth, bits).sum() == pytest.approx(1.0)
    assert marginal_probabilities(truth, (4,))[1] == pytest.approx(truth[16:].sum())


def test_a_parity_is_tested_by_the_exact_law() -> None:
    """It looks at outcomes of any width, so 200 qubits can be judged."""
    even = {"1" * 200: 600, "0" * 200: 400}

    assert parity_test(even, range(200), 0.0).p_value == 1.0
    assert parity_test(even, (0, 199, 5), 0.6).p_value > 0.9
    assert parity_test(even, (0, 199, 5), 0.4).p_value < 1e-10
    assert odd_probability(np.array([0.1, 0.2, 0.3, 0.4]), (0, 1)) == pytest.approx(0.5)


def test_bits_are_chosen_before_there_are_counts() -> None:
    """The same every time, all different, and no more than there are."""
    assert choose_bits(10, 3, 5, seed=1) == choose_bits(10, 3, 5, seed=1)
    assert len(set(choose_bits(10, 3, 5, seed=1))) == 5
    assert sorted(choose_bits(3, 2, 10, seed=1)) == [(0, 1), (0, 2), (1, 2)]


def test_counts_become_a_table_in_bit_order() -> None:
    """Spaces between registers are left out; another width is an error."""
    assert histogram({"1 0": 3, "01": 2}, 2).tolist() == [0, 2, 3, 0]
    assert histogram({"": 7}, 0).tolist() == [7]
    with pytest.raises(ValueError, match="has 3 bits, not 2"):
        histogram({"101": 1}, 2)
    with pytest.raises(ValueError, match="take marginals"):
        histogram({}, 29)


def test_bounds_share_the_false_alarm() -> None:
    """Bonferroni's inequality, both ways."""
    assert bound(50) == pytest.approx(2e-5)
    assert any_of([0.5, 0.01]) == 0.02
    assert any_of([0.9, 0.8]) == 1.0
