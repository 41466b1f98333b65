"""Circuits for the classical solvers, and what is true of them."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.quantum_info import random_clifford as _random_clifford

Floats = npt.NDArray[np.float64]


def random_clifford(qubits: int, seed: int) -> QuantumCircuit:
    """A Clifford unitary, drawn evenly from all of them; measures nothing."""
    circuit: QuantumCircuit = _random_clifford(qubits, seed=seed).to_circuit()
    return circuit


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with everything measured."""
    whole = circuit.copy()
    whole.measure_all()
    return whole


def probabilities(circuit: QuantumCircuit) -> Floats:
    """Of every outcome of measuring all qubits of a unitary circuit, the rightmost bit qubit 0."""
    found: Floats = Statevector(circuit).probabilities()
    total: float = found.sum()
    return found / total


def counted(bits: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.int64]:
    """Packed outcomes of one binding as a histogram over 2^width cells."""
    words = [int.from_bytes(row.tobytes(), "big") for row in bits]
    return np.bincount(words, minlength=2**width).astype(np.int64)


def exact(circuit: QuantumCircuit, terms: dict[str, float]) -> float:
    """Expectation value of Pauli labels, the rightmost letter on qubit 0."""
    value: Any = Statevector(circuit).expectation_value(SparsePauliOp(list(terms), list(terms.values())))
    return float(value.real)


def brick(qubits: int, layers: int, seed: int, *, strength: float = 1.0) -> QuantumCircuit:
    """Layers of rotations and neighbours, not Clifford."""
    generator = np.random.default_rng(seed)
    circuit = QuantumCircuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.ry(float(generator.uniform(0, math.pi)), qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.rzz(strength * float(generator.uniform(0, math.pi / 2)), qubit, qubit + 1)
    return circuit


def ansatz(qubits: int) -> QuantumCircuit:
    """Three free angles, one of them used twice and halved."""
    a, b, c = Parameter("a"), Parameter("b"), Parameter("c")
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.rx(a, 0)
    circuit.rz(b, 1)
    circuit.ry(2 * c, qubits - 1)
    circuit.rzz(b, 0, qubits - 1)
    circuit.rx(a, 1)
    return circuit
