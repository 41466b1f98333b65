"""A circuit of two halves for tests that cut, with the exact values of what is asked of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, Statevector

QUBITS = 4
HALF = 2
WANTED: list[Any] = [
    "ZIII",
    "IIIX",
    {"ZZZZ": 0.5, "IXXI": -1.0, "IIII": 0.25},
]
MARGINALS = ((3, 0),)


def two_halves(links: int = 1) -> QuantumCircuit:
    """Four qubits; gates between the halves, as many as asked, and no symmetry that would hide a swapped qubit."""
    circuit = QuantumCircuit(QUBITS, name="two_halves")
    for qubit in range(QUBITS):
        circuit.ry(0.4 + 0.5 * qubit, qubit)
    for link in range(links):
        circuit.cx(0, 1)
        circuit.cx(2, 3)
        circuit.rz(0.3 + link, 1)
        circuit.cx(1, 2)
        circuit.ry(0.7, 2)
        circuit.rx(0.2 + link, 3)
    return circuit


def exact_values(circuit: QuantumCircuit, wanted: Sequence[Any] = WANTED) -> list[float]:
    """Expectation values from the state vector."""
    state = Statevector(circuit)
    sums = [entry if isinstance(entry, Mapping) else {entry: 1.0} for entry in wanted]
    return [float(state.expectation_value(SparsePauliOp.from_list(list(each.items()))).real) for each in sums]


def exact_marginal(circuit: QuantumCircuit, qubits: Sequence[int]) -> dict[str, float]:
    """Probabilities by outcome; the rightmost character is the first qubit's."""
    found = Statevector(circuit).probabilities(list(qubits))
    return {format(at, f"0{len(qubits)}b"): float(value) for at, value in enumerate(found)}
