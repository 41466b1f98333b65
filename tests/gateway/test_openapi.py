"""The OpenAPI document and what the gateway does say the same."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.app import create_app
from gateway.connections import Connections
from tests.circuits_at_hand import BELL

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("application/jsonl")
def _as_it_stands(_context: Any, value: Any) -> bytes:
    """JSON lines are a text to the document."""
    return str(value).encode("utf-8", "replace")


DOCUMENT = create_app(Connections(Path(), "postgresql://nowhere")).openapi()

# Thousands of bodies, each with one field beyond one bound, take a minute: they are for `make test-long`.
WITHOUT_BOUNDS = SchemathesisConfig.from_dict(
    {"operations": [{"include-name": "POST /jobs", "phases": {"coverage": {"enabled": False}}}]}
)
schema = schemathesis.openapi.from_dict(DOCUMENT, config=WITHOUT_BOUNDS)
with_bounds = schemathesis.openapi.from_dict(DOCUMENT).include(path="/jobs", method="POST")

bounded = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)


@schema.parametrize()
@bounded
def test_every_answer_is_documented_and_none_is_a_servers_error(
    case: schemathesis.Case[Any], make_up: str
) -> None:
    """Whoever generates a client from the document meets no surprise."""
    case.call_and_validate(base_url=make_up, checks=CHECKS)


@pytest.mark.long
@with_bounds.parametrize()
@bounded
def test_a_job_beyond_any_bound_is_answered_as_documented(case: schemathesis.Case[Any], make_up: str) -> None:
    """The same for each bound of each field."""
    case.call_and_validate(base_url=make_up, checks=CHECKS)


@pytest.fixture(scope="module")
def ended(make_up: str) -> dict[str, str]:
    """A job and a task that have ended, by the names of their parameters."""
    with requests.Session() as session:
        task = session.post(
            f"{make_up}/tasks", json={"quantum_circuit": BELL, "shots": 10}, timeout=60
        ).json()
        job = {"kind": "sample", "pubs": [{"circuit": BELL}, {"circuit": BELL, "shots": 5}]}
        batch = session.post(f"{make_up}/batches", json=[job], timeout=60).json()
        report = session.post(f"{make_up}/jobs", json=job, headers={"Prefer": "wait=60"}, timeout=70).json()
        over = until_ended(session, f"{make_up}/batches/{batch['id']}")
    return {"job_id": report["id"], "task_id": task["task_id"], "batch_id": over["id"]}


def until_ended(session: requests.Session, url: str) -> dict[str, Any]:
    """The document of a batch, once it has ended."""
    while (document := session.get(url, timeout=60).json())["state"] == "running":
        time.sleep(0.05)
    found: dict[str, Any] = document
    return found


OPERATIONS = [(method, path) for path, item in schema.raw_schema["paths"].items() for method in item]


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path in OPERATIONS if "{" in path and method != "post"]
)
def test_what_is_said_of_a_job_that_is_there_is_documented(
    make_up: str, ended: dict[str, str], method: str, path: str
) -> None:
    """Random ids meet no job; these do."""
    names = {name: value for name, value in ended.items() if f"{{{name}}}" in path}

    answer = (
        schema[path][method.upper()]
        .Case(path_parameters=names)
        .call_and_validate(base_url=make_up, checks=CHECKS)
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_is_shown_by_example(method: str, path: str) -> None:
    """A document without examples is read by programs only."""
    operation = schema.raw_schema["paths"][path][method]
    told = [body for answer in operation["responses"].values() for body in answer.get("content", {}).items()]

    assert operation["summary"]
    assert any("example" in body or "examples" in body for _, body in told)
    assert all(parameter["schema"] for parameter in operation.get("parameters", ()))
    if "requestBody" in operation:
        assert operation["requestBody"]["content"]["application/json"]["examples"]
    assert all(
        media_type == "application/problem+json"
        for status, answer in operation["responses"].items()
        for media_type in answer.get("content", {})
        if int(status) >= 400 and not path.startswith(("/tasks", "/health"))
    )
