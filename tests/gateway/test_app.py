"""The gateway as a program: where it listens, whom it serves, how it fails and stops."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from gateway import jobs
from gateway.app import create_app, loopback_address
from gateway.errors import status_of
from qurable.errors import BY_CODE, HybridError, RequestRejected
from settings import Settings
from tests.conftest import Service
from tests.gateway.conftest import ROOT, Http, NoWorker, free_port, wait_until_healthy
from tests.gateway.test_events import following
from tests.gateway.test_jobs import UNKNOWN, bell


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("127.0.0.5:0", ("127.0.0.5", 0)),
        ("[::1]:8000", ("::1", 8000)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_loopback_addresses_are_served(address: str, expected: tuple[str, int]) -> None:
    """All the names that this machine has for itself."""
    assert loopback_address(address) == expected


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8000", "[::]:8000", ":8000", "10.0.0.1:8000", "somewhere:8000", "127.0.0.1", "127.0.0.1:x"],
)
def test_other_addresses_are_refused(address: str) -> None:
    """Without authentication everybody who reaches the gateway may spend the owner's money."""
    with pytest.raises(RequestRejected, match="QURABLE_GATEWAY_ADDRESS"):
        create_app(Settings(gateway_address=address))


def test_the_program_ends_with_one_clear_line_where_it_may_not_listen() -> None:
    """No traceback for a setting."""
    ended = _gateway({"QURABLE_GATEWAY_ADDRESS": "0.0.0.0:8000"})
    output, _ = ended.communicate(timeout=60)

    assert ended.returncode == 1
    assert output.decode().startswith("gateway: QURABLE_GATEWAY_ADDRESS='0.0.0.0:8000'")
    assert len(output.splitlines()) == 1


async def test_the_program_stops_at_once_though_somebody_watches(without_worker: NoWorker) -> None:
    """A deployment waits for a stream no longer than for anything else."""
    async with without_worker() as idle:
        address = f"127.0.0.1:{free_port()}"
        running = _gateway({"QURABLE_GATEWAY_ADDRESS": address, "QURABLE_HOME": str(idle.settings.home)})
        try:
            assert await asyncio.to_thread(wait_until_healthy, f"http://{address}", running)
            http = Http(f"http://{address}")
            job = (await http.post("/jobs", bell())).json()["id"]
            async with following(http, job) as stream:
                running.terminate()
                began = time.monotonic()
                rest = await stream.rest()
                await asyncio.to_thread(running.wait, 60)
        finally:
            running.kill()
            running.communicate()

    assert rest == []
    assert time.monotonic() - began < 4


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


@pytest.mark.parametrize("error", BY_CODE.values(), ids=list(BY_CODE))
def test_every_error_has_a_status(error: type[HybridError]) -> None:
    """A client may blame itself for 4xx alone, and try again after 503."""
    status = status_of(error)

    assert issubclass(error, RequestRejected) == (status in {409, 422})
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
