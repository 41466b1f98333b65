"""How places differ, beside what chance makes of that."""

import random
from collections.abc import Sequence

import pytest

from circuits.comparison import compare, distances, pair_of
from circuits.drift import Sample
from qurable.contracts.arrays import BitArrays, FloatArray
from qurable.contracts.comparisons import PairComparison
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult


def sampled(outcomes: Sequence[int], bits: int) -> SampleResult:
    """Shots of one register."""
    width = (bits + 7) // 8
    raw = b"".join(outcome.to_bytes(width, "big") for outcome in outcomes)
    packed = BitArrays.pack(raw, shape=(), num_shots=len(outcomes), num_bits=bits)
    return SampleResult(shots=len(outcomes), registers=(RegisterResult(name="c", bits=packed),))


def drawn(seed: int, shots: int, bits: int) -> list[int]:
    generator = random.Random(seed)
    return [generator.randrange(2**bits) for _ in range(shots)]


def ghz(seed: int, shots: int, bits: int, flips: float = 0.0) -> list[int]:
    generator = random.Random(seed)
    outcomes = []
    for _ in range(shots):
        outcome = generator.choice((0, 2**bits - 1))
        for bit in range(bits):
            outcome ^= (generator.random() < flips) << bit
        outcomes.append(outcome)
    return outcomes


def between(here: SampleResult, there: SampleResult, pairs: int = 1) -> PairComparison:
    return pair_of(("here", "there"), [here], [there], seed=5, tables=8, pairs=pairs)


def test_chance_alone_stands_beside_the_distance() -> None:
    """A thousand shots of many outcomes are far apart though they come from one source: so does the expectation say."""
    pair = between(sampled(drawn(1, 1000, 10), 10), sampled(drawn(2, 1000, 10), 10))
    (pub,) = pair.pubs

    assert pub.total_variation is not None
    assert pub.hellinger is not None
    assert pub.total_variation.value > 0.4
    assert pub.total_variation.value < pub.total_variation.null_quantile
    assert pub.total_variation.expected == pytest.approx(pub.total_variation.value, abs=0.05)
    assert pub.hellinger.value < pub.hellinger.null_quantile
    assert pair.differ is False


def test_a_noisy_source_is_told_from_a_noiseless_one() -> None:
    """Power: two per cent of flipped bits show, on outcomes that are few although the register is wide."""
    pair = between(sampled(ghz(1, 2000, 20), 20), sampled(ghz(2, 2000, 20, flips=0.02), 20))
    (pub,) = pair.pubs

    assert pub.total_variation is not None
    assert pub.total_variation.value > pub.total_variation.null_quantile
    assert pair.differ is True


def test_where_nothing_differs_few_comparisons_find_a_difference() -> None:
    """The bound is a thousandth over all pairs: in 40 comparisons of equal sources one would be a chance of 1 in 75."""
    alarms = sum(
        bool(between(sampled(ghz(seed, 200, 2), 2), sampled(ghz(seed + 10_000, 200, 2), 2), pairs=3).differ)
        for seed in range(40)
    )

    assert alarms == 0


def test_a_quantile_is_passed_by_one_in_a_hundred() -> None:
    """The dealing gives the distance its own law: of 100 pairs of one source few are beyond the quantile."""
    beyond = 0
    for seed in range(100):
        here, there = (sampled(drawn(seed + shift, 100, 2), 2).counts() for shift in (0, 5_000))
        variation, _ = distances([Sample(2, here, there)], seed=seed)
        assert variation is not None
        beyond += variation.value > variation.null_quantile

    assert beyond <= 6  # binomial with 1 in 100: more has a probability of 1e-4


def test_too_many_different_outcomes_have_no_distance_but_a_test() -> None:
    """Their parities are tested all the same."""
    pair = between(sampled(drawn(1, 3000, 30), 30), sampled(drawn(2, 3000, 30), 30))
    (pub,) = pair.pubs

    assert (pub.total_variation, pub.hellinger) == (None, None)
    assert pair.differ is False
    assert "parities" in pub.looked_at


def estimated(values: Sequence[float], errors: Sequence[float]) -> EstimateResult:
    return EstimateResult(
        shape=(len(values),),
        evs=FloatArray(shape=(len(values),), values=tuple(values)),
        stds=FloatArray(shape=(len(errors),), values=tuple(errors)),
        error_origin=ErrorOrigin.SHOTS,
        shots=100,
    )


def test_values_are_compared_in_units_of_both_errors() -> None:
    """Three standard errors of 0.03 and 0.04 together are 0.15."""
    pair = pair_of(
        ("here", "there"),
        [estimated((0.5, 0.0), (0.03, 0.1))],
        [estimated((0.65, 0.0), (0.04, 0.1))],
        seed=1,
        tables=8,
        pairs=1,
    )
    (pub,) = pair.pubs

    assert pub.deviations == pytest.approx((3.0, 0.0))
    assert pub.largest == pytest.approx(0.15)
    assert pair.p_value == pytest.approx(2 * 0.0027, rel=0.01)


def test_every_pair_is_compared_and_one_without_results_says_so() -> None:
    """A solver that answered without a circuit stands beside the others, with nothing to compare."""
    result = sampled(ghz(1, 100, 2), 2).model_dump_json()
    pairs = [
        PairComparison.read(document)
        for document in compare(
            {"answers": [["a", [result]], ["b", [result]], ["solver", []]], "seed": 1}, lambda _: None
        )
    ]

    assert [pair.places for pair in pairs] == [("a", "b"), ("a", "solver"), ("b", "solver")]
    assert pairs[0].p_value == 1.0
    assert all("without running" in pair.missing for pair in pairs[1:])
