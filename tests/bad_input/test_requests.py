"""Requests that no job can be made of: the client refuses them, and so does a worker whom another client sends them."""

import math
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.jobs import Requirements
from qurable.errors import KeyReused, RequestRejected
from qurable.names import HYBRID_JOB, Queue
from qurable.requests import estimate, sample
from tests.bad_input.asking import refusal, runs_a_bell
from tests.circuits_at_hand import BELL
from tests.conftest import Service

ROTATION = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nbit c;\nrx(theta) q;\nc = measure q;\n'


def _chaotic(qubits: int) -> QuantumCircuit:
    """Neither Clifford nor weakly entangled: nothing but a statevector runs it."""
    circuit = QuantumCircuit(qubits, name="chaos")
    for layer in range(qubits):
        for qubit in range(qubits):
            circuit.rx(0.1 + layer + qubit, qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cz(qubit, qubit + 1)
        circuit.cz(0, qubits - 1)
    circuit.measure_all()
    return circuit


BAD_VALUES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "no shots": ({"shots": 0}, r"shots.*greater than or equal to 1"),
    "negative shots": ({"shots": -5}, r"shots.*greater than or equal to 1"),
    "a thousand million shots": ({"shots": 10**9}, r"shots.*less than or equal to 1000000"),
    "a value too many": (
        {"bindings": {"parameters": ["theta"], "shape": [2], "values": [1, 2, 3]}},
        r"bindings.*shape \(2,\) with 1 parameters takes 2 values, 3 are given",
    ),
    "values of two shapes": (
        {"bindings": {"theta": [1.0, 2.0], "phi": [1.0]}},
        r"bindings.*values of different shapes: .*give each the same shape",
    ),
    "a value that is no number": (
        {"bindings": {"theta": "NaN"}},
        r"bindings",
    ),
    "not a number": (
        {"bindings": {"parameters": ["theta"], "shape": [], "values": ["NaN"]}},
        r"parameter 'theta' is nan in binding 0; values must be finite",
    ),
}


def _pub(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"circuit": {"format": "openqasm3", "text": ROTATION}, "bindings": {"theta": 0.3}, **fields}


@pytest.mark.parametrize("name", BAD_VALUES)
async def test_a_value_out_of_bounds_is_refused_by_the_worker_too(service: Service, name: str) -> None:
    """A client in another language checks nothing; the field and its bound are named all the same."""
    fields, reason = BAD_VALUES[name]
    job_id = f"default-{uuid.uuid4().hex[:24]}"
    body = {"kind": "sample", "pubs": [_pub(fields)], "key": job_id}

    with pytest.raises(WorkflowFailureError) as failure:
        await _raw(service, job_id, body)

    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == RequestRejected.__name__
    assert re.search(reason, cause.message), cause.message
    await runs_a_bell(service)


async def _raw(service: Service, job_id: str, body: Any, *, schema_version: int = SCHEMA_VERSION) -> Any:
    """Start a job as a program does that knows Temporal and no client of ours."""
    head = {
        "schema_version": schema_version,
        "id": job_id,
        "project": "default",
        "kind": "sample",
        "asked": "auto",
        "body_hash": "0" * 64,
    }
    return await service.temporal.execute_workflow(
        HYBRID_JOB, args=[head, body], id=job_id, task_queue=Queue.WORKFLOWS
    )


@pytest.mark.parametrize("shots", [0, -5, 10**9])
async def test_shots_out_of_bounds_are_refused_by_the_client(service: Service, shots: int) -> None:
    """With the bound."""
    error = await refusal(service, BELL, shots=shots)

    bound = "less than or equal to 1000000" if shots > 0 else "greater than or equal to 1"
    assert error.code == "RequestRejected"
    assert f"shots: Input should be {bound}" in error.message


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, r"parameters \['theta'\] have no value"),
        ({"phi": 1.0}, r"parameters \['theta'\] have no value and it has no parameters \['phi'\]"),
        ({"theta": math.nan}, r"parameter 'theta' is nan in binding 0; values must be finite"),
        ({"theta": [0.1, math.inf]}, r"parameter 'theta' is inf in binding 1; values must be finite"),
        ({"theta": [[0.1], [0.2, 0.3]]}, r"bindings"),
        ([0.1], r"values for an OpenQASM circuit are given by name: \{'theta': 0.5\}"),
    ],
    ids=["missing", "strange", "NaN", "infinite", "ragged", "without names"],
)
async def test_bindings_that_do_not_fit_are_refused(service: Service, values: Any, reason: str) -> None:
    """Which parameter, which binding, and what is expected."""
    error = await refusal(service, (ROTATION, values), shots=10)

    assert error.code == "RequestRejected"
    assert re.search(reason, error.message), error.message


async def test_rows_of_the_wrong_width_are_refused(service: Service) -> None:
    """As Qiskit's own arrays of bindings are: parameters on the last axis."""
    circuit = QuantumCircuit(1, 1)
    circuit.rx(Parameter("a"), 0)
    circuit.rz(Parameter("b"), 0)
    circuit.measure(0, 0)

    error = await refusal(service, (circuit, [[0.1, 0.2, 0.3]]), shots=10)

    assert "bindings of shape (1, 3) do not end in the circuit's 2 parameters ['a', 'b']" in error.message


@pytest.mark.parametrize(
    ("observable", "reason"),
    [
        ("ZZZ", r"has 2 qubits, observable 0 has 3: write one letter per qubit, or a sparse term"),
        ("Z", r"has 2 qubits, observable 0 has 1"),
        ({"terms": [{"pauli": "Z", "qubits": [7]}]}, r"has 2 qubits, observable 0 has 8"),
        ("QQ", r"letters are"),
        ({"ZZ": 1.0, "Z": 1.0}, r"labels of different widths"),
        ({"ZZ": 1j}, r"observables are Hermitian, so it must be real"),
        ({"ZZ": math.nan}, r"it must be finite"),
    ],
    ids=["wide", "narrow", "sparse", "letters", "mixed", "complex", "NaN"],
)
async def test_observables_that_do_not_fit_are_refused(
    service: Service, observable: Any, reason: str
) -> None:
    """Width, letters and coefficients."""
    try:
        job = estimate((BELL, observable), precision=0.1)
    except RequestRejected as refused:
        error = refused.document()
    else:
        error = await refusal(service, job)

    assert error.code == "RequestRejected"
    assert re.search(reason, error.message), error.message


async def test_sixty_qubits_are_not_asked_of_a_statevector(service: Service) -> None:
    """Both sizes, how many qubits would fit, and what else there is."""
    for options in ({}, {"simulator": {"method": "statevector"}}):
        error = await refusal(service, _chaotic(60), shots=10, backend="aer", **options)

        assert error.code == "JobTooLarge"
        assert "circuit 'chaos'" in error.message
        assert "20.0 EiB" in error.message
        assert "this machine grants 8.0 GiB" in error.message
        assert re.search(r"\(28 qubits\)|at most 28 qubits fit", error.message), error.message


async def test_a_circuit_wider_than_its_device_is_refused_with_both_widths(service: Service) -> None:
    """And by requirements that nothing meets."""
    error = await refusal(service, _chaotic(6), shots=10, backend="fake_manila")
    assert error.code == "UnsupportedCircuit"
    assert "circuit 'chaos' needs 6 qubits; 'fake_manila' has 5: choose a wider backend" in error.message
    assert "qurable cut" not in error.message  # samples have no fragments

    nowhere = Requirements(min_qubits=1000, noisy=True)
    error = await refusal(service, sample(BELL, shots=10, backend=nowhere))
    assert error.code == "UnsupportedCircuit"
    assert "1000 are asked" in error.message


async def test_an_estimate_wider_than_its_device_is_told_of_cutting(service: Service) -> None:
    """An estimation job is never cut by itself; whoever is refused one learns what to ask for instead."""
    error = await refusal(service, estimate((_chaotic(6), "ZIIIII"), precision=0.1, backend="fake_manila"))

    assert error.code == "UnsupportedCircuit"
    assert "or estimate it in fragments (`client.cut`, `qurable cut`)" in error.message


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("fake_torinno", "did you mean 'fake_torino'"),
        ("ibm:../../etc/passwd", "is no name of a device"),
        ("aerr", "did you mean 'aer'"),
        ("nothing_like_it", "`qurable backends` lists them"),
    ],
)
async def test_an_unknown_backend_comes_with_the_near_name(service: Service, asked: str, near: str) -> None:
    """A misspelt name is the commonest of all errors."""
    error = await refusal(service, BELL, shots=10, backend=asked)

    assert error.code == "UnknownBackend"
    assert repr(asked) in error.message
    assert near in error.message


async def test_a_key_with_another_body_is_a_conflict_and_the_first_job_stands(service: Service) -> None:
    """Nothing is lost."""
    first = await service.run(BELL, shots=20, seed=3, key="bad-input-conflict")

    error = await refusal(service, BELL, shots=21, seed=3, key="bad-input-conflict")

    assert error.code == KeyReused.__name__
    assert "already belongs to a request with another body: use a new key for a new job" in error.message
    assert await service.run(BELL, shots=20, seed=3, key="bad-input-conflict") == first


async def test_a_worker_older_than_the_document_says_so_and_ends(service: Service) -> None:
    """Not with a hang: a document from the future is refused at once, with the sentence and the way out."""
    job_id = f"default-{uuid.uuid4().hex[:24]}"
    body = {"kind": "sample", "pubs": [_pub({})], "schema_version": SCHEMA_VERSION + 1, "key": job_id}

    with pytest.raises(WorkflowFailureError) as failure:
        await _raw(service, job_id, {**body, "from_the_future": 1}, schema_version=SCHEMA_VERSION + 1)

    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "WorkerOutdated"
    assert "worker of another version: the request has schema version 2" in cause.message
    assert cause.message.endswith("update the workers")
    await runs_a_bell(service)


async def test_a_newer_worker_reads_an_older_document(service: Service) -> None:
    """The least that version 1 ever asked for is still a job; what a later version adds to it is passed over."""
    job_id = f"default-{uuid.uuid4().hex[:24]}"
    body = {"kind": "sample", "pubs": [{"circuit": {"format": "openqasm2", "text": BELL}}], "key": job_id}

    report = await _raw(service, job_id, {**body, "schema_version": 1, "of_a_sister_release": {"a": 1}})

    assert report["state"] == "completed"
    assert report["results"][0]["shots"] == 1024
