"""Documents survive their way: written and read, by older and newer versions, strict at the edges and lenient inside."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from qurable.contracts.arrays import BitArrays, FloatArray, flatten, size_of
from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import Circuit, CircuitFormat
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import (
    EstimateJob,
    Hook,
    Hooks,
    Limits,
    Requirements,
    SampleJob,
    SimulatorOptions,
    SolveJob,
    TranspileOptions,
    parse_request,
    read_request,
)
from qurable.contracts.observables import Observable, Observables
from qurable.contracts.problems import MaxCut
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.reports import Attempt, JobEvent, JobReport, State
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from qurable.temporal.converter import LenientPayloadConverter
from tests.circuits_at_hand import BELL

RECORDED = Path(__file__).parent / "recorded"

SAMPLE = SampleJob(
    pubs=(
        SamplePub(circuit=BELL, shots=10),
        SamplePub(
            circuit=Circuit(format=CircuitFormat.QPY, qpy=b"QISKIT\x00\xff", metadata={"run": [1, None]})
        ),
    ),
    problem=MaxCut(num_nodes=2, edges=((0, 1, 0.5),), qubits=(1, 0)),
    backend=Requirements(min_qubits=5, noisy=True),
    seed=2**31 - 1,
    transpile=TranspileOptions(level=3, layout=(4, 1), dynamical_decoupling="XY4"),
    simulator=SimulatorOptions(precision="single", max_bond=64),
    limits=Limits(queue=timedelta(seconds=90), total=timedelta(days=2)),
    key="a key",
    project="red-team",
    labels={"who": "grace"},
    priority=1,
    hooks=Hooks(before=Hook(activity="look", task_queue="ours")),
)
ESTIMATE = EstimateJob(
    pubs=(
        EstimatePub(
            circuit=BELL,
            observables=Observables(items=(Observable.model_validate({"ZZ": 1.0, "X0": -1e-300}),)),
            bindings=Bindings(parameters=("a", "b"), shape=(2, 1), values=(0.1, 2.0, -0.0, 5e-324)),
            precision=0.0,
        ),
    ),
    key="another",
)
SOLVE = SolveJob(problem=MaxCut(num_nodes=2, edges=((0, 1, 1.0),)), key="a third")
REPORT = JobReport(
    id="red-team-1",
    project="red-team",
    kind="sample",
    state=State.DEGRADED,
    asked="auto",
    results=(
        SampleResult(
            shape=(2,),
            shots=3,
            registers=(
                RegisterResult(
                    name="c", bits=BitArrays.pack(bytes(range(6)), shape=(2,), num_shots=3, num_bits=5)
                ),
            ),
            metadata={"run": 7},
        ),
        EstimateResult(
            evs=FloatArray(values=(0.1,)), stds=FloatArray(values=(0.0,)), error_origin=ErrorOrigin.EXACT
        ),
    ),
    tried=(Attempt(backend="far", error=ErrorDocument(code="TargetUnavailable", message="it sleeps")),),
    events=(JobEvent(state=State.ACCEPTED, at=datetime(2026, 3, 1, 12, tzinfo=UTC)),),
    derived={"anything": [1, 2.5, None]},
)

DOCUMENTS: dict[str, Contract] = {
    "sample": SAMPLE,
    "estimate": ESTIMATE,
    "solve": SOLVE,
    "report": REPORT,
}


def everywhere(value: Any, extra: dict[str, Any]) -> Any:
    """A document with a strange field in every object that is a contract's."""
    if isinstance(value, list):
        return [everywhere(item, extra) for item in value]
    if not isinstance(value, dict):
        return value
    free = {"labels", "metadata", "derived", "details", "versions"}
    return {name: item if name in free else everywhere(item, extra) for name, item in value.items()} | extra


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_read_as_it_was_written(name: str) -> None:
    """To the last bit, or a digest would not match what another process wrote."""
    document = DOCUMENTS[name]

    again = type(document).read(document.model_dump_json())

    assert again == document
    assert digest(again) == digest(document)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_newer_versions_fields_are_ignored_inside(name: str) -> None:
    """Refusing them would leave the workflow running for ever on «Failed decoding arguments»."""
    document = DOCUMENTS[name]
    newer = everywhere(json.loads(document.model_dump_json()), {"from_the_future": {"deep": [1]}})
    converter = LenientPayloadConverter()
    (payload,) = converter.to_payloads([newer])

    assert converter.from_payload(payload, type(document)) == document
    assert type(document).read(json.dumps(newer)) == document


@pytest.mark.parametrize("document", [SAMPLE, ESTIMATE, SOLVE], ids=["sample", "estimate", "solve"])
def test_unknown_fields_are_refused_at_the_edge(document: Contract) -> None:
    """A misspelt `shot` would otherwise run with 1,024."""
    plain = json.loads(document.model_dump_json())

    assert parse_request(plain) == document
    with pytest.raises(ValidationError, match=r"shot\n.*Extra inputs are not permitted"):
        parse_request(plain | {"shot": 5})
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        type(document).model_validate(plain | {"limits": {"quque": 5}})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_old_document_is_still_read(name: str) -> None:
    """The files are of release 0.1.0 and are never written again; new fields have defaults."""
    text = (RECORDED / "0.1.0" / f"{name}.json").read_text(encoding="utf-8")

    found = JobReport.read(text) if name == "report" else read_request(text)

    assert found == DOCUMENTS[name]
    assert json.loads(text)["schema_version"] <= SCHEMA_VERSION


def test_a_short_document_takes_every_default() -> None:
    """What an older client does not know, it does not send."""
    found = read_request(json.dumps({"kind": "sample", "pubs": [{"circuit": BELL}]}))

    assert isinstance(found, SampleJob)
    assert (found.pubs[0].shots, found.backend, found.priority, found.schema_version) == (1024, "auto", 3, 1)
    assert len(found.key) == 32


def test_keys_and_labels_are_no_part_of_the_body() -> None:
    """The same key with the same body is the same job; with another body it is a conflict."""
    other = SAMPLE.model_copy(update={"key": "b", "labels": {}})

    assert other.body_hash == SAMPLE.body_hash
    assert other.job_id != SAMPLE.job_id
    for field, value in {"seed": 1, "priority": 2, "backend": "aer", "pubs": SAMPLE.pubs[:1]}.items():
        assert SAMPLE.model_copy(update={field: value}).body_hash != SAMPLE.body_hash


def test_a_job_id_belongs_to_one_project_and_key() -> None:
    """Names that run into each other must not."""
    ids = {
        SampleJob(pubs=SAMPLE.pubs, project=project, key=key).job_id
        for project, key in [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("ab", "c")]
    }

    assert len(ids) == 4


finite = some.floats(allow_nan=False, allow_infinity=False)
shapes = some.lists(some.integers(0, 4), max_size=3).map(tuple)


@settings(max_examples=200, deadline=None)
@given(some.data(), shapes)
def test_numbers_survive_with_their_shape(data: some.DataObject, shape: tuple[int, ...]) -> None:
    """Every double, the empty shapes, and the negative zero."""
    values = tuple(data.draw(some.lists(finite, min_size=size_of(shape), max_size=size_of(shape))))
    array = FloatArray(shape=shape, values=values)

    again = FloatArray.read(array.model_dump_json())

    assert again.to_numpy().tobytes() == array.to_numpy().tobytes()
    assert again.to_numpy().shape == shape
    assert flatten(array.to_numpy()) == (shape, list(values))


@settings(max_examples=200, deadline=None)
@given(some.data(), shapes, some.integers(0, 20), some.integers(0, 130))
def test_shots_survive_with_their_order(
    data: some.DataObject, shape: tuple[int, ...], shots: int, width: int
) -> None:
    """Any width and any shape; counts are those of the bitstrings."""
    number = size_of(shape) * shots
    words = data.draw(some.lists(some.integers(0, 2**width - 1), min_size=number, max_size=number))
    raw = b"".join(word.to_bytes((width + 7) // 8, "big") for word in words)
    arrays = BitArrays.pack(raw, shape=shape, num_shots=shots, num_bits=width)

    again = BitArrays.read(arrays.model_dump_json())

    assert again.to_numpy().shape == (*shape, shots, (width + 7) // 8)
    for index in range(size_of(shape)):
        mine = [
            format(word, f"0{width}b") if width else "" for word in words[index * shots : (index + 1) * shots]
        ]
        assert again.bitstrings(index) == mine
        assert again.counts(index) == {word: mine.count(word) for word in mine}


@pytest.mark.parametrize("length", [0, 5, 7, 10_000_000])
def test_shots_that_are_too_few_or_too_many_are_refused(length: int) -> None:
    """A compressed bomb is not unpacked beyond what shape and width say."""
    arrays = BitArrays.pack(bytes(length), shape=(2,), num_shots=3, num_bits=5)

    with pytest.raises(ValueError, match="where 6 are due"):
        _ = arrays.raw
