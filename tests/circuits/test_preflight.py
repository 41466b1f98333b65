"""What a look ahead finds in circuits that say nothing, and that it finds nothing in those that say something."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from circuits.parse import dump_qpy
from circuits.preflight import look_ahead
from tests.circuits.running import ignore, parse


def _look(circuit: QuantumCircuit, *rows: list[float]) -> tuple[str, list[str]]:
    found = look_ahead({"qpy": dump_qpy(parse(circuit)[1]), "values": list(rows)}, ignore)
    return found["how"], found["findings"]


def _ghz(width: int, angle: float = 0.0) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.h(0)
    for qubit in range(width - 1):
        circuit.cx(qubit, qubit + 1)
    if angle:
        circuit.rx(angle, 0)
    circuit.measure_all()
    return circuit


def _layers(width: int, depth: int) -> QuantumCircuit:
    random = np.random.default_rng(3)
    circuit = QuantumCircuit(width)
    for layer in range(depth):
        for qubit in range(width):
            circuit.ry(float(random.uniform(0.2, 2.9)), qubit)
        for qubit in range(layer % 2, width - 1, 2):
            circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize(
    ("circuit", "how"),
    [
        (_ghz(3), "stabilizers"),
        (_ghz(60), "stabilizers"),
        (_ghz(3, 0.3), "statevector"),
        (_layers(40, 3), "small twins of 8 of its 40 bits"),
        (_layers(40, 60), "small twins of 0 of its 40 bits"),
    ],
)
def test_circuits_that_say_something_are_left_in_peace(circuit: QuantumCircuit, how: str) -> None:
    """At any width; a warning that comes always is read by nobody."""
    simulated, findings = _look(circuit)

    assert how in simulated
    assert findings == []


@pytest.mark.parametrize(("width", "angle"), [(2, 0.0), (60, 0.0), (2, 0.7), (60, 0.7)])
def test_a_circuit_of_one_outcome_is_told_with_it(width: int, angle: float) -> None:
    """Undone on the way: everything is 0 but the first. Of a wide one no more is said than was looked at."""
    circuit = QuantumCircuit(width)
    circuit.x(0)
    for qubit in range(1, width):
        circuit.ry(angle, qubit)
        circuit.cx(qubit, qubit - 1)
        circuit.cx(qubit, qubit - 1)
        circuit.ry(-angle, qubit)
        circuit.barrier()
    circuit.measure_all()

    _, findings = _look(circuit)

    shown = 8 if angle and width > 8 else min(width, 32)
    assert [f"always {'1'.rjust(shown, '0')}:" in finding for finding in findings] == [True]


@pytest.mark.parametrize(("width", "angle"), [(3, 0.0), (40, 0.0), (3, 0.4)])
def test_an_answer_of_mere_coins_is_told(width: int, angle: float) -> None:
    """Phases alone are not seen in the computational basis: a turn back is missing before it is measured."""
    circuit = QuantumCircuit(width)
    circuit.h(range(width))
    if angle:
        circuit.rz(angle, range(width))
        circuit.rzz(angle, 0, 1)
    circuit.measure_all()

    _, findings = _look(circuit)

    assert [finding.startswith("without noise every outcome is equally likely") for finding in findings] == [
        True
    ]


def test_bits_and_qubits_that_were_forgotten_are_named() -> None:
    """A register that nothing is written to reads 0 for ever, on the best device too."""
    circuit = QuantumCircuit(3, 4)
    circuit.ry(0.4, 0)
    circuit.cx(0, 1)
    circuit.measure([0, 2], [0, 1])

    _, findings = _look(circuit)

    assert findings == [
        "nothing is ever written to its classical bits 2, 3",
        "it measures qubits 2, which no gate touches",
    ]


def test_values_that_look_or_act_wrong_are_told() -> None:
    """Degrees for radians; and parameters whose values change nothing that is read."""
    angle = Parameter("a")
    reads, misses = QuantumCircuit(1), QuantumCircuit(1)
    reads.ry(angle, 0)
    reads.measure_all()
    misses.ry(0.3, 0)
    misses.rz(angle, 0)
    misses.measure_all()

    assert _look(reads, [0.3], [1.2])[1] == []
    assert "degrees" in _look(reads, [90.0])[1][0]
    assert "same answer" in _look(misses, [0.3], [1.2])[1][0]


def test_what_branches_is_not_judged() -> None:
    """Nor is anything that would take long."""
    branching = QuantumCircuit(2, 2)
    branching.h(0)
    branching.measure(0, 0)
    with branching.if_test((branching.clbits[0], 1)):
        branching.x(1)
    branching.measure(1, 1)

    assert _look(branching) == ("nothing, as it branches or is long", [])
    assert _look(_layers(20, 400))[1] == []
