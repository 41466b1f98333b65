"""What is wrong with a request is said at the door: the thing, the limit and the way out."""

import math
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparsePauliOp

from circuits.runnable import bit_of_variable, check_pub
from qurable.contracts.problems import MaxCut, Qubo
from qurable.contracts.pubs import EstimatePub, SamplePub, broadcast
from qurable.errors import RequestRejected
from qurable.requests import as_bindings, as_circuit, as_observables, estimate, sample
from tests.circuits.running import parse
from tests.circuits_at_hand import BELL


def turning(*, measured: bool = True) -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="turning")
    circuit.ry(Parameter("theta"), 0)
    circuit.rx(Parameter("phi"), 1)
    if measured:
        circuit.measure_all()
    return circuit


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda: sample(BELL, shots=0), "shots: Input should be greater than or equal to 1"),
        (lambda: sample(BELL, shots=-5), "shots: Input should be greater than or equal to 1"),
        (lambda: sample(BELL, shots=10**9), "shots: Input should be less than or equal to 1000000"),
        (lambda: sample(), "pubs: Tuple should have at least 1 item"),
        (lambda: sample(BELL, seed=-1), "seed: Input should be greater than or equal to 0"),
        (lambda: sample(BELL, priority=9), "priority: Input should be less than or equal to 5"),
        (lambda: sample(BELL, project="Red Team"), "project: String should match pattern"),
        (lambda: sample(BELL, limits={"run": 0}), "limits.run: Input should be greater than 0 seconds"),
        (lambda: sample(BELL, user="Ada L"), "user: String should match pattern"),
        (
            lambda: sample(BELL, budget={"qpu_seconds": 0}),
            "budget.qpu_seconds: Input should be greater than 0",
        ),
        (lambda: sample(BELL, budget={"price": -5}), "budget.price: Input should be greater than 0"),
        (lambda: sample(BELL, budget={"hours": 5}), "budget.hours: Extra inputs are not permitted"),
        (lambda: sample(BELL, transpile={"layout": (1, 1)}), "names a physical qubit twice"),
        (lambda: sample(BELL, labels={str(at): "" for at in range(33)}), "at most 32 labels"),
        (lambda: sample((BELL, [0.5])), "values for an OpenQASM circuit are given by name"),
        (lambda: sample((QuantumCircuit(1), [0.5])), "values are given for a circuit without parameters"),
        (
            lambda: sample((turning(), [0.5])),
            r"bindings of shape (1,) do not end in the circuit's 2 parameters",
        ),
        (lambda: sample((turning(), [[1, 2], [3]])), "the bindings are a ragged array"),
        (
            lambda: sample((turning(), [math.nan, 1.0])),
            "parameter 'phi' is nan in binding 0; values must be finite",
        ),
        (lambda: sample((turning(), [[1, 2], [3, math.inf]])), "parameter 'theta' is inf in binding 1"),
        (lambda: sample((BELL, {"a": [1, 2], "b": 1})), "parameters have values of different shapes"),
        (lambda: sample((turning(), np.zeros((1001, 1000, 2)))), "split the sweep into several jobs"),
        (lambda: estimate((turning(), "ZQ")), "['Q'] in 'ZQ'; letters are"),
        (lambda: estimate((turning(), {"ZZ": 1j})), "observables are Hermitian, so it must be real"),
        (lambda: estimate((turning(), SparsePauliOp(["ZZ"], [2j]))), "observables are Hermitian"),
        (lambda: estimate((turning(), Pauli("iZZ"))), "is not Hermitian"),
        (
            lambda: estimate((turning(), {"ZZ": math.nan})),
            "the coefficient of 'ZZ' is nan; it must be finite",
        ),
        (lambda: estimate((turning(), {"ZZ": 1.0, "Z": 1.0})), "labels of different widths: [1, 2]"),
        (lambda: estimate((turning(), "0" * 13)), "at most 4096 are allowed: estimate fewer qubits at once"),
        (lambda: estimate(turning()), "it has no observables"),
        (
            lambda: estimate((turning(), "ZZ"), precision=-0.1),
            "precision: Input should be greater than or equal to 0",
        ),
        (lambda: estimate((turning(), "ZZ"), precision=1e-9), "0 asks a simulator for the exact value"),
        (
            lambda: estimate((turning(), ["ZZ", "XX"], np.zeros((3, 2)))),
            "bindings of shape (3,) and observables of shape (2,) do not broadcast",
        ),
        (lambda: sample("nothing/here.qasm"), "the circuit cannot be read"),
        (lambda: sample(5), "a circuit is OpenQASM text, a path, or a QuantumCircuit, not int"),
        (lambda: sample("OPENQASM 2.0;" + " " * 9_000_000), "or send it from the typed client as QPY"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(ask: Any, problem: str) -> None:
    """Before anything is sent, and in words of the request."""
    with pytest.raises(RequestRejected) as error:
        ask()

    assert problem in error.value.message
    assert len(error.value.message) < 1000


def sampled(circuit: QuantumCircuit, values: Any = None, shots: int = 10) -> SamplePub:
    return SamplePub(circuit=as_circuit(circuit), bindings=as_bindings(circuit, values), shots=shots)


def estimated(circuit: QuantumCircuit, observables: Any, values: Any = None, **options: Any) -> EstimatePub:
    return EstimatePub(
        circuit=as_circuit(circuit),
        bindings=as_bindings(circuit, values),
        observables=as_observables(observables),
        **options,
    )


def dynamic() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1, name="dynamic")
    circuit.measure(0, 0)
    circuit.h(0)
    return circuit


def wide() -> QuantumCircuit:
    circuit = QuantumCircuit(800, name="wide")
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize(
    ("pub", "circuit", "problem"),
    [
        (
            sampled(turning(measured=False), [1, 2]),
            turning(measured=False),
            "measures nothing, so there is nothing to count",
        ),
        (sampled(turning()), turning(), "parameters ['phi', 'theta'] have no value"),
        (
            sampled(turning(), {"theta": 1.0, "phy": 2.0}),
            turning(),
            "parameters ['phi'] have no value and it has no parameters ['phy']",
        ),
        (
            sampled(wide(), None, 1_000_000).model_copy(update={"shots": 100_000_000}),
            wide(),
            "are kept for one pub: split the job",
        ),
        (
            estimated(turning(), "ZZZ", [1, 2]),
            turning(),
            "has 2 qubits, observable 0 has 3: write one letter per qubit",
        ),
        (estimated(turning(), ["ZZ", "Z"], [1, 2]), turning(), "has 2 qubits, observable 1 has 1"),
        (
            estimated(dynamic(), "ZZ", precision=0.0),
            dynamic(),
            "has no exact value in one run: give a precision or shots",
        ),
    ],
)
def test_a_pub_that_does_not_fit_its_circuit_is_refused(
    pub: SamplePub | EstimatePub, circuit: QuantumCircuit, problem: str
) -> None:
    """Named by its number and its circuit."""
    parsed, _ = parse(circuit)
    parsed = parsed.model_copy(update={"dress": parsed.dress.model_copy(update={"name": circuit.name})})

    with pytest.raises(RequestRejected) as error:
        check_pub(3, pub, parsed)

    assert error.value.message.startswith(f"pub 3, circuit {circuit.name!r}")
    assert problem in error.value.message


def test_final_measurements_of_an_estimate_are_removed_with_a_warning() -> None:
    """Silently, nobody would know which circuit was meant."""
    (warning,) = check_pub(0, estimated(turning(), "ZZ", [1, 2]), parse(turning())[0])

    assert "its final measurements were removed" in warning
    assert check_pub(0, sampled(turning(), [1, 2]), parse(turning())[0]) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 1), (2,)), ((), (4,)), ((2, 1, 3), (5, 1)), ((0,), (1,)), ((1,), (0,)), ((2, 0), (1, 1))],
)
def test_shapes_broadcast_as_numpys(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """The rule of Qiskit's primitives."""
    assert broadcast(left, right) == np.broadcast_shapes(left, right)


@pytest.mark.parametrize(("left", "right"), [((3,), (2,)), ((0,), (2,)), ((2, 3), (3, 3))])
def test_shapes_that_do_not_broadcast_are_refused(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """By name of both."""
    with pytest.raises(ValueError, match="do not broadcast"):
        broadcast(left, right)


def test_variables_are_found_in_the_bits_their_qubits_are_measured_into() -> None:
    """Variable to qubit by the problem's map, qubit to bit by the circuit."""
    circuit = QuantumCircuit(4, 3)
    circuit.measure([0, 1, 3], [2, 0, 1])
    parsed, _ = parse(circuit)

    assert bit_of_variable(MaxCut(num_nodes=2, edges=((0, 1, 1.0),)), parsed) == (2, 0)
    assert bit_of_variable(Qubo(linear=(1, 1, 1), qubits=(3, 0, 1)), parsed) == (1, 2, 0)
    with pytest.raises(RequestRejected, match=r"does not measure qubits \[2\] at its end"):
        bit_of_variable(Qubo(linear=(1, 1), qubits=(2, 0)), parsed)
    with pytest.raises(RequestRejected, match="has 3 variables, its map names 2 qubits"):
        bit_of_variable(Qubo(linear=(1, 1, 1), qubits=(2, 0)), parsed)
