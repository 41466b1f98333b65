"""The gateway as a program: where it listens, whom it serves, how it fails and stops."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from gateway import jobs
from gateway.errors import status_of
from qurable.errors import BY_CODE, HybridError, RequestRejected
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.gateway.conftest import ROOT, Http, NoWorker, running_gateway, wait_until_healthy
from tests.gateway.test_events import following
from tests.gateway.test_jobs import UNKNOWN, bell


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        (
            {"QURABLE_GATEWAY_ADDRESS": "0.0.0.0:8000"},
            "gateway: QURABLE_GATEWAY_ADDRESS='0.0.0.0:8000' is reached",
        ),
        (
            {"QURABLE_DATABASE_URL": "mysql://u:secret@h/d"},
            "gateway: QURABLE_DATABASE_URL names a store of kind",
        ),
    ],
    ids=["address", "store"],
)
def test_the_program_ends_with_one_clear_line_where_a_setting_is_wrong(
    setting: dict[str, str], complaint: str
) -> None:
    """No traceback for a setting."""
    ended = _gateway(setting)
    output, _ = ended.communicate(timeout=60)

    assert ended.returncode == 1
    assert output.decode().startswith(complaint)
    assert len(output.splitlines()) == 1
    assert b"secret" not in output


async def test_the_program_stops_though_somebody_watches(without_worker: NoWorker) -> None:
    """A deployment waits for a stream no longer than for anything else: nothing had to be cut off."""
    async with without_worker() as idle:
        address = f"127.0.0.1:{free_port()}"
        running = _gateway({"QURABLE_GATEWAY_ADDRESS": address, "QURABLE_HOME": str(idle.settings.home)})
        try:
            assert await asyncio.to_thread(wait_until_healthy, f"http://{address}", running)
            http = Http(f"http://{address}")
            job = (await http.post("/jobs", bell())).json()["id"]
            async with following(http, job) as stream:
                running.terminate()
                rest = await stream.rest()
                output, _ = await asyncio.to_thread(running.communicate, timeout=60)
        finally:
            running.kill()
            running.communicate()

    assert rest == []
    assert b"Application shutdown complete" in output
    assert b"timeout graceful shutdown exceeded" not in output


def _gateway(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.app"],
        env={**os.environ, **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


async def test_a_page_under_another_name_is_not_served(http: Http) -> None:
    """A browser may be made to reach loopback under a name of the attacker's."""
    answer = await http.get("/jobs", headers={"Host": "attacker.example"})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 201),
        ("http://localhost:3000", 201),
        ("http://[::1]", 201),
        ("https://attacker.example", 403),
        ("http://localhost.attacker.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_a_page_of_another_origin_starts_nothing(http: Http, origin: str | None, status: int) -> None:
    """A browser sends a body without a content type wherever a page likes, without asking first."""
    headers = {} if origin is None else {"Origin": origin}
    body = json.dumps({"quantum_circuit": BELL, "shots": 1})

    answer = await http.call("POST", "/tasks", data=body, headers=headers)

    assert answer.status_code == status


async def test_a_name_that_it_was_given_is_served(service: Service) -> None:
    """Behind something that authenticates, and among containers, the gateway has a name of its own."""
    async with running_gateway(service.settings.model_copy(update={"gateway_hosts": ("gateway",)})) as http:
        answers = [
            (await http.get("/health", headers={"Host": host})).status_code
            for host in ("gateway:8000", "localhost", "[::1]:8000", "attacker.example")
        ]

    assert answers == [200, 200, 200, 400]


@pytest.mark.parametrize("error", BY_CODE.values(), ids=list(BY_CODE))
def test_every_error_has_a_status(error: type[HybridError]) -> None:
    """A client may blame itself for 4xx alone, and try again after 503."""
    status = status_of(error)

    assert issubclass(error, RequestRejected) == (status in {403, 409, 422})
    assert not (error.retry_here and error.attempts is None) or status == 503


async def test_a_defect_is_a_problem_without_its_entrails(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the traceback; the client has a code."""

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(jobs, "find", broken)
    answer = await http.get(f"/jobs/{UNKNOWN}")

    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert "secret" not in answer.text


async def test_an_unknown_path_is_a_problem_too(http: Http) -> None:
    """One shape for everything that goes wrong."""
    answer = await http.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "NotFound"


async def test_the_gateway_reads_where_the_service_writes(http: Http, service: Service) -> None:
    """One store, two readers."""
    job = await service.qurable.submit(bell()["pubs"][0]["circuit"], shots=3)
    await job.result()

    assert (await http.get(f"/jobs/{job.id}")).json()["state"] == "completed"
