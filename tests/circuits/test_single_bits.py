"""`bit c;` has a name in OpenQASM 3 and none in Qiskit; results are told by name."""

import pytest

from circuits.runnable import check_pub
from qurable.contracts.circuits import CircuitFormat
from qurable.contracts.pubs import SamplePub
from qurable.errors import RequestRejected
from qurable.requests import as_circuit
from tests.circuits.running import parse, parse_text
from tests.circuits_at_hand import BELL

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


@pytest.mark.parametrize(
    ("declarations", "registers"),
    [
        ("bit c;", {"c": (0,)}),
        ("bit[2] d;\nbit c;", {"d": (0, 1), "c": (2,)}),
        ("bit c;\nbit[2] d;\nbit e;", {"d": (1, 2), "c": (0,), "e": (3,)}),
        ("bit c; // bit hidden;\nbit _x9;", {"c": (0,), "_x9": (1,)}),
        ("bit[1] c;", {"c": (0,)}),
    ],
)
def test_a_single_bit_is_a_register_of_its_name(
    declarations: str, registers: dict[str, tuple[int, ...]]
) -> None:
    """Without one its outcomes would be dropped in silence, as Qiskit's own primitives do."""
    parsed, _ = parse_text(f"{HEAD}qubit q;\n{declarations}\n", CircuitFormat.OPENQASM3)

    assert {register.name: register.bits for register in parsed.dress.registers} == registers


def test_a_circuit_that_reads_into_no_register_is_refused() -> None:
    """From the typed client, where such a bit has no name at all."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Clbit, Qubit

    circuit = QuantumCircuit([Qubit()], [Clbit()])
    circuit.measure(0, 0)
    parsed, _ = parse(circuit)

    with pytest.raises(RequestRejected, match="measures into bits of no register"):
        check_pub(0, SamplePub(circuit=as_circuit(BELL)), parsed)
