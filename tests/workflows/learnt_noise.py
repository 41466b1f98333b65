"""The noise of a layer of the emulated device, as a learner with endless patience would find it.

A twirled layer has Pauli noise: of its channel's Pauli transfer matrix only the diagonal is left, f_b for Pauli b, and
f_b = exp(-2 sum of the rates of all Paulis that do not commute with b).
Source: van den Berg, Minev, Kandala, Temme, Nature Physics 19, 1116 (2023).
"""

import itertools

import numpy as np
from qiskit.quantum_info import PTM, Pauli, SuperOp

from emulator.execution_devices import find_device
from isolation.device_noise import noise_model
from qurable.contracts.ibm import LayerNoise

_LABELS = ["".join(letters) for letters in itertools.product("IXYZ", repeat=2)][1:]
"""Rightmost letter on the first qubit of the pair."""

_DRESSING = 2
"""Gates `sx` on each qubit, by which a layer's Paulis are put in."""


def learnt(device: str, pair: tuple[int, int]) -> LayerNoise:
    """Noise of one dressed cx on a pair of qubits of a device."""
    errors = noise_model(find_device(device).document, pair, thermal_relaxation=True)._local_quantum_errors
    lowest, highest = (SuperOp(errors["sx"][(qubit,)]).power(_DRESSING) for qubit in (0, 1))
    channel = highest.tensor(lowest).compose(SuperOp(errors["cx"][(0, 1)]))
    fidelities = np.real(np.diag(PTM(channel).data))[1:]
    against = [[not Pauli(one).commutes(Pauli(other)) for other in _LABELS] for one in _LABELS]
    rates = np.linalg.solve(np.array(against, dtype=float), -np.log(fidelities) / 2)
    return LayerNoise(gates=(pair,), rates=tuple(map(_term, _LABELS, itertools.repeat(pair), rates)))


def _term(label: str, pair: tuple[int, int], rate: float) -> tuple[str, tuple[int, ...], float]:
    acted = [(letter, qubit) for letter, qubit in zip(label[::-1], pair, strict=True) if letter != "I"]
    return "".join(letter for letter, _ in acted), tuple(qubit for _, qubit in acted), max(0.0, float(rate))
