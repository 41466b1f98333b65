"""What strangers send becomes a canonical circuit, or one sentence that says what is wrong with it and where."""

import io
import math
import warnings

import pytest
from qiskit import QuantumCircuit, qasm2, qasm3, qpy
from qiskit.circuit import Parameter
from qiskit.circuit.library import FullAdderGate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from circuits.parse import dump_qpy, read_circuit
from circuits.source import SourceLimits
from qurable.contracts.circuits import CircuitFormat
from qurable.errors import CircuitRejected
from qurable.requests import as_circuit
from tests.circuits.running import parse, parse_text

QASM2, QASM3, QPY = CircuitFormat.OPENQASM2, CircuitFormat.OPENQASM3, CircuitFormat.QPY

HEAD2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
HEAD3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def read(text: str | bytes, form: CircuitFormat) -> QuantumCircuit:
    """The circuit as the parser gives it."""
    source = text.encode() if isinstance(text, str) else text
    return read_circuit(source, form, SourceLimits(), "circuit")


@pytest.mark.parametrize(
    ("form", "text", "line", "column", "problem"),
    [
        (QASM2, HEAD2 + "qreg q[2];\nh q[0]\ncx q[0], q[1];\n", 5, 1, "needed ';'"),
        (QASM2, HEAD2 + "qreg q[2];\n  foo q[0];\n", 4, 3, "'foo' is not defined in this scope"),
        (QASM2, HEAD2 + "qreg q[2];\r\n  cx q[0];\r\n", 4, 3, "'cx' takes 2 quantum arguments, but got 1"),
        (QASM2, HEAD2 + "qreg q[2];\nrx(1/0) q[0];\n", 4, 5, "cannot divide by zero"),
        (QASM2, HEAD2 + "qreg q[2];\nrx(ln(-1)) q[0];\n", 4, 4, "cannot take ln of non-positive"),
        (QASM2, "h q[0];\n", 1, 1, "'h' is not defined in this scope"),
        (QASM3, HEAD3 + "qubit[2] q;\nh q[0]\ncx q[0], q[1];\n", 5, 1, "it is not valid OpenQASM"),
        (QASM3, HEAD3 + "qubit[2] q;\n  foo q[0];\n", 4, 3, "gate 'foo' is not defined"),
        (QASM3, HEAD3 + "qubit[2] q;\nh $;\n", 4, 3, "token recognition error"),
        (QASM3, HEAD3 + "qubit q;\nwhile (true) { x q; }\n", 4, 8, "conditions must be"),
        (QASM3, HEAD3 + "qubit q;\nint[8] n = 3;\n", 4, 1, "'int' are not supported"),
    ],
)
def test_a_bad_text_is_refused_with_line_and_column(
    form: CircuitFormat, text: str, line: int, column: int, problem: str
) -> None:
    """Both count from 1, as editors do."""
    with pytest.raises(CircuitRejected) as error:
        read(text, form)

    assert error.value.message.startswith(f"circuit 'circuit', line {line}, column {column}: ")
    assert problem in error.value.message
    assert error.value.details == {"line": line, "column": column}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (QASM2, b"\xff\xfe\x00"),
        (QASM3, b"\xff\xfe\x00"),
        (QASM3, b""),
        (QASM3, b"// nothing here\n"),
        (QASM2, b"qreg q[1];\x00"),
        (QASM3, b"\x00"),
        (QASM2, HEAD3.encode()),
    ],
)
def test_what_is_no_program_is_refused_in_one_line(form: CircuitFormat, text: bytes) -> None:
    """Whatever the parser makes of it, the caller sees a sentence."""
    with pytest.raises(CircuitRejected) as error:
        read(text, form)

    assert error.value.message.startswith("circuit 'circuit'")
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("form", "head", "register"), [(QASM2, HEAD2, "qreg q[1];"), (QASM3, HEAD3, "qubit[1] q;")]
)
@pytest.mark.parametrize("angle", ["1e308*10", "-1e308*1e308", "1e308*10 - 1e308*10"])
def test_an_angle_that_overflows_is_refused_by_its_gate(
    form: CircuitFormat, head: str, register: str, angle: str
) -> None:
    """Both parsers let infinity through, and a simulator makes NaN of it."""
    with pytest.raises(
        CircuitRejected, match=r"gate 'rz' has the angle (inf|-inf|nan); angles must be finite"
    ):
        parse_text(f"{head}{register}rz({angle}) q[0];", form)


def test_definitions_nest_no_deeper_than_can_be_written_out() -> None:
    """Five thousand levels pass the parser and overflow the transpiler's stack."""
    levels = "".join(f"gate g{at} a {{ g{at - 1} a; }}\n" for at in range(1, 4000))

    with pytest.raises(CircuitRejected, match="nests gate definitions deeper than 200"):
        parse_text(f"OPENQASM 2.0;\ngate g0 a {{ U(0,0,0) a; }}\n{levels}qreg q[1];\ng3999 q[0];\n", QASM2)


def test_deep_loops_are_refused() -> None:
    """A recursive parser that gives up must not take the worker's word for a defect."""
    loops = "".join(f"for int i{at} in [0:1] {{ " for at in range(60)) + "x q;" + "}" * 60

    with pytest.raises(CircuitRejected, match="nested too deeply"):
        parse_text(f"{HEAD3}qubit q;\n{loops}", QASM3)


def test_a_byte_order_mark_is_no_part_of_the_program() -> None:
    """Editors on Windows write one."""
    marked = "\ufeff" + HEAD2 + "qreg q[1];\nx q[0];\n"

    assert read(marked, QASM2).count_ops() == {"x": 1}


EXPORTED = {
    name: gate
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in {"measure", "reset", "delay", "global_phase"}
}


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("form", [QASM2, QASM3])
def test_every_standard_gate_is_read_back_from_what_qiskit_exports(name: str, form: CircuitFormat) -> None:
    """Qiskit writes swap, p, sx, u, rzz, rxx and others without a definition, and does not read them by itself."""
    gate = EXPORTED[name]
    ready = gate.base_class(*(0.1 * (at + 1) for at in range(len(gate.params)))) if gate.params else gate
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(ready, reversed(range(gate.num_qubits)))

    again = read(qasm2.dumps(circuit) if form is QASM2 else qasm3.dumps(circuit), form)

    assert Operator(again).equiv(Operator(circuit))


def test_delays_resets_and_conditions_are_read_back_from_qasm2() -> None:
    """Delay has no gate's definition and needs a declaration that Qiskit writes as opaque."""
    circuit = QuantumCircuit(2, 2)
    circuit.reset(0)
    circuit.delay(100, 0, unit="dt")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(1)

    again = read(qasm2.dumps(circuit), QASM2)

    assert [item.name for item in again.data] == ["reset", "delay", "measure", "if_else"]


@pytest.mark.parametrize(
    "program",
    [
        "OPENQASM 2.0;\ngate h a { U(0,0,0) a; }\nqreg q[1];\nh q[0];",
        "OPENQASM 2.0;\ngate x a { U(0,0,0) a; }\nqreg q[1];\nx q[0];",
        HEAD2 + "gate sx a { id a; }\nqreg q[1];\nsx q[0];",
        HEAD2 + "gate p(t) a { id a; }\nqreg q[1];\np(0.3) q[0];",
        HEAD2 + "gate swap a,b { id a; }\nqreg q[2];\nswap q[0],q[1];",
        HEAD2 + "gate rzz(t) a,b { id a; }\nqreg q[2];\nrzz(0.3) q[0],q[1];",
        "OPENQASM 3.0;\ngate h a { U(0,0,0) a; }\nqubit[1] q;\nh q[0];",
        HEAD3 + "gate rzz(t) a,b { id a; }\nqubit[2] q;\nrzz(0.3) q[0],q[1];",
    ],
)
def test_a_gate_means_what_the_program_defines(program: str) -> None:
    """Taken for Qiskit's gate of the same name, it would silently be another circuit; here each is the identity."""
    form = QASM2 if program.startswith("OPENQASM 2") else QASM3

    _, canonical = parse_text(program, form)

    assert Operator(canonical).equiv(Operator(QuantumCircuit(canonical.num_qubits)))


def valid_qpy() -> bytes:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.rx(Parameter("theta"), 1)
    return dump_qpy(circuit)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is not QPY"),
        (b"PK\x03\x04", "is not QPY"),
        (b"QISKIT", "is QPY version 0"),
        (b"QISKIT\x0a" + bytes(100), "is QPY version 10; versions from 13 are read"),
        (b"QISKIT\x0c" + bytes(100), "is QPY version 12; versions from 13 are read"),
        (b"QISKIT\x63" + bytes(100), "is not readable QPY"),
        (b"QISKIT\x12" + b"\xff" * 100, "is not readable QPY"),
        (valid_qpy()[:-1], "is not readable QPY"),
        (valid_qpy()[:20], "is not readable QPY"),
    ],
)
def test_garbage_truncated_and_old_qpy_is_refused_in_one_line(body: bytes, problem: str) -> None:
    """Versions before 13 can carry code."""
    with pytest.raises(CircuitRejected) as error:
        read(body, QPY)

    assert problem in error.value.message
    assert error.value.message.isprintable()


def test_one_circuit_per_qpy_is_taken() -> None:
    """A second one would be dropped in silence."""
    body = io.BytesIO()
    qpy.dump([QuantumCircuit(1), QuantumCircuit(2)], body)

    with pytest.raises(CircuitRejected, match="this holds 2"):
        read(body.getvalue(), QPY)


def test_a_gate_that_qiskit_cannot_read_back_comes_with_the_way_out() -> None:
    """Qiskit writes its adders to QPY and then fails to build them."""
    circuit = QuantumCircuit(4)
    circuit.append(FullAdderGate(1), range(4))

    with pytest.raises(CircuitRejected, match="decompose the circuit once"):
        parse(circuit)


def test_qpy_and_text_of_one_circuit_are_the_same_circuit() -> None:
    """However it travels, it is compiled once."""
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.rzz(0.3, 0, 2)
    circuit.p(math.pi / 7, 1)
    circuit.swap(1, 2)
    circuit.measure(range(3), range(3))

    by_text, _ = parse_text(qasm2.dumps(circuit), QASM2)
    by_qpy, _ = parse(circuit)

    assert by_text.canonical == by_qpy.canonical
    assert by_text.cacheable


def test_registers_and_parameters_keep_their_names() -> None:
    """The canonical circuit has none of them; results need them again."""
    text = (
        HEAD3
        + "input float[64] beta;\ninput float[64] alpha;\nqubit[2] q;\nbit[2] low;\nbit[1] high;\nrx(beta) q[0];\nry(alpha) q[1];\nlow[1] = measure q[0];\nhigh[0] = measure q[1];\n"
    )

    parsed, canonical = parse_text(text, QASM3)

    assert parsed.dress.parameters == ("beta", "alpha")
    assert [(entry.name, entry.bits) for entry in parsed.dress.registers] == [("low", (0, 1)), ("high", (2,))]
    assert parsed.dress.measured == ((0, 1), (1, 2))
    assert [parameter.name for parameter in canonical.parameters] == ["p0", "p1"]


@pytest.mark.parametrize("seed", range(300))
def test_no_mutant_of_qpy_ends_in_anything_but_a_sentence(seed: int) -> None:
    """A reader that lets another exception out would make a defect of ours of somebody's broken file."""
    import random

    draw = random.Random(seed)
    body = bytearray(valid_qpy())
    for _ in range(draw.randint(1, 4)):
        # Lengths are left as they are: the reader allocates what they say, which the child's memory limit is for.
        body[draw.randrange(60, len(body))] = draw.randrange(32, 127)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused = None
        try:
            parse_text(bytes(body), QPY)
        except CircuitRejected as error:
            refused = error
    assert refused is None or refused.message.isprintable()


def delays(circuit: QuantumCircuit) -> list[tuple[float, str]]:
    """Every delay with its unit, those in blocks too."""
    found: list[tuple[float, str]] = []
    for item in circuit.data:
        if item.is_control_flow():
            found += [entry for block in item.operation.blocks for entry in delays(block)]
        elif item.name == "delay":
            found.append((item.operation.duration, item.operation.unit))
    return found


def test_a_delay_keeps_its_unit_on_its_way() -> None:
    """Qiskit's QPY reads 100 ns back as 100 dt, and does not read 1.5 us back at all."""
    inner = QuantumCircuit(1, name="inner")
    inner.delay(7, 0, unit="ms")
    circuit = QuantumCircuit(1, 1, global_phase=0.25)
    circuit.delay(100, 0, unit="ns")
    circuit.delay(1.5, 0, unit="us")
    circuit.delay(100, 0)
    circuit.append(inner.to_instruction(), [0])
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.delay(3, 0, unit="ps")

    parsed, canonical = parse_text(as_circuit(circuit).source, QPY)

    assert delays(canonical) == [(100, "ns"), (1.5, "us"), (100, "dt"), (7, "ms"), (3, "ps")]
    assert canonical.global_phase == 0.25
    assert parsed.cacheable


def test_a_delay_in_openqasm3_keeps_its_unit() -> None:
    """The text says nanoseconds, and so must what is compiled."""
    _, canonical = parse_text(f"{HEAD3}qubit q;\ndelay[100ns] q;\ndelay[20dt] q;\n", QASM3)

    assert delays(canonical) == [(100, "ns"), (20, "dt")]
