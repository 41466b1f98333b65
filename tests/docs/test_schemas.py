"""The published JSON Schemas: up to date, and true to what is sent and answered."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, ValidationError

from docs.schemas.generate import FOLDER, schemas, text_of
from qurable.contracts.jobs import EstimateJob, Requirements, SolveJob, parse_request
from qurable.contracts.observables import Observable
from qurable.contracts.problems import MaxCut
from qurable.requests import estimate, sample, solve
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.cut_at_hand import HALF, WANTED, two_halves
from tests.matrices_at_hand import data, feature_map

NAMES = sorted(schemas())

_ROTATED = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nry(0.7) q[0];\ncx q[0], q[1];\n'

PARAMETERISED = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit[2] q;\nry(theta) q[0];\ncx q[0], q[1];\n'


def validator(name: str) -> Draft202012Validator:
    """A validator of the schema in the file."""
    return Draft202012Validator(json.loads((FOLDER / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_the_contracts_say_today(name: str) -> None:
    """Clients in other languages are generated from these; `python -m docs.schemas.generate` writes them."""
    assert (FOLDER / name).read_text(encoding="utf-8") == text_of(schemas()[name])


def test_there_is_no_schema_of_a_document_that_is_gone() -> None:
    """A file that nothing writes any more would be believed for ever."""
    assert sorted(path.name for path in FOLDER.glob("*.json")) == NAMES


@pytest.mark.parametrize(
    "job",
    [
        sample(BELL, shots=10, seed=1, labels={"team": "red"}),
        sample(BELL, backend=Requirements(min_qubits=5, noisy=True), limits={"total": 60}),
        estimate((PARAMETERISED, ["ZZ", {"XX": 0.5, "ZI": -1.0}], {"theta": [0.1, 0.2]}), precision=0.1),
        solve(MaxCut(num_nodes=3, edges=((0, 1, 1.0), (1, 2, 2.0))), BELL),
    ],
    ids=["sample", "requirements", "estimate", "solve"],
)
def test_what_the_client_sends_is_valid(job: Any) -> None:
    """The schema describes the documents that really travel."""
    validator("job-request.json").validate(job.model_dump(mode="json"))


SHORT: Mapping[str, dict[str, Any]] = {
    "a bare program": {"kind": "sample", "pubs": [{"circuit": BELL}]},
    "a program without its format": {"kind": "sample", "pubs": [{"circuit": {"text": BELL, "name": "bell"}}]},
    "bindings by name": {
        "kind": "sample",
        "pubs": [{"circuit": PARAMETERISED, "bindings": {"theta": [[0.1, 0.2]]}}],
    },
    "labels": {"kind": "estimate", "pubs": [{"circuit": BELL, "observables": [["ZZ"], [{"XX": 0.5}]]}]},
}


@pytest.mark.parametrize("document", SHORT.values(), ids=SHORT)
def test_the_short_forms_are_valid_and_accepted(document: dict[str, Any]) -> None:
    """People write the short forms; a schema that refuses them, or a service that does, would be wrong."""
    validator("job-request.json").validate(document)
    parse_request(document)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "sample", "pubs": [{"circuit": BELL, "shots": 0}]},
        {"kind": "sample", "pubs": [{"circuit": BELL}], "shot": 100},
        {"kind": "sample", "pubs": []},
        {"pubs": [{"circuit": BELL}]},
        {"kind": "guess", "pubs": [{"circuit": BELL}]},
        {"kind": "estimate", "pubs": [{"circuit": BELL}]},
    ],
    ids=["no shots", "unknown field", "no pubs", "no kind", "unknown kind", "no observables"],
)
def test_what_the_service_refuses_the_schema_refuses(document: dict[str, Any]) -> None:
    """A client that checks first learns the same as from the service."""
    with pytest.raises(ValidationError):
        validator("job-request.json").validate(document)
    with pytest.raises(ValueError, match="validation error"):
        parse_request(document)


async def test_a_report_and_a_status_are_valid(service: Service) -> None:
    """What comes back is described too, a real one and all of it."""
    report = await service.run(BELL, shots=10)
    status = await service.qurable.status(report.id)

    validator("job-report.json").validate(report.model_dump(mode="json"))
    validator("job-status.json").validate(status.model_dump(mode="json"))


async def test_reports_of_patterns_are_valid(service: Service) -> None:
    """As the commands print them with `--json`."""
    qurable = service.qurable
    loop, batch, compared, cut, kernel, precise = await asyncio.gather(
        qurable.optimise("ZZ", "real_amplitudes:1", stop={"evaluations": 4}),
        qurable.batch([sample(BELL, shots=10, seed=1, backend="aer")]),
        qurable.compare(sample(BELL, shots=10, seed=1), on=["aer", "fake_manila"]),
        qurable.cut((two_halves(), WANTED), cut={"qubits": HALF}, shots=100, seed=5, backend="aer"),
        qurable.kernel(feature_map(), data(3), shots=100, seed=5),
        qurable.start_precise(_ROTATED, {"ZZ": 1.0}, precision=0.1, backend="aer", seed=4),
    )
    items = [item async for item in batch.results()]
    reports = {
        "batch-item": items[0],
        "batch-report": await batch.report(),
        "comparison-report": await compared.report(),
        "cut-report": await cut.report(),
        "loop-report": await loop.report(),
        "matrix-report": await kernel.report(),
        "precise-report": await precise.report(),
    }

    for name, report in reports.items():
        validator(f"{name}.json").validate(report.model_dump(mode="json"))


async def test_a_reader_of_reports_is_not_troubled_by_a_later_field(service: Service) -> None:
    """An upgrade of the service must not break a client that validates what it gets."""
    report = await service.run(BELL, shots=10)

    validator("job-report.json").validate(report.model_dump(mode="json") | {"field_of_a_later_version": 1})


def test_every_contract_of_a_job_has_a_sentence_in_the_schema() -> None:
    """The schema is read without the code beside it."""
    described = schemas()["job-request.json"]["$defs"]

    for contract in (EstimateJob, SolveJob, Observable):
        name = contract.__name__
        text = json.dumps(described[name])
        assert (contract.__doc__ or "").splitlines()[0] in text, name
