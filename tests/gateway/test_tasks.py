"""The API of the microservice that many start from: the bodies of its answers, to the letter."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from isolation.pool import Nursery
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import job_id
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.gateway.conftest import Http, NoWorker, running_gateway
from tests.gateway.test_jobs import WAIT
from worker import Hooks, workers

KEYS = ["id", "circuit_qasm", "shots", "status", "result", "error", "created_at", "completed_at"]
MISSING = {
    "detail": [
        {
            "type": "missing",
            "loc": ["body", "shots"],
            "msg": "Field required",
            "input": {"quantum_circuit": BELL},
        }
    ]
}
CUT_OFF = {
    "detail": [
        {
            "type": "json_invalid",
            "loc": ["body", 1],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": "Expecting property name enclosed in double quotes"},
        }
    ]
}


async def done(http: Http, task_id: str) -> Any:
    """A task, as soon as it is completed or failed."""
    return await http.until(f"/tasks/{task_id}", lambda task: task["status"] in {"completed", "failed"})


async def test_a_task_runs_and_its_result_is_counts(http: Http) -> None:
    """What every client of that service does: send, ask again, read the counts."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL, "shots": 1024})
    task = await done(http, sent.json()["task_id"])

    assert sent.status_code == 201
    assert list(sent.json()) == ["task_id", "status"]
    assert sent.json()["status"] == "pending"
    assert uuid.UUID(sent.json()["task_id"]).version == 4
    assert list(task) == KEYS
    assert (task["id"], task["circuit_qasm"], task["shots"]) == (sent.json()["task_id"], BELL, 1024)
    assert (task["status"], task["error"]) == ("completed", None)
    assert set(task["result"]) == {"00", "11"}
    assert sum(task["result"].values()) == 1024


async def test_the_times_of_a_task_look_as_they_did(http: Http) -> None:
    """Created without a zone, completed with one, both in UTC: clients parse them so."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL, "shots": 10})
    task = await done(http, sent.json()["task_id"])

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?", task["created_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", task["completed_at"])
    created = datetime.fromisoformat(task["created_at"]).replace(tzinfo=UTC)
    assert timedelta(0) < datetime.fromisoformat(task["completed_at"]) - created < timedelta(minutes=1)


async def test_several_registers_are_counted_as_qiskit_does(http: Http) -> None:
    """The last register comes first, a space between."""
    two = BELL.replace("creg c[2];", "creg a[1];\ncreg b[1];").replace(
        "measure q -> c;", "x q[0];\nmeasure q[0] -> a[0];\nmeasure q[1] -> b[0];"
    )
    sent = await http.post("/tasks", {"quantum_circuit": two, "shots": 100})

    assert set((await done(http, sent.json()["task_id"]))["result"]) == {"0 1", "1 0"}


async def test_a_task_is_one_job_and_kept_once(http: Http, service: Service) -> None:
    """The task's id is the job's key: the same job in the list, in Temporal, and under /jobs."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL, "shots": 10})
    await done(http, sent.json()["task_id"])

    job = (await http.get("/jobs", params={"project": "tasks", "limit": 1})).json()["jobs"][0]
    assert job["id"] == job_id("tasks", sent.json()["task_id"])
    assert service.journal.steps(job["id"]).count("accept") == 1


async def test_a_bad_circuit_is_taken_and_fails_with_its_reason(http: Http) -> None:
    """That service left `error` empty; here it says line and column."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL.replace("cx q", "cy2 q"), "shots": 100})
    task = await done(http, sent.json()["task_id"])

    assert sent.status_code == 201
    assert (task["status"], task["result"]) == ("failed", None)
    assert "line 6, column 1" in task["error"]
    assert task["completed_at"] is not None


@pytest.mark.parametrize("shots", [0, -5, 10**9, 10**30])
async def test_shots_that_nobody_can_take_fail_with_their_limit(http: Http, shots: int) -> None:
    """Taken, as there; but the reason is a sentence, and the document still shows what was asked."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL, "shots": shots})
    task = await done(http, sent.json()["task_id"])

    assert sent.status_code == 201
    assert (task["status"], task["shots"], task["circuit_qasm"]) == ("failed", shots, BELL)
    assert "shots" in task["error"]


async def test_a_circuit_that_is_too_long_fails_with_its_size(http: Http) -> None:
    """Over the limit of texts, under that of bodies."""
    sent = await http.post("/tasks", {"quantum_circuit": BELL + " " * 2**23, "shots": 1})
    task = await done(http, sent.json()["task_id"])

    assert task["status"] == "failed"
    assert "8,388,608" in task["error"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [({"quantum_circuit": BELL}, MISSING), ("{quantum_circuit", CUT_OFF)],
    ids=["missing field", "no JSON"],
)
async def test_a_request_that_is_none_gets_the_body_it_got(http: Http, body: Any, answer: Any) -> None:
    """Clients show `detail` to people."""
    headers = {"Content-Type": "application/json"}

    refused = await http.call(
        "POST", "/tasks", headers=headers, **({"data": body} if isinstance(body, str) else {"json": body})
    )

    assert (refused.status_code, refused.json()) == (422, answer)
    assert refused.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"quantum_circuit": "\\ud800", "shots": 1}', 422),
        ('{"quantum_circuit": "x", "shots": NaN}', 422),
        ('{"quantum_circuit": "x", "shots": 1e400}', 422),
        ('{"quantum_circuit": ' + "[" * 100_000 + ', "shots": 1}', 400),
    ],
    ids=["half a surrogate pair", "NaN", "infinity", "nested 100,000 deep"],
)
async def test_input_that_cannot_be_repeated_is_refused_all_the_same(
    http: Http, body: str, status: int
) -> None:
    """FastAPI's own handler fails on some of these, as that service does."""
    answer = await http.call("POST", "/tasks", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_a_client_may_leave_out_the_content_type(http: Http) -> None:
    """`requests.post(url, data=json.dumps(...))` does."""
    body = f'{{"quantum_circuit": "{BELL.encode("unicode_escape").decode()}", "shots": 5}}'.replace(
        '"qelib1.inc"', '\\"qelib1.inc\\"'
    )
    sent = await http.call("POST", "/tasks", data=body)

    assert sent.status_code == 201


@pytest.mark.parametrize("task_id", ["eeff59b4-e4d6-464c-813f-184ba5564b38", "nonsense", "%00"])
async def test_an_unknown_task_is_not_found(http: Http, task_id: str) -> None:
    """With exactly these words."""
    answer = await http.get(f"/tasks/{task_id}")

    assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found"})
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_job_that_is_no_task_is_not_found(http: Http) -> None:
    """Somebody may use the project for jobs of another kind; they have no counts to show."""
    key = str(uuid.uuid4())
    job = {
        "kind": "estimate",
        "pubs": [{"circuit": BELL, "observables": "ZZ"}],
        "project": "tasks",
        "key": key,
    }
    await http.post("/jobs", job, headers=WAIT)

    assert (await http.get(f"/tasks/{key}")).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "/tasks"), ("DELETE", "/tasks/x")])
async def test_what_that_service_cannot_do_is_not_allowed(http: Http, method: str, path: str) -> None:
    """There is no list and no delete."""
    answer = await http.call(method, path)

    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


async def test_a_task_sent_while_no_worker_is_up_stays_pending_and_runs_later(
    without_worker: NoWorker, nursery: Nursery
) -> None:
    """There it would wait for ever; here Temporal holds it, and says what was sent."""
    async with without_worker() as idle, running_gateway(idle.settings) as http:
        sent = (await http.post("/tasks", {"quantum_circuit": BELL, "shots": 50})).json()
        waiting = (await http.get(f"/tasks/{sent['task_id']}")).json()
        async with workers(idle.settings, idle.temporal, Hooks(nursery=nursery)):
            task = await done(http, sent["task_id"])

    assert list(waiting) == KEYS
    assert (waiting["status"], waiting["shots"], waiting["circuit_qasm"]) == ("pending", 50, BELL)
    assert (waiting["result"], waiting["error"], waiting["completed_at"]) == (None, None, None)
    assert task["status"] == "completed"
    assert task["created_at"] == waiting["created_at"]


async def test_a_task_that_waits_in_a_queue_is_processing(stack: Stack) -> None:
    """From the moment a worker has read it until it ends."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    key = str(uuid.uuid4())
    job = {
        "kind": "sample",
        "pubs": [{"circuit": BELL, "shots": 1}],
        "project": "tasks",
        "key": key,
        "labels": {"created_at": "2026-11-21T08:05:51.917561"},
        "backend": "qpu",
    }

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        await http.post("/jobs", job)
        task = await http.until(f"/tasks/{key}", lambda task: task["status"] != "pending")

    assert (task["status"], task["created_at"]) == ("processing", "2026-11-21T08:05:51.917561")


async def test_health_has_the_keys_its_clients_look_for(http: Http) -> None:
    """`nats` is Temporal and `redis` the store."""
    answer = await http.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "services": {"nats": True, "redis": True}}
