"""Circuits of the caller's own for problems of bits: what is measured at the end is the problem's assignment."""

from typing import Any

import numpy as np
import pytest
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit

from isolation.loops import end_loop
from qurable.contracts.problems import ProblemAnswer
from qurable.requests import as_circuit
from tests.isolation.test_loops import _prepared
from tests.variational_at_hand import three_regular


@pytest.mark.parametrize(
    "bits", [None, 0, 2], ids=["no register", "an empty one", "one that nothing is read into"]
)
def test_an_assignment_is_read_from_all_qubits_and_from_no_other_bits(bits: int | None) -> None:
    """Qubits 0, 2 and 4 turned to one side of the Mobius ladder of six nodes cut all of its edges."""
    circuit = QuantumCircuit(6)
    if bits is not None:
        circuit.add_register(ClassicalRegister(bits, "own"))
    circuit.rx(Parameter("t"), 1)
    circuit.x([0, 2, 4])
    own: dict[str, Any] = {
        "ansatz": None,
        "circuit": as_circuit(circuit),
        "optimiser": {"name": "cobyla"},
        "initial": (0.0,),
    }
    prepared = _prepared(problem=three_regular(6), **own)
    payload: dict[str, Any] = {
        "name": "own",
        "prepared": prepared,
        "log": [],
        "best": np.zeros(1).tobytes(),
        "shots": None,
    }
    answer = ProblemAnswer.read(end_loop(payload, lambda _: None)["answer"])

    assert answer.assignment in {(1, 0, 1, 0, 1, 0), (0, 1, 0, 1, 0, 1)}
    assert answer.objective == len(three_regular(6).edges)
