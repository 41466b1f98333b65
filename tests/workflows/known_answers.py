"""Circuits whose answers are known exactly, and when a measured answer agrees with them.

The emulator draws a fresh seed for every job, so seeds are not fixed: each comparison has its share of a family-wise
false alarm of 10^-3. Bit order: the rightmost character of a bitstring is bit 0 of its register.
"""

from typing import Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, Statevector
from scipy import stats

from circuits.statistics import FALSE_ALARM, histogram
from qurable.contracts.results import EstimateResult, SampleResult

ASSERTIONS = 200
"""More than there are comparisons in the tests of paid results."""

BOUND = FALSE_ALARM / ASSERTIONS
Z_BOUND = float(stats.norm.isf(BOUND / 2))


def turned() -> QuantumCircuit:
    """Three qubits, two angles and two registers of unequal length, none of them measured straight across."""
    qubits = QuantumRegister(3, "reactor")
    left, right = ClassicalRegister(2, "left"), ClassicalRegister(1, "right")
    first, second = Parameter("first"), Parameter("second")
    circuit = QuantumCircuit(qubits, left, right)
    circuit.ry(first, 0)
    circuit.cx(0, 1)
    circuit.rx(second, 2)
    circuit.cx(2, 1)
    circuit.ry(0.4, 1)
    circuit.measure(0, left[1])
    circuit.measure(1, right[0])
    circuit.measure(2, left[0])
    return circuit


ANGLES = np.linspace(0.2, 2.6, 12).reshape(2, 3, 2)
"""Values of `first` and `second`, shape (2, 3, 2)."""


def exact_probabilities(values: Any) -> Any:
    """Of the outcomes of `turned`, over three bits: `right`, then `left`, bit 0 of `left` last."""
    bare = turned().assign_parameters(list(values)).remove_final_measurements(inplace=False)
    return Statevector(bare).probabilities([2, 0, 1])


def joint(result: SampleResult, index: int) -> Any:
    """Counts over all bits of an element, the last register leftmost."""
    return histogram(result.counts(index), 3)


def asymmetric() -> tuple[QuantumCircuit, list[SparsePauliOp]]:
    """Four qubits in unlike states, and observables whose value tells every qubit from every other."""
    angle = Parameter("angle")
    circuit = QuantumCircuit(4)
    circuit.ry(angle, 0)
    circuit.ry(0.5, 1)
    circuit.cx(0, 1)
    circuit.rx(1.1, 2)
    circuit.cx(1, 2)
    circuit.ry(2.0, 3)
    observables = [
        SparsePauliOp.from_list([("IIIZ", 1.0), ("IIZI", 0.5), ("IZII", 0.25), ("ZIII", -0.7)]),
        SparsePauliOp("IZZX"),
        SparsePauliOp("ZIXI", -2.0),
    ]
    return circuit, observables


def exact_values(circuit: QuantumCircuit, observables: Any, values: Any) -> Any:
    """Of each observable at each angle, shape (angles, observables)."""
    states = [Statevector(circuit.assign_parameters([value])) for value in values]
    return np.array([[state.expectation_value(one).real for one in observables] for state in states])


def assert_agrees(result: Any, exact: Any, least: float = 0.0) -> None:
    """Within the standard errors that the result itself names, or `least` where these are those of a fit alone."""
    assert isinstance(result, EstimateResult)
    evs, stds = result.evs.to_numpy(), result.stds.to_numpy()
    assert evs.shape == stds.shape == exact.shape
    assert (stds > 0).all()
    assert (np.abs(evs - exact) < Z_BOUND * np.maximum(stds, least)).all(), (evs, stds, exact)
