"""Jobs over HTTP, on a real socket, with a real worker behind it."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from gateway.bodies import MAX_BODY_BYTES
from isolation.pool import Nursery
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import job_id
from qurable.contracts.reports import State
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.gateway.conftest import Http, NoWorker, running_gateway
from worker import Hooks, workers

WAIT = {"Prefer": "wait=30"}
UNKNOWN = "default-" + "0" * 24
WIDE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[16] q;\nbit[16] c;\nh q;\nc = measure q;\n'


def bell(**options: Any) -> dict[str, Any]:
    """A job that samples a Bell circuit."""
    shots = options.pop("shots", 100)
    return {"kind": "sample", "pubs": [{"circuit": BELL, "shots": shots}], **options}


async def test_a_job_that_ends_in_time_answers_with_its_report(http: Http) -> None:
    """One request, one answer: what a script with curl wants."""
    answer = await http.post("/jobs", bell(seed=7, backend="aer", shots=1000), headers=WAIT)

    report = answer.json()
    assert answer.status_code == 200
    assert answer.headers["Location"] == f"/jobs/{report['id']}"
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert (report["state"], report["served_by"]) == ("completed", "aer")
    assert sum(report["results"][0]["registers"][0]["counts"].values()) == 1000


async def test_a_problem_alone_is_answered_in_its_own_terms(http: Http) -> None:
    """A job of kind `solve` needs no circuit where a classical solver is asked."""
    edge = {"kind": "maxcut", "num_nodes": 2, "edges": [[0, 1, 1.5]]}
    answer = await http.post(
        "/jobs", {"kind": "solve", "problem": edge, "backend": "classical", "seed": 2}, headers=WAIT
    )

    report = answer.json()
    assert answer.status_code == 200
    assert (report["answer_kind"], report["answer"]["objective"], report["answer"]["gap"]) == (
        "classical",
        1.5,
        0.0,
    )
    assert report["provenance"]["seed"] == 2


async def test_the_report_is_the_one_the_typed_client_gets(http: Http, service: Service) -> None:
    """Two ways in, one truth."""
    answer = await http.post("/jobs", bell(), headers=WAIT)
    location = answer.headers["Location"]

    looked_at = (await http.get(location)).json()
    report = await service.qurable.result(looked_at["id"])
    links = looked_at.pop("links")
    assert looked_at == report.document()
    assert links["job"] == location


async def test_a_job_is_taken_without_waiting(http: Http) -> None:
    """By default nobody waits: the answer says where to look."""
    answer = await http.post("/jobs", bell())

    job = answer.json()
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert not State(job["state"]).final
    assert job["results"] == []
    report = await http.ended(job["id"])
    assert job["links"]["job"] == answer.headers["Location"]
    assert report["state"] == "completed"


async def test_a_wait_that_is_over_answers_where_the_job_stands(stack: Stack) -> None:
    """The client did not get its report in time; the job goes on."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        answer = await http.post("/jobs", bell(backend="qpu"), headers={"Prefer": "wait=1"})
        job = (await http.get(answer.headers["Location"])).json()

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")
    assert answer.json()["state"] == "queued"
    assert not State(job["state"]).final


async def test_a_long_wait_is_cut_and_said_so(http: Http) -> None:
    """No client holds a connection for as long as it likes."""
    answer = await http.post("/jobs", bell(), headers={"Prefer": 'wait="86400"'})

    assert answer.headers["Preference-Applied"] == "wait=60"


async def test_the_same_key_and_body_are_the_same_job(http: Http, service: Service) -> None:
    """A client that retries must not start a second job."""
    headers = {**WAIT, "Idempotency-Key": f"key-{uuid.uuid4()}"}

    first = await http.post("/jobs", bell(), headers=headers)
    second = await http.post("/jobs", bell(), headers=headers)

    assert second.json() == first.json()
    assert service.journal.steps(first.json()["id"]).count("accept") == 1


async def test_the_key_of_the_header_is_the_key_of_the_job(http: Http) -> None:
    """Header and body say the same thing, so that the typed client finds the job as well."""
    key = f"key-{uuid.uuid4()}"

    answer = await http.post("/jobs", bell(key=key), headers={"Idempotency-Key": key})

    assert answer.json()["id"] == job_id("default", key)


async def test_a_key_with_another_body_is_a_conflict(http: Http) -> None:
    """Silently answering another question would be worse than an error."""
    headers = {"Idempotency-Key": f"key-{uuid.uuid4()}"}
    job = (await http.post("/jobs", bell(), headers=headers)).json()

    while_it_runs = await http.post("/jobs", bell(shots=101), headers=headers)
    await http.ended(job["id"])
    afterwards = await http.post("/jobs", bell(shots=101), headers=headers)

    for answer in (while_it_runs, afterwards):
        assert answer.status_code == 409
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "KeyReused"
        assert answer.json()["details"]["job_id"] == job["id"]


async def test_a_key_outlives_temporals_memory(http: Http, service: Service, stack: Stack) -> None:
    """Where Temporal has forgotten the job, the same key still is the same job and another body a conflict."""
    headers = {**WAIT, "Idempotency-Key": f"key-{uuid.uuid4()}"}
    first = (await http.post("/jobs", bell(), headers=headers)).json()

    async with (
        stack(database_url=service.settings.store_url) as other_temporal,
        running_gateway(other_temporal.settings) as later,
    ):
        again = await later.post("/jobs", bell(), headers=headers)
        other = await later.post("/jobs", bell(shots=101), headers=headers)

    assert (again.status_code, again.json()) == (200, first)
    assert other.status_code == 409
    assert other_temporal.journal.steps(first["id"]) == []


async def test_two_keys_for_one_job_are_refused(http: Http) -> None:
    """Which of them would count is anybody's guess."""
    answer = await http.post("/jobs", bell(key="one"), headers={"Idempotency-Key": "other"})

    assert answer.status_code == 422
    assert "'one'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shot": 100}, "sample.shot"),
        ({"pubs": [{"circuit": BELL, "shots": 0}]}, "sample.pubs.0.shots"),
        ({"pubs": [{"circuit": BELL, "shots": 10**9}]}, "sample.pubs.0.shots"),
        ({"pubs": []}, "sample.pubs"),
        ({"kind": "sampel"}, "body"),
        ({"backend": "x" * 201}, "sample.backend.constrained-str"),
        ({"project": "Not A Slug"}, "sample.project"),
        ({"pubs": [{"circuit": BELL, "bindings": {"theta": [[1.0], [1.0, 2.0]]}}]}, "sample.pubs.0.bindings"),
    ],
)
async def test_what_is_wrong_with_a_job_is_named(http: Http, change: dict[str, Any], field: str) -> None:
    """A program finds the field, a person the reason."""
    answer = await http.post("/jobs", {**bell(), **change})

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["status"], problem["code"]) == (422, "RequestRejected")
    assert field in [entry["field"] for entry in problem["details"]["problems"]]


@pytest.mark.parametrize(
    "body",
    [
        '{"kind": "sample"',
        '{"kind": "sample", "pubs": [], "labels": {"a": "\\ud800"}}',
        '{"kind": "sample", "pubs": [], "seed": NaN}',
        '{"kind": "sample", "pubs": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"kind":' * 100_000,
        b'{"kind": "\xff"}',
        "",
    ],
    ids=[
        *(
            "cut off",
            "half a surrogate pair",
            "NaN",
            "lists nested 5,000 deep",
            "objects nested 100,000 deep",
        ),
        *("no UTF-8", "empty"),
    ],
)
async def test_a_body_that_is_no_json_is_refused(http: Http, body: str | bytes) -> None:
    """What cannot be written back is not taken in."""
    answer = await http.call("POST", "/jobs", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "RequestRejected"


async def test_qpy_is_not_taken_over_http(http: Http) -> None:
    """Only the typed client sends serialised circuits."""
    circuit = {"format": "qpy", "qpy": "UUlTS0lU"}

    answer = await http.post("/jobs", {"kind": "sample", "pubs": [{"circuit": circuit}]})

    assert answer.status_code == 422
    assert "OpenQASM" in answer.json()["detail"]


def _in_chunks() -> Iterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(50):
        yield b" " * 1_000_000


@pytest.mark.parametrize(
    "body",
    [lambda: b" " * (MAX_BODY_BYTES + 1), lambda: b" " * 50_000_000, _in_chunks],
    ids=["one byte", "50 MB", "50 MB in chunks"],
)
@pytest.mark.parametrize("path", ["/jobs", "/tasks"])
async def test_a_body_over_the_limit_is_not_read(http: Http, path: str, body: Callable[[], Any]) -> None:
    """Nobody fills the gateway's memory."""
    answer = await http.call("POST", path, data=body(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413
    assert f"{MAX_BODY_BYTES:,} bytes" in answer.json()["detail"]


async def test_a_circuit_over_its_limit_is_refused_with_both_sizes(http: Http) -> None:
    """It fits into a body, and is still too long for a text."""
    answer = await http.post("/jobs", bell(pubs=[{"circuit": BELL + " " * 2**23}]))

    assert answer.status_code == 422
    assert f"{len(BELL) + 2**23:,} bytes; at most {2**23:,}" in answer.json()["detail"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_null_bytes_are_characters_like_others(
    stack: Stack, request: pytest.FixtureRequest, database: str
) -> None:
    """PostgreSQL takes none in its texts; a job must not hang in its first stage for that."""
    url = SecretStr(request.getfixturevalue("postgresql")) if database == "postgresql" else None
    circuit = {"format": "openqasm2", "text": BELL, "metadata": {"\0": "\0"}}
    key = f"\0{uuid.uuid4()}"

    async with stack(database_url=url) as service, running_gateway(service.settings) as http:
        job = bell(key=key, labels={"a\0": "\0"}, pubs=[{"circuit": circuit}])
        odd = (await http.post("/jobs", job, headers=WAIT)).json()
        again = (await http.post("/jobs", job, headers=WAIT)).json()
        listed = (await http.get("/jobs")).json()["jobs"]
        text = (await http.post("/jobs", bell(pubs=[{"circuit": BELL + "\0"}]), headers=WAIT)).json()
        backend = (await http.post("/jobs", bell(backend="a\0er"), headers=WAIT)).json()
        task = (await http.post("/tasks", {"quantum_circuit": BELL + "\0", "shots": 1})).json()
        failed = await http.until(f"/tasks/{task['task_id']}", lambda task: task["status"] == "failed")

    assert (odd["state"], odd["results"][0]["metadata"]) == ("completed", {"\0": "\0"})
    assert again == odd
    assert [job["labels"] for job in listed] == [{"a\0": "\0"}]
    assert (text["error"]["code"], backend["error"]["code"]) == ("CircuitRejected", "UnknownBackend")
    assert failed["circuit_qasm"] == BELL + "\0"


@pytest.mark.parametrize("job", [UNKNOWN, "nonsense", "qurable-read-0123456789abcdef", "%00", "é" * 300])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/results")],
)
async def test_an_unknown_job_is_not_found(http: Http, method: str, path: str, job: str) -> None:
    """Also where the id could not be one, or is that of a workflow which is no job."""
    answer = await http.call(method, f"/jobs/{quote(job, safe='%')}{path}")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "JobNotFound"


async def test_a_job_that_fails_has_a_report_with_its_error(http: Http) -> None:
    """The request for it succeeded: 200, and the document says what went wrong."""
    broken = bell(pubs=[{"circuit": BELL.replace("cx q", "cy2 q")}])

    answer = await http.post("/jobs", broken, headers=WAIT)

    report = answer.json()
    assert answer.status_code == 200
    assert (report["state"], report["error"]["code"]) == ("failed", "CircuitRejected")
    assert "line 6, column 1" in report["error"]["message"]


async def test_values_and_their_errors_come_back(http: Http) -> None:
    """An estimate is a job like any other."""
    job = {"kind": "estimate", "pubs": [{"circuit": BELL, "observables": ["ZZ", "XX"], "precision": 0}]}

    report = (await http.post("/jobs", job, headers=WAIT)).json()

    assert report["results"][0]["evs"]["values"] == pytest.approx([1.0, 1.0])
    assert report["results"][0]["error_origin"] == "exact"


async def test_a_result_that_is_too_large_for_history_comes_back(http: Http) -> None:
    """It lies in the store, and a worker puts it together."""
    job = {"kind": "sample", "pubs": [{"circuit": WIDE, "shots": 100_000}]}

    report = (await http.post("/jobs", job, headers=WAIT)).json()

    assert sum(report["results"][0]["registers"][0]["counts"].values()) == 100_000


async def test_jobs_are_listed_page_by_page(http: Http) -> None:
    """Newest first, each once, also when there are more than fit on a page."""
    project = f"list-{uuid.uuid4().hex[:8]}"
    ids = [
        (await http.post("/jobs", bell(project=project, labels={"n": str(n)}), headers=WAIT)).json()["id"]
        for n in range(3)
    ]

    first = (await http.get("/jobs", params={"project": project, "limit": 2, "state": "completed"})).json()
    second = (await http.get(first["next"])).json()

    assert [job["id"] for job in [*first["jobs"], *second["jobs"]]] == ids[::-1]
    assert first["jobs"][0]["labels"] == {"n": "2"}
    assert second["next"] is None
    assert (await http.get("/jobs", params={"project": project, "state": "failed"})).json()["jobs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "projct=default",
        "state=done",
        "limit=0",
        "limit=1001",
        "before=yesterday",
        "before=0001-01-01T00:00:00%2B14:00",
    ],
)
async def test_a_filter_that_is_none_is_refused(http: Http, query: str) -> None:
    """A misspelt filter must not look like one that finds everything."""
    answer = await http.get(f"/jobs?{query}")

    assert answer.status_code == 422
    assert answer.json()["code"] == "RequestRejected"


async def test_a_job_says_where_it_stands_while_it_runs(stack: Stack) -> None:
    """State, stage, backend, what comes next, and the pubs that are finished: none."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        location = (await http.post("/jobs", bell(backend="qpu"))).headers["Location"]
        await asyncio.wait_for(qpu.queued.wait(), 30)
        job = (await http.get(location)).json()
        results = (await http.get(f"{location}/results")).json()

    assert (job["state"], job["stage"], job["backend"]) == ("queued", "await_start", "qpu")
    assert job["then"] == "await done"
    assert "submitted" in [event["state"] for event in job["events"]]
    assert results == {"id": job["id"], "pubs": [None]}


async def test_a_cancelled_job_is_withdrawn_and_stays_cancelled(stack: Stack) -> None:
    """Cancelling reaches the provider; cancelling again changes nothing."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        job = (await http.post("/jobs", bell(backend="qpu"))).json()
        await asyncio.wait_for(qpu.queued.wait(), 30)
        first = await http.delete(job["links"]["job"])
        report = await http.ended(job["id"])
        second = await http.delete(job["links"]["job"])

    assert first.status_code == 202
    assert (report["state"], report["error"]["code"]) == ("cancelled", "JobCancelled")
    assert qpu.cancelled == qpu.submitted
    assert (second.status_code, second.json()) == (200, report)


async def test_a_job_that_has_ended_is_not_cancelled(http: Http) -> None:
    """Its answer is kept: 200, and the report as it was."""
    report = (await http.post("/jobs", bell(), headers=WAIT)).json()

    answer = await http.delete(report["links"]["job"])

    assert (answer.status_code, answer.json()) == (200, report)


async def test_a_job_that_was_terminated_is_reported_as_failed(stack: Stack) -> None:
    """An operator may end a workflow over everybody's head; its job must not look alive."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        job = (await http.post("/jobs", bell(backend="qpu"))).json()
        await asyncio.wait_for(qpu.queued.wait(), 30)
        await service.temporal.get_workflow_handle(job["id"]).terminate("by hand")
        report = (await http.get(job["links"]["job"])).json()

    assert report["state"] == "failed"
    assert "terminated" in report["error"]["message"]
    assert [report["events"][0]["state"], report["events"][-1]["state"]] == ["accepted", "failed"]


async def test_a_job_waits_for_a_worker_and_can_be_called_off_before(
    without_worker: NoWorker, nursery: Nursery
) -> None:
    """Nobody has taken it: the status says so, and a worker that comes later finds it cancelled."""
    async with without_worker() as idle, running_gateway(idle.settings) as http:
        job = (await http.post("/jobs", bell())).json()
        waiting = (await http.get(job["links"]["job"])).json()
        cancelled = await http.delete(job["links"]["job"])
        async with workers(idle.settings, idle.temporal, Hooks(nursery=nursery)):
            report = await http.ended(job["id"])

    assert (waiting["state"], waiting["last_failure"]) == ("accepted", "no worker has taken it yet")
    assert cancelled.status_code == 202
    assert (report["state"], report["error"]["code"]) == ("cancelled", "JobCancelled")
    assert (report["project"], report["kind"], report["events"][-1]["state"]) == (
        "default",
        "sample",
        "cancelled",
    )


async def test_the_backends_are_those_of_the_workers(http: Http) -> None:
    """A client chooses by what is there."""
    backends = (await http.get("/backends")).json()["backends"]

    names = {backend["name"] for backend in backends}
    assert {"aer", "fake_manila"} <= names


async def test_numbers_that_json_does_not_have_come_back_as_words(http: Http) -> None:
    """An infinite number in the caller's notes must not break the answer."""
    circuit = {"format": "openqasm2", "text": BELL, "metadata": {"scale": "SCALE"}}
    body = json.dumps(bell(pubs=[{"circuit": circuit}])).replace('"SCALE"', "1e400")

    answer = await http.call("POST", "/jobs", data=body, headers={**WAIT, "Content-Type": "application/json"})

    assert answer.status_code == 200
    assert answer.json()["results"][0]["metadata"] == {"scale": "Infinity"}
