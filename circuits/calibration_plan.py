"""Which calibration circuits measure readout errors, and how often each runs.

Qubit number i of a calibration is prepared in bit l of i by circuit 2 l, and in the opposite by circuit 2 l + 1: each is
prepared as often in 0 as in 1, and no two qubits always alike. The number of circuits grows with the logarithm of the
number of qubits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MOST_COPIES = 20
"""Times that a circuit runs with the shots of the job's own pubs; beyond, a provider's job of its own is cheaper."""


@dataclass(frozen=True)
class Runs:
    """How calibration circuits run.

    Attributes:
        circuits: How many there are.
        copies: How often each runs.
        shots: Each time.
    """

    circuits: int
    copies: int
    shots: int

    @property
    def per_qubit(self) -> int:
        """Times that each qubit is prepared."""
        return self.circuits * self.copies * self.shots


def patterns(qubits: int) -> list[list[int]]:
    """For each circuit, the bit that every qubit is prepared in."""
    digits = max(1, math.ceil(math.log2(qubits)))
    return [
        [((number >> digit) & 1) ^ opposite for number in range(qubits)]
        for digit in range(digits)
        for opposite in (0, 1)
    ]


def runs_for(qubits: int, wanted: int, own_shots: int, *, at_provider: bool) -> Runs:
    """How often to run them, for each qubit to be prepared at least so many times.

    Args:
        qubits: That are calibrated.
        wanted: Times that each is to be prepared.
        own_shots: Of the job's own pubs: a provider's job has one number of shots.
        at_provider: Whether there are such jobs. A simulator takes any number of shots, and several runs of one circuit
            with neighbouring seeds would share their random numbers.
    """
    circuits = len(patterns(qubits))
    each = math.ceil(wanted / circuits)
    if at_provider and own_shots <= each <= _MOST_COPIES * own_shots:
        return Runs(circuits, math.ceil(each / own_shots), own_shots)
    return Runs(circuits, 1, each)


def errors_from(
    qubits: Sequence[int], outcomes: Sequence[npt.NDArray[np.uint8]]
) -> dict[int, tuple[float, float]]:
    """By qubit, how often 1 was read after preparing 0, and 0 after preparing 1.

    Args:
        qubits: Physical, in the order in which the circuits read them: number i into classical bit i.
        outcomes: For each circuit, packed as in pieces, shape (shots, bytes).
    """
    prepared = patterns(len(qubits))
    wrong, times = np.zeros((2, len(qubits))), np.zeros((2, len(qubits)))
    for pattern, packed in zip(prepared, outcomes, strict=True):
        bits = np.unpackbits(packed[:, ::-1], axis=1, bitorder="little")[:, : len(qubits)]
        for at, bit in enumerate(pattern):
            wrong[bit, at] += np.count_nonzero(bits[:, at] != bit)
            times[bit, at] += len(bits)
    rates = wrong / times
    return {qubit: (float(rates[0, at]), float(rates[1, at])) for at, qubit in enumerate(qubits)}
