"""Groups are put together whose circuits are the same but for names, formatting and angles."""

import dataclasses
import json
from array import array
from typing import Any

import pytest
from qiskit import QuantumCircuit, qasm3
from qiskit.quantum_info import Operator

from circuits.batch_file import read_batch
from circuits.batch_forms import read_forms
from circuits.batch_groups import comparable, put_together
from circuits.parse import load_qpy
from circuits.source import SourceLimits
from qurable.contracts.jobs import SampleJob, read_request

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
ASKED = (
    HEAD
    + "input float a;\ninput float b;\nqubit[2] q;\nbit[2] c;\nrx(a) q[0];\ncx q[0], q[1];\nrz(b + 2 * a) q[1];\nc = measure q;\n"
)
RENAMED = HEAD + (
    "// the same\ninput float b;\ninput float zeta;\nqubit[2] wires;\nbit[2] read;\nrx(b) wires[0];\n\n"
    "cx wires[0], wires[1];  rz(zeta + 2 * b) wires[1];\nread = measure wires;\n"
)
NUMBERS = (
    HEAD
    + "qubit[2] q;\nbit[2] c;\nrx({}) q[0];\ncx q[0], q[1];\nry(pi/2) q[0];\nrz({}) q[1];\nc = measure q;\n"
)


def line(circuit: str, backend: str = "aer", bindings: Any = None, **fields: Any) -> dict[str, Any]:
    """A job of one pub."""
    pub = {"circuit": circuit, "bindings": bindings or {}, "shots": 100}
    return {"kind": "sample", "backend": backend, "pubs": [pub], **fields}


def groups(*lines: dict[str, Any]) -> list[Any]:
    """As a batch of these lines is grouped."""
    text = "\n".join(map(json.dumps, lines)).encode()
    read = read_batch({"lines": text, "project": "default", "qpy": True}, lambda _: None)["groups"]
    at = comparable(read)
    limits = dataclasses.asdict(SourceLimits())
    found = read_forms({"limits": limits, "requests": [read[one]["request"] for one in at]}, lambda _: None)
    return put_together(read, dict(zip(at, found, strict=True)))


def values(group: Any) -> list[list[float]]:
    """Parameter values of each item."""
    return [array("d", item[4]).tolist() for item in group["items"]]


def asked(group: Any) -> SampleJob:
    """What the group's jobs ask."""
    job = read_request(group["request"])
    assert isinstance(job, SampleJob)
    return job


@pytest.mark.parametrize("backend", ["aer", "fake_torino", "ibm:manila"])
def test_names_and_formatting_make_no_other_group(backend: str) -> None:
    """Each item's values stand where the first one's parameters have them, and its registers keep their names."""
    first = line(ASKED, backend, {"a": 0.1, "b": 0.2})
    second = line(RENAMED, backend, {"b": 0.3, "zeta": 0.4})

    (group,) = groups(first, second, first)

    assert values(group) == [[0.1, 0.2], [0.3, 0.4], [0.1, 0.2]]
    assert [item[0] for item in group["items"]] == [1, 2, 3]
    assert [item[5] for item in group["items"]] == ["", '["read"]', ""]
    assert asked(group).pubs[0].circuit.text == ASKED


def test_angles_that_are_written_out_are_lifted_on_a_simulator_without_noise() -> None:
    """But for quarter turns. With its values, the lifted circuit is the item's own."""
    (group,) = groups(*(line(NUMBERS.format(0.1 + at, 0.2 * at)) for at in range(1, 4)))

    assert values(group) == [[0.1 + at, 0.2 * at] for at in range(1, 4)]
    (pub,) = asked(group).pubs
    assert pub.circuit.qpy is not None
    lifted = load_qpy(pub.circuit.qpy)
    assert [register.name for register in lifted.cregs] == ["c"]
    own = lifted.assign_parameters(dict(zip(pub.bindings.parameters, values(group)[1], strict=True)))
    written: QuantumCircuit = qasm3.loads(NUMBERS.format(2.1, 0.4))
    assert Operator(own.remove_final_measurements(inplace=False)) == Operator(
        written.remove_final_measurements(inplace=False)
    )


@pytest.mark.parametrize(
    "lines",
    [
        [line(NUMBERS.format(0.1, 0.2), "fake_torino"), line(NUMBERS.format(0.3, 0.2), "fake_torino")],
        [line(NUMBERS.format(0.1, 0.2), "ibm:manila"), line(NUMBERS.format(0.3, 0.2), "ibm:manila")],
        [line(NUMBERS.format(*pair), transpile={"level": 1}) for pair in ((0.1, 0.2), (0.3, 0.2))],
        [line(NUMBERS.format("pi", "pi/2")), line(NUMBERS.format("pi/2", "pi"))],
        [line(NUMBERS.format("pi", "pi/2")), line(NUMBERS.format(0.1, 0.2))],
        [line(NUMBERS.format(0.1, 0.2)), line(NUMBERS.format(0.3, 0.2), shots=7)],
        [line(NUMBERS.format(0.1, 0.2)), line(NUMBERS.format(0.3, 0.2).replace("cx", "cz"))],
        [line(NUMBERS.format(0.1, 0.2)), line(NUMBERS.format(0.3, 0.2).replace("bit[2] c", "bit[3] c"))],
        [line(ASKED, "aer", {"a": 0.1, "b": 0.2}), line(RENAMED, "aer", {"b": 0.1})],
        [line(ASKED, "aer", {"a": 0.1, "b": 0.2}), line(ASKED + "nonsense", "aer", {"a": 0.1, "b": 0.2})],
    ],
)
def test_what_would_run_otherwise_is_another_group(lines: list[dict[str, Any]]) -> None:
    """Where angles decide what the transpiler or the choice of a method makes of a circuit; and what is broken runs alone."""
    if "shots" in lines[1]:
        lines[1]["pubs"][0]["shots"] = lines[1].pop("shots")
    found = groups(*lines)

    assert [len(group["items"]) for group in found] == [1, 1]
    assert [asked(group).pubs[0].circuit.text for group in found] == [
        one["pubs"][0]["circuit"] for one in lines
    ]
