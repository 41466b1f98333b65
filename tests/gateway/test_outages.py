"""What the gateway says while something behind it is gone, and afterwards."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from gateway import connections
from qurable.temporal.embedded import embedded_server
from settings import Settings
from tests.circuits_at_hand import BELL
from tests.conftest import Stack
from tests.gateway.conftest import Http, NoWorker, running_gateway
from tests.gateway.test_jobs import UNKNOWN, WAIT, bell

NOWHERE = SecretStr("postgresql://127.0.0.1:1/nowhere")
TASK = {"quantum_circuit": BELL, "shots": 10}


async def test_a_gateway_may_start_before_temporal(tmp_path: Path, stack: Stack) -> None:
    """It says that nobody is there, how long to wait, and works as soon as somebody is."""
    async with running_gateway(Settings(home=tmp_path)) as http:
        refused = await http.post("/jobs", bell())
        plain = await http.post("/tasks", TASK)
        health = await http.get("/health")
        listed = await http.get("/jobs")
        async with stack():
            report = (await http.post("/jobs", bell(), headers=WAIT)).json()
            healthy = await http.get("/health")

    assert (refused.status_code, refused.json()["code"]) == (503, "ServiceUnreachable")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert (plain.status_code, list(plain.json())) == (503, ["detail"])
    assert health.json() == {"status": "unhealthy", "services": {"nats": False, "redis": True}}
    assert listed.json() == {"jobs": [], "next": None}
    assert report["state"] == "completed"
    assert healthy.json()["status"] == "healthy"


async def test_a_job_that_may_have_been_started_says_how_to_be_sure(without_worker: NoWorker) -> None:
    """The answer was lost, perhaps not the job: sent again under the key that was minted, it runs once."""
    async with without_worker() as idle, running_gateway(idle.settings) as http:
        await http.get("/health")
        os.kill(idle.server.pid, signal.SIGSTOP)
        try:
            refused, looked, health = await asyncio.gather(
                http.post("/jobs", bell()), http.get(f"/jobs/{UNKNOWN}"), http.get("/health")
            )
        finally:
            os.kill(idle.server.pid, signal.SIGCONT)
        details = refused.json()["details"]
        again = await http.post("/jobs", bell(), headers={"Idempotency-Key": details["key"]})

    assert (refused.status_code, refused.json()["code"]) == (503, "ServiceUnreachable")
    assert (looked.status_code, looked.json()["code"]) == (503, "ServiceUnreachable")
    assert health.json()["services"] == {"nats": False, "redis": True}
    assert (again.status_code, again.json()["id"]) == (202, details["job_id"])


async def test_temporal_is_found_where_it_comes_back(without_worker: NoWorker) -> None:
    """The embedded server takes another port if its own is taken; nobody restarts the gateway for that."""
    async with without_worker() as idle, running_gateway(idle.settings) as http:
        first = await http.post("/jobs", bell())
        os.kill(idle.server.pid, signal.SIGKILL)
        with socket.socket() as squatter:
            await _take(squatter, idle.server.target)
            async with embedded_server(idle.settings.home) as elsewhere:
                await http.post("/jobs", bell())
                found = await http.get(first.headers["Location"])

    assert elsewhere.target != idle.server.target
    assert (found.status_code, found.json()["state"]) == (200, "accepted")


async def _take(squatter: socket.socket, address: str) -> None:
    host, port = address.split(":")
    squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    async with asyncio.timeout(30):
        while True:
            try:
                squatter.bind((host, int(port)))
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_jobs_are_taken_while_the_store_is_down(without_worker: NoWorker) -> None:
    """Temporal holds them and their stages wait; what only the store knows is not to be had, and said so."""
    async with without_worker() as idle:
        settings = idle.settings.model_copy(update={"database_url": NOWHERE})
        async with running_gateway(settings) as http:
            started = await http.post("/jobs", bell())
            task = await http.post("/tasks", TASK)
            answers = [
                await http.get(path)
                for path in ("/jobs", started.headers["Location"], f"{started.headers['Location']}/events")
            ]
            plain = await http.get(f"/tasks/{task.json()['task_id']}")
            health = await http.get("/health")

    assert (started.status_code, task.status_code) == (202, 201)
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "StoreUnavailable")
        assert "Retry-After" in answer.headers
        assert (plain.status_code, list(plain.json())) == (503, ["detail"])
    assert health.json() == {"status": "unhealthy", "services": {"nats": True, "redis": False}}


async def test_a_store_that_is_silent_holds_up_nobody_for_ever(
    without_worker: NoWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server behind a broken network takes connections and says nothing; jobs are taken, and the gateway stops."""
    monkeypatch.setattr(connections, "_STORE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = SecretStr(
            f"postgresql://u@127.0.0.1:{port}/x?connect_timeout=2"  # the shortest that libpq takes
        )
        async with (
            without_worker() as idle,
            asyncio.timeout(60),
            running_gateway(idle.settings.model_copy(update={"database_url": url})) as http,
        ):
            started = await http.post("/jobs", bell())
            listed = await http.get("/jobs")
            health = await http.get("/health")

    assert started.status_code == 202
    assert (listed.status_code, listed.json()["code"]) == (503, "StoreUnavailable")
    assert "does not answer within 0.5 s" in listed.json()["detail"]
    assert health.json()["services"] == {"nats": True, "redis": False}


async def test_what_a_worker_must_answer_says_that_none_is_there(
    without_worker: NoWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better than a request that hangs until somebody starts one."""
    monkeypatch.setattr(connections, "_WORKER_SECONDS", 0.5)

    async with without_worker() as idle, running_gateway(idle.settings) as http:
        answer = await http.get("/backends")

    assert (answer.status_code, answer.json()["code"]) == (503, "NoWorker")
    assert "make up" in answer.json()["detail"]


async def test_a_report_is_read_while_temporal_is_down(stack: Stack) -> None:
    """How a job failed is in the store; nobody else is needed to say it."""
    async with stack() as service, running_gateway(service.settings) as http:
        report = (await _failed(http)).json()
        os.kill(service.server.pid, signal.SIGSTOP)
        try:
            looked = await http.get(report["links"]["job"])
        finally:
            os.kill(service.server.pid, signal.SIGCONT)

    assert (looked.status_code, looked.json()) == (200, report)


async def _failed(http: Http) -> requests.Response:
    return await http.post("/jobs", bell(pubs=[{"circuit": "nonsense"}]), headers=WAIT)
