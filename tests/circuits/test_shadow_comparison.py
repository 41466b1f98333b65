"""Two places are told apart where they differ, and are not where they do not: fixed seeds, p-values and no bare distance."""

import numpy as np
import pytest

from circuits.shadow_comparison import PUBS, compare, difference_of
from circuits.statistics import FALSE_ALARM
from qurable.contracts.arrays import BitArrays, FloatArray
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from qurable.contracts.shadows import PubDifference

SHOTS = 1_000


def _nothing(_: object) -> None:
    """What a child would emit."""


def _sampled(seed: int, noise: float, bits: int = 3) -> SampleResult:
    """GHZ outcomes, of which some are any."""
    generator = np.random.default_rng(seed)
    words = np.where(generator.random(SHOTS) < 0.5, 0, 2**bits - 1)
    words = np.where(generator.random(SHOTS) < noise, generator.integers(0, 2**bits, SHOTS), words)
    size = (bits + 7) // 8
    packed = words.astype(">u8").view(np.uint8).reshape(SHOTS, 8)[:, 8 - size :]
    array = BitArrays.pack(packed.tobytes(), shape=(), num_shots=SHOTS, num_bits=bits)
    return SampleResult(shots=SHOTS, registers=(RegisterResult(name="c", bits=array),))


def _estimated(values: list[float], errors: list[float]) -> EstimateResult:
    return EstimateResult(
        shape=(len(values),),
        evs=FloatArray(shape=(len(values),), values=tuple(values)),
        stds=FloatArray(shape=(len(errors),), values=tuple(errors)),
        error_origin=ErrorOrigin.SHOTS,
    )


@pytest.mark.parametrize("bits", [3, 12])
def test_counts_that_differ_are_told_from_counts_that_do_not(bits: int) -> None:
    """Narrow registers by all their outcomes, wide ones by parities."""
    alike = difference_of(0, _sampled(1, 0.1, bits), _sampled(2, 0.1, bits), seed=5)
    other = difference_of(0, _sampled(1, 0.0, bits), _sampled(2, 0.2, bits), seed=5)
    again = difference_of(0, _sampled(1, 0.0, bits), _sampled(2, 0.2, bits), seed=5)

    assert alike is not None
    assert other is not None
    assert alike.p_value > FALSE_ALARM
    assert other.p_value < 1e-6
    assert other == again
    assert (alike.distance is None) == (alike.null_quantile is None) == (bits > 8)


def test_values_differ_in_units_of_their_errors() -> None:
    """Both errors together; a value without one has no such unit."""
    found = difference_of(0, _estimated([1.0, 0.5], [0.03, 0.0]), _estimated([0.9, 0.5], [0.04, 0.0]), seed=5)

    assert found is not None
    first, second = found.deviations
    assert first == pytest.approx(-2.0)
    assert second is None
    assert found.p_value == pytest.approx(2 * 0.0455, rel=1e-2)


def test_a_difference_of_one_pub_is_one_of_the_job() -> None:
    """At the false alarm of all its pubs; those beyond the first are left out, and counted."""
    answers = [_sampled(number, 0.0).model_dump_json() for number in range(PUBS + 3)]
    shadows = [_sampled(100 + number, 0.0).model_dump_json() for number in range(PUBS + 3)]
    calm = compare({"answer": answers, "shadow": shadows, "seed": 5}, _nothing)
    shadows[7] = _sampled(7, 0.3).model_dump_json()
    shaken = compare({"answer": answers, "shadow": shadows, "seed": 5}, _nothing)
    p_values = [PubDifference.read(pub).p_value for pub in shaken["pubs"]]

    assert calm["p_value"] > FALSE_ALARM
    assert shaken["left_out"] == 3
    assert p_values.index(min(p_values)) == 7
    assert shaken["p_value"] == pytest.approx(PUBS * min(p_values))
    assert shaken["p_value"] < 1e-6


def test_a_circuit_without_bits_has_nothing_to_compare() -> None:
    """And that is no agreement."""
    empty = SampleResult(shots=SHOTS, registers=()).model_dump_json()

    assert compare({"answer": [empty], "shadow": [empty], "seed": 5}, _nothing) == {
        "pubs": [],
        "p_value": None,
        "left_out": 0,
    }
