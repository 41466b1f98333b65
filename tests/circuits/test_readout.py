"""Counts are corrected for the readout errors of the qubits they were read from, and for no others.

Bit order: the rightmost character of an outcome is bit 0.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from scipy import stats

from circuits.parse import dump_qpy
from circuits.readout import bits_of_words, measured_qubits, readout_errors, refuse_unreadable
from fallback.solvers.protocol import absent
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.circuits import Register
from qurable.contracts.targets import TargetDocument, TargetOperation
from qurable.errors import RequestRejected
from tests.circuits.running import parse

needs_m3 = pytest.mark.skipif(bool(absent(["mthree"])), reason="mthree has no wheel for this Python")

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=240.0)
_FALSE_ALARM = 1e-3
"""Of all values of a test together, were the seeds not fixed."""

_SHOTS = 20_000
_PLACES = (5, 2, 6, 0)
"""Physical qubit of bits 0 to 3."""

_ERRORS = {5: (0.02, 0.05), 2: (0.15, 0.25), 6: (0.01, 0.03), 0: (0.04, 0.10)}
_GHZ = {"0000": 0.5, "1111": 0.5}

Vector = npt.NDArray[np.float64]


def _product(ones: tuple[float, ...]) -> dict[str, float]:
    """Independent bits, each 1 with its probability, bit 0 first."""
    words = [format(number, f"0{len(ones)}b") for number in range(2 ** len(ones))]
    return {
        word: math.prod(one if bit == "1" else 1 - one for bit, one in zip(reversed(word), ones, strict=True))
        for word in words
    }


_STATES = {"ghz": _GHZ, "biased": _product((0.9, 0.2, 0.5, 0.7))}


def _read(truth: dict[str, float], seed: int, shots: int = _SHOTS) -> dict[str, int]:
    """Counts of a state that is read with `_ERRORS`, drawn from their exact law."""
    words = list(_product((0.5,) * 4))
    chances = [
        sum(
            weight
            * math.prod(_chance(place, int(was), int(reads)) for place, was, reads in _bits(right, word))
            for right, weight in truth.items()
        )
        for word in words
    ]
    drawn = np.random.default_rng(seed).multinomial(shots, chances)
    return {word: int(count) for word, count in zip(words, drawn, strict=True) if count}


def _bits(right: str, word: str) -> Any:
    return zip(_PLACES, reversed(right), reversed(word), strict=True)


def _chance(place: int, was: int, reads: int) -> float:
    wrong = _ERRORS[place][was]
    return wrong if was != reads else 1 - wrong


def _isa(places: tuple[int, ...] = _PLACES) -> bytes:
    circuit = QuantumCircuit(7, len(places))
    for bit, place in enumerate(places):
        circuit.measure(place, bit)
    return dump_qpy(circuit)


async def _mitigated(pool: ChildPool, *counts: dict[str, int], **payload: Any) -> dict[str, Any]:
    given = {"isa": _isa(), "errors": _ERRORS, "bits": [3, 2, 1, 0], "counts": list(counts), **payload}
    answer: dict[str, Any] = await pool.call("circuits.readout:mitigate", given, _LIMITS)
    return answer


def _parities(weights: dict[str, float]) -> Vector:
    """Means of the parities of all sets of bits but the empty one: values in [-1, 1]."""
    return np.array(
        [
            sum(weight * (-1) ** (int(word, 2) & mask).bit_count() for word, weight in weights.items())
            for mask in range(1, 16)
        ]
    )


def _worst(answer: dict[str, Any], truth: dict[str, float]) -> float:
    """The largest distance of a parity from the truth, in bounds on its standard error."""
    bound = math.sqrt(answer["overheads"][0] / _SHOTS)
    return float(np.abs(_parities(answer["weights"][0]) - _parities(truth)).max() / bound)


@needs_m3
@pytest.mark.parametrize("state", _STATES)
async def test_mitigated_weights_are_the_truth_within_their_error(pool: ChildPool, state: str) -> None:
    """By the qubits that were read; with the layout the other way round they are not, and neither are the counts."""
    truth, counts = _STATES[state], _read(_STATES[state], seed=11)
    allowed = stats.norm.isf(_FALSE_ALARM / (2 * 15))
    right = await _mitigated(pool, counts)
    wrong = await _mitigated(pool, counts, isa=_isa(_PLACES[::-1]))
    raw = {"weights": [{word: count / _SHOTS for word, count in counts.items()}], "overheads": [1.0]}

    assert _worst(right, truth) < allowed
    assert _worst(wrong, truth) > allowed
    assert _worst(raw, truth) > allowed
    assert right["qubits"] == dict(enumerate(_PLACES))
    assert right["weights"][0].keys() == counts.keys()
    assert math.fsum(right["weights"][0].values()) == pytest.approx(1, abs=1e-5)
    assert min(right["overheads"]) > 1


@needs_m3
async def test_weights_below_zero_stay_and_every_element_has_its_own(pool: ChildPool) -> None:
    """What never happens is weighed 0 in the mean, so about half of such outcomes come out below."""
    first, second = _read(_GHZ, seed=1), _read(_STATES["biased"], seed=2, shots=500)
    both = await _mitigated(pool, first, second)
    alone = await _mitigated(pool, second)

    assert min(both["weights"][0].values()) < 0
    assert both["weights"][1] == alone["weights"][0]
    assert both["overheads"][1] == alone["overheads"][0]


@needs_m3
async def test_a_qubit_without_a_usable_error_and_a_bit_that_nothing_writes_stay_as_they_were(
    pool: ChildPool,
) -> None:
    """Their bits keep the shares they had; two registers may hold one bit, and outcomes keep their spaces."""
    counts = _read(_STATES["biased"], seed=3)
    unwritten, twice = 4, 1
    words = {f"{word[2]} 0{word}": count for word, count in counts.items()}
    known = {place: errors for place, errors in _ERRORS.items() if place != 2}
    answer = await _mitigated(
        pool, words, errors=known, bits=[twice, unwritten, 3, 2, 1, 0], isa=_isa_with_a_spare_bit()
    )
    (weights,) = answer["weights"]

    def share(shares: dict[str, float], *, bit: int) -> float:
        return math.fsum(weight for word, weight in shares.items() if word[-1 - bit] == "1")

    before = {word: count / _SHOTS for word, count in words.items()}
    assert weights.keys() == words.keys()
    assert share(weights, bit=1) == pytest.approx(share(before, bit=1), abs=1e-5)
    assert abs(share(weights, bit=0) - 0.9) < abs(share(before, bit=0) - 0.9) / 2
    assert answer["left_out"] == [2]
    assert 4 not in answer["qubits"]


def _isa_with_a_spare_bit() -> bytes:
    circuit = QuantumCircuit(7, 5)
    for bit, place in enumerate(_PLACES):
        circuit.measure(place, bit)
    return dump_qpy(circuit)


def test_a_bit_is_of_the_qubit_it_was_read_from_whatever_moved_there_later() -> None:
    """The layout at the end names another one."""
    isa = QuantumCircuit(3, 2)
    isa.measure(0, 0)
    isa.swap(0, 2)
    isa.measure(0, 1)

    assert measured_qubits(isa) == {0: 0, 1: 0}


def test_characters_of_an_outcome_run_from_the_last_register_to_bit_0_of_the_first() -> None:
    """As `counts()` writes them."""
    registers = [Register(name="a", bits=(0, 1)), Register(name="b", bits=(3, 2))]

    assert bits_of_words(registers) == [2, 3, 1, 0]


def _device(**fields: Any) -> TargetDocument:
    return TargetDocument(
        num_qubits=4,
        operations=(TargetOperation(name="measure", qargs=((0,), (1,), (2,), (3,)), **fields),),
    )


def test_errors_are_the_devices_own_and_unusable_ones_are_left_out() -> None:
    """Both probabilities where it has them, else the mean for both; twirled measurements have the mean."""
    means = {"errors": (0.02, None, math.nan, 0.5)}
    both = _device(
        **means,
        prob_meas1_prep0=(0.01, 0.1, 0.2, 0.6),
        prob_meas0_prep1=(0.03, 0.7, math.nan, 0.5),
    )

    assert readout_errors(_device(**means)) == {0: (0.02, 0.02)}
    assert readout_errors(both) == {0: (0.01, 0.03), 1: (0.1, 0.7)}
    assert readout_errors(both, symmetric=True)[1] == pytest.approx((0.4, 0.4))
    assert readout_errors(TargetDocument(operations=(TargetOperation(name="measure"),))) == {}


def _measuring(*, again: bool = False, into_one: bool = False) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(2, "c"))
    circuit.h(0)
    circuit.measure(0, 0)
    if again:
        circuit.x(0)
        circuit.measure(0, 1)
    circuit.measure(1, 0 if into_one else 1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        (_measuring(again=True), "measures or resets on its way"),
        (_measuring(into_one=True), "reads several qubits into one bit"),
    ],
)
def test_what_cannot_be_corrected_is_refused(circuit: QuantumCircuit, words: str) -> None:
    """With the reason, before anything is paid; a circuit that measures at its end is not."""
    refuse_unreadable(0, parse(_measuring())[0])
    with pytest.raises(RequestRejected, match=words):
        refuse_unreadable(3, parse(circuit)[0])
