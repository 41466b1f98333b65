"""Feature maps, data and exact answers that tests of matrices share."""

from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, Statevector

Floats = npt.NDArray[np.float64]


def feature_map(columns: int = 2) -> QuantumCircuit:
    """Rotations, entanglers, and rotations by products of neighbours: no two orders of its parameters are the same."""
    x = ParameterVector("x", columns)
    circuit = QuantumCircuit(columns, name="map")
    for layer in range(2):
        for at in range(columns):
            circuit.h(at)
            circuit.p((at + 1) * x[at] + layer, at)
        for at in range(columns - 1):
            circuit.cx(at, at + 1)
            circuit.rz(x[at] * x[at + 1], at + 1)
            circuit.ry(0.3 * x[at], at)
    return circuit


def data(samples: int, columns: int = 2, seed: int = 7) -> Floats:
    """Samples that differ."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (samples, columns))


def states(circuit: QuantumCircuit, rows: Floats) -> Any:
    """The exact state of each sample, shape (samples, 2^n)."""
    return np.array([Statevector(circuit.assign_parameters(row)).data for row in rows])


def exact_kernel(circuit: QuantumCircuit, rows: Floats, others: Floats) -> Floats:
    """Overlaps from state vectors."""
    overlaps: Floats = np.abs(states(circuit, rows).conj() @ states(circuit, others).T) ** 2
    return overlaps


def exact_features(circuit: QuantumCircuit, labels: list[str], rows: Floats) -> Floats:
    """Expectation values from state vectors; the rightmost letter of a label acts on qubit 0."""
    bound = [Statevector(circuit.assign_parameters(row)) for row in rows]
    return np.array(
        [[state.expectation_value(SparsePauliOp(label)).real for label in labels] for state in bound]
    )
