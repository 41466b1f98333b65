"""Nothing of the author's words leaves the house: a canary in every place, and the body that is posted."""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from qiskit import transpile
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit, QuantumRegister

from circuits.parse import dump_qpy
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, Submission, SubmissionKey
from qurable.contracts.ibm import DynamicalDecoupling, Generation, IbmOptions, Twirling
from qurable.contracts.observables import Observables
from tests.backends.ibm.driving import DEVICE, Driver
from tests.backends.ibm.submissions import GENERATIONS, device, whole
from tests.emulator.running import Api, EmulatorProcess

WORD = "canary"


def _author_s(*, dynamic: bool) -> QuantumCircuit:
    """The word in every place that a circuit has for words."""
    qubits = QuantumRegister(2, "canaryQubits")
    bits, more = ClassicalRegister(1, "canaryBits"), ClassicalRegister(1, "canaryMore")
    circuit = QuantumCircuit(qubits, bits, more, name="canary name", metadata={"canary key": "canary value"})
    circuit.rx(Parameter("p0"), 0, label="canary rx")
    circuit.sx(0, label="canary sx")
    circuit.append(_custom(), [0, 1])
    if dynamic:
        circuit.measure(0, bits[0])
        with circuit.if_test((bits, 1), label="canary if"):
            circuit.x(1, label="canary x")
            with circuit.if_test((more, 0)):
                circuit.sx(1)
        with circuit.for_loop(range(2), Parameter("canaryLoop")) as turn:
            circuit.rz(turn, 1)
    circuit.barrier(label="canary barrier")
    circuit.measure(qubits, [bits[0], more[0]])
    return circuit


def _custom() -> Any:
    body = QuantumCircuit(2, name="canary_gate")
    body.cx(0, 1)
    return body.to_gate(label="canary gate label")


def _pub(circuit: QuantumCircuit, observables: Any) -> tuple[IsaPub, bytes]:
    """The ISA circuit with the author's words still in it, as far as the transpiler leaves them there."""
    isa = transpile(circuit, target=device("FakeManilaV2").target, optimization_level=0, seed_transpiler=1)
    isa.name, isa.metadata = "canary isa", {"canary": "canary"}
    for at, item in enumerate(isa.data):
        if not item.is_control_flow():
            operation = item.operation.to_mutable()
            operation.label = "canary label"
            isa.data[at] = item.replace(operation=operation)
    body = dump_qpy(isa)
    pub = IsaPub(
        isa=digest(body),
        layout=tuple(isa.layout.final_index_layout(filter_ancillas=True)),
        bindings=Bindings(parameters=("p0",), shape=(2,), values=(0.1, 0.2)),
        observables=observables,
        shots=64,
        seed=1,
        num_clbits=isa.num_clbits,
    )
    return pub, body


def _texts(value: Any, depth: int = 0) -> Iterator[bytes]:
    """Every text in a document, and what unpacks from it: base 64, zlib and gzip, one inside another."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield str(name).encode()
            yield from _texts(entry, depth)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, depth)
    elif isinstance(value, str):
        yield value.encode()
        try:
            yield from _unpacked(base64.b64decode(value, validate=True), depth)
        except (binascii.Error, ValueError):
            return


def _unpacked(body: bytes, depth: int) -> Iterator[bytes]:
    yield body
    for unpack in (zlib.decompress, gzip.decompress):
        try:
            inner = unpack(body)
        except (zlib.error, OSError, EOFError):
            continue
        yield inner
        if depth < 4:
            try:
                yield from _texts(json.loads(inner), depth + 1)
            except ValueError:
                yield from _texts(inner.decode("latin-1"), depth + 1)


def _where(document: Any) -> list[str]:
    """Surroundings of the word, wherever it stands."""
    found = []
    for text in _texts(document):
        at = text.lower().find(WORD.encode())
        if at >= 0:
            found.append(text[max(0, at - 20) : at + 30].decode("latin-1"))
    return found


def test_the_search_finds_a_word_in_a_packed_circuit() -> None:
    """Otherwise the canary would be safe in its cage."""
    _, body = _pub(_author_s(dynamic=False), None)
    packed = base64.b64encode(zlib.compress(body)).decode()

    assert _where({"params": {"pubs": [[packed]]}})


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("asked", ["sample", "twirled", "dynamic", "estimate"])
async def test_no_word_of_the_author_s_is_posted(
    driver: Driver, provider: EmulatorProcess, generation: Generation, asked: str
) -> None:
    """Neither by what the canonical form leaves, nor by what the transpiler does."""
    observables = Observables.model_validate("ZI") if asked == "estimate" else None
    options = IbmOptions()
    if asked == "twirled":
        options = IbmOptions(
            twirling=Twirling(enable_gates=True, enable_measure=True),
            dynamical_decoupling=DynamicalDecoupling(),
        )
    pub, body = _pub(_author_s(dynamic=asked == "dynamic"), observables)
    sent = Submission(
        key=SubmissionKey(job_id="canary-job", backend=f"ibm:{WORD}", digest="0" * 64),
        kind="sample" if observables is None else "estimate",
        pubs=(pub,),
        ibm=options,
    )
    tag = f"qurable-h5-{generation}-{asked}"
    job = await driver.post(
        tag,
        generation,
        submission=sent.model_dump_json(),
        slices=[piece.model_dump() for piece in whole(sent)],
        circuits={pub.isa: body},
    )

    api = Api(provider, {}, provider.environment["QISKIT_IBM_INSTANCE"])
    posted = await api.get(f"/jobs/{job}")
    assert posted["params"]
    assert posted["backend"] == DEVICE
    assert posted["tags"] == [tag]
    assert not _where(posted)
