"""The FastAPI service, started as its readers start it, against a real Temporal and a real worker."""

import asyncio
import contextlib
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.imports import ROOT
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.emulator.running import EmulatorProcess
from tests.examples.test_script_and_notebook import environment
from tests.gateway.conftest import Http
from tests.paid import ONE_PLACE

README = ROOT / "examples" / "fastapi_service" / "README.md"

_REQUEST = r"-d '(.*)'$"


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[tuple[Http, asyncio.subprocess.Process]]:
    """A process of the example on a free port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "examples.fastapi_service.app:app", "--port", str(port)),
        cwd=ROOT,
        env=environment(service),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            heard = [line async for line in _until(process.stderr, b"Uvicorn running on")]
        assert process.returncode is None, b"".join(heard).decode()
        yield Http(f"http://127.0.0.1:{port}"), process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _until(stream: asyncio.StreamReader, words: bytes) -> AsyncIterator[bytes]:
    async for line in stream:
        yield line
        if words in line:
            return


@pytest.fixture(scope="module")
async def http(service: Service) -> AsyncIterator[Http]:
    """One process of the example for the tests that leave it alone."""
    async with running(service) as (http, _):
        yield http


async def ended(http: Http, job_id: str) -> Any:
    """Where a job stands, as soon as it has ended."""
    return await http.until(
        f"/run/{job_id}", lambda job: job["state"] in {"completed", "failed", "cancelled"}
    )


async def test_a_circuit_is_taken_at_once_and_answered_later(http: Http) -> None:
    """The whole example in two requests."""
    started = await http.post("/run", {"program": BELL, "shots": 500})
    job = await ended(http, started.json()["id"])

    assert started.status_code == 202
    assert (job["state"], job["served_by"], job["error"]) == ("completed", "aer", "")
    assert set(job["counts"]) == {"00", "11"}
    assert sum(job["counts"].values()) == 500


async def test_the_answer_does_not_need_the_process_that_was_asked(service: Service) -> None:
    """Killed right after it took the circuit; another one has the answer."""
    async with running(service) as (first, process):
        job_id = (await first.post("/run", {"program": BELL})).json()["id"]
        process.kill()
        await process.wait()
    async with running(service) as (second, _):
        job = await ended(second, job_id)

    assert job["state"] == "completed"
    assert service.journal.steps(job_id).count("accept") == 1


async def test_a_request_that_is_sent_again_starts_nothing(http: Http, service: Service) -> None:
    """Browsers and proxies retry; the key says that it is the same wish."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    first = await http.post("/run", {"program": BELL}, headers=headers)
    second = await http.post("/run", {"program": BELL}, headers=headers)
    other = await http.post("/run", {"program": BELL, "shots": 7}, headers=headers)
    without = await http.post("/run", {"program": BELL})

    assert first.json() == second.json()
    assert (other.status_code, other.json()["code"]) == (409, "KeyReused")
    assert without.json() != first.json()
    await ended(http, first.json()["id"])
    assert service.journal.steps(first.json()["id"]).count("accept") == 1


async def test_a_bad_circuit_fails_with_its_reason(http: Http) -> None:
    """It is read by a worker, not by this service."""
    started = await http.post("/run", {"program": BELL.replace("cx q", "cy2 q")})
    job = await ended(http, started.json()["id"])

    assert (job["state"], job["counts"]) == ("failed", None)
    assert "line 6, column 1" in job["error"]


async def test_the_text_of_a_stranger_is_never_a_path(http: Http) -> None:
    """The client opens files for those who run it; what comes over the network names none."""
    started = await http.post("/run", {"program": str(ROOT / "examples" / "circuits" / "ghz_5.qasm")})
    job = await ended(http, started.json()["id"])

    assert job["state"] == "failed"


@pytest.mark.parametrize("asked", [{"program": BELL, "shots": 0}, {"shots": 5}, {"program": "x" * 100_001}])
async def test_what_cannot_be_a_job_is_refused(http: Http, asked: dict[str, Any]) -> None:
    """Before anything is started."""
    assert (await http.post("/run", asked)).status_code == 422


async def test_an_unknown_job_is_not_found(http: Http) -> None:
    """The service asks; it does not remember."""
    answer = await http.get("/run/web-" + "0" * 24)

    assert (answer.status_code, answer.json()["code"]) == (404, "JobNotFound")


async def test_the_calls_of_the_readme_give_the_answers_of_the_readme(http: Http) -> None:
    """Who follows it sees what it says."""
    request, started, standing = _readme()

    headers = {"Idempotency-Key": str(uuid.uuid4())}
    job = (await http.post("/run", request, headers=headers)).json()
    answer = await ended(http, job["id"])

    assert list(job) == list(started)
    assert list(answer) == list(standing)
    assert (answer["state"], answer["served_by"]) == (standing["state"], standing["served_by"])
    assert set(answer["counts"]) == set(standing["counts"])


async def test_the_same_handler_runs_on_a_device_that_is_paid_for(stack: Stack, tmp_path: Path) -> None:
    """It says which provider job answered, how long that waited, what it took of the QPU, and what it cost."""
    asked, standing = _paid_readme()
    async with emulated(tmp_path) as emulator, stack(**_SOON) as service, running(service) as (http, _):
        await emulator.control.device("ibm_brisbane", queue_length=2)
        started = await http.post("/run", asked)
        job = await ended(http, started.json()["id"])
        (billed,) = (await emulator.control.state())["jobs"]

    assert {name: job[name] for name in ("state", "served_by", "error")} == {
        name: standing[name] for name in ("state", "served_by", "error")
    }
    assert sum(job["counts"].values()) == asked["shots"] == sum(standing["counts"].values())
    assert job["counts"]["00"] + job["counts"]["11"] > 0.8 * asked["shots"]
    (paid,) = job["provider_jobs"]
    assert list(paid) == list(standing["provider_jobs"][0])
    assert paid["id"] == billed["id"]
    assert paid["queue_seconds"] >= 60
    assert paid["qpu_seconds"] == pytest.approx(billed["billed_seconds"], abs=1e-3)
    assert (paid["price"], paid["currency"]) == (pytest.approx(1.6 * paid["qpu_seconds"]), "USD")


@pytest.mark.long
async def test_a_job_without_an_answer_shows_what_it_was_paid_for(stack: Stack, tmp_path: Path) -> None:
    """Cancelled by somebody else at the provider: an error for the caller, and still a bill for the house."""
    async with (
        emulated(tmp_path) as emulator,
        stack(**_SOON, strategy=ONE_PLACE) as service,
        running(service) as (http, _),
    ):
        await emulator.control.settings(hold=True)
        started = await http.post("/run", {"program": BELL, "backend": "ibm:manila"})
        job_id = started.json()["id"]
        await http.until(f"/run/{job_id}", lambda job: job["state"] == "queued")
        (sent,) = (await emulator.control.state())["jobs"]
        await emulator.control.set_job(sent["id"], status="Cancelled", reason="by hand")
        job = await ended(http, job_id)

    assert (job["state"], job["counts"]) == ("failed", None)
    assert job["error"]
    assert [paid["id"] for paid in job["provider_jobs"]] == [sent["id"]]


_SOON = {"poll_shortest": timedelta(seconds=0.1), "poll_longest": timedelta(seconds=0.3)}


@contextlib.asynccontextmanager
async def emulated(home: Path) -> AsyncIterator[EmulatorProcess]:
    """An emulator that announces itself in the service's data folder, as `qurable emulate` does."""
    emulator = EmulatorProcess(home, speed=60)
    emulator.start()
    try:
        await emulator.ready()
        yield emulator
    finally:
        emulator.kill()


def _paid_readme() -> tuple[Any, Any]:
    """The second request of the page, and its answer."""
    text = README.read_text(encoding="utf-8")
    (answer,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return json.loads(re.findall(_REQUEST, text, re.MULTILINE)[1]), json.loads(answer)


def _readme() -> Iterator[Any]:
    text = README.read_text(encoding="utf-8")
    yield json.loads(re.findall(_REQUEST, text, re.MULTILINE)[0])
    yield from (json.loads(answer) for answer in re.findall(r"^# (\{.*)$", text, re.MULTILINE))
