"""Each command against a service: what people read, what programs read, and the exit code."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qurable.client import Job
from qurable.contracts.executions import Phase
from qurable.contracts.reports import State
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL, ENDLESS
from tests.cli.shell import qurable
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend


@pytest.fixture
def bell(tmp_path: Path) -> str:
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    return str(file)


async def test_run_draws_the_counts_and_says_who_answered(service: Service, bell: str) -> None:
    """Progress goes to standard error, the report to standard output."""
    ended = await qurable(service, "run", bell, "--shots", "1000", "--seed", "7", "--backend", "aer")

    assert ended.code == 0
    bars = re.findall(r"^  (00|11)  (█+) +(\d+) +(\d+\.\d)%$", ended.out, re.MULTILINE)
    assert sum(int(count) for _, _, count, _ in bars) == 1000
    assert max(len(bar) for _, bar, _, _ in bars) == 40
    assert "rightmost bit is bit 0" in ended.out
    assert "served by aer: asked for; stabilizer" in ended.out
    assert re.search(r"^times    compile \d+\.\d+ s, queue ", ended.out, re.MULTILINE)
    (job_id,) = re.findall(r"^report   (\S+) \(completed\)$", ended.out, re.MULTILINE)
    assert f"job {job_id}" in ended.err
    for state in ("accepted", "validated", "compiled", "submitted", "running", "completed"):
        assert state in ended.err


async def test_run_prints_one_document_for_programs(service: Service, bell: str) -> None:
    """And nothing else on either stream; the same seed gives the same counts."""
    command = ("run", bell, "--shots", "1000", "--seed", "7", "--json")
    first, second = await asyncio.gather(qurable(service, *command), qurable(service, *command))

    assert (first.code, first.err) == (0, "")
    assert first.document["state"] == "completed"
    assert first.document["id"] != second.document["id"]
    assert first.document["results"] == second.document["results"]
    (register,) = first.document["results"][0]["registers"]
    assert sum(register["counts"].values()) == 1000


async def test_run_estimates_observables_exactly_or_within_a_precision(service: Service, bell: str) -> None:
    """Values with their errors, and where these come from."""
    exact = await qurable(service, "run", bell, "-o", "XX", "-o", "ZI", "--precision", "0")
    rough = await qurable(service, "run", bell, "-o", "XX", "-o", "ZI", "--precision", "0.1", "--json")

    assert "pub 0: shape [2], exact" in exact.out
    assert re.search(r"\[0\]  \+1\.000000000$", exact.out, re.MULTILINE)
    assert "warning  " in exact.out
    (estimated,) = rough.document["results"]
    assert estimated["error_origin"] == "shots"
    assert (exact.code, rough.code) == (0, 0)


async def test_run_takes_parameters_by_name_and_a_job_as_json(service: Service, tmp_path: Path) -> None:
    """Options go before what the document says."""
    program = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nbit c;\nrx(theta) q;\nc = measure q;\n'
    file = tmp_path / "job.json"
    document = {"kind": "sample", "pubs": [{"circuit": {"text": BELL}}], "seed": 1}
    file.write_text(json.dumps(document), encoding="utf-8")

    turned = await qurable(service, "run", "-", "-p", "theta=3.141592653589793", "--json", text=program)
    written = await qurable(service, "run", str(file), "--seed", "2", "--json")

    assert turned.document["results"][0]["registers"][0]["counts"] == {"1": 1024}
    assert written.document["provenance"]["seed"] == 2


async def test_the_same_key_is_the_same_job(service: Service, bell: str) -> None:
    """And with another body a conflict, which is the sender's to repair."""
    key = uuid.uuid4().hex
    first = await qurable(service, "run", bell, "--shots", "10", "--key", key, "--json")
    second = await qurable(service, "run", bell, "--shots", "10", "--key", key, "--json")
    third = await qurable(service, "run", bell, "--shots", "11", "--key", key, "--json")

    assert first.document == second.document
    assert third.code == 2
    assert third.document["error"]["code"] == "KeyReused"
    assert set(third.document) == {"error"}  # the job that has the key has not failed


async def test_a_job_that_fails_exits_with_four_and_a_refused_one_with_two(
    service: Service, bell: str, tmp_path: Path
) -> None:
    """A script knows what is the input's fault."""
    broken = tmp_path / "broken.qasm"
    broken.write_text(BELL.replace("cx q", "cy2 q"), encoding="ascii")
    refused = await qurable(service, "run", str(broken), "--json")
    failed = await qurable(service, "run", bell, "--backend", "aer_gpu", "--json")

    assert refused.code == 2
    assert "line 6, column 1" in refused.err
    assert refused.document["state"] == "failed"
    assert refused.document["error"]["details"] == {"line": 6, "column": 1}
    assert failed.code == 4
    assert failed.document["error"]["code"] == "BackendNotInstalled"
    assert failed.document["id"].startswith("default-")


async def test_submit_leaves_and_status_follows_to_the_end(service: Service, bell: str) -> None:
    """The id is all that the next command needs."""
    started = await qurable(service, "submit", bell, "--shots", "20", "--json")
    job_id = started.document["id"]
    followed = await qurable(service, "status", job_id, "--follow")
    lines = await qurable(service, "status", job_id, "--follow", "--json")
    status = await qurable(service, "status", job_id)
    result = await qurable(service, "result", job_id, "--json")

    assert started.document["results"] == []
    assert [ended.code for ended in (started, followed, lines, status, result)] == [0] * 5
    states = [line.split()[2] for line in followed.out.splitlines()]
    assert states[0] == "accepted"
    assert states[-1] == "completed"
    assert len(lines.out.splitlines()) == len(states)
    assert re.search(r"^state    completed$", status.out, re.MULTILINE)
    assert result.document["id"] == job_id
    assert result.document["state"] == "completed"


@pytest.mark.parametrize("command", ["status", "result", "cancel"])
async def test_an_unknown_job_is_said_to_be_unknown(service: Service, command: str) -> None:
    """Not to have failed."""
    ended = await qurable(service, command, "default-nobody", "--json")

    assert ended.code == 4
    assert ended.document["error"]["code"] == "JobNotFound"
    assert "default-nobody" in ended.err


async def test_list_filters_by_project_and_state(service: Service, bell: str) -> None:
    """Newest first."""
    project = f"p-{uuid.uuid4().hex[:8]}"
    jobs = [
        (await qurable(service, "run", bell, "--shots", "5", "--project", project, "--json")).document["id"]
        for _ in range(2)
    ]
    broken = await qurable(service, "run", "-", "--project", project, "--json", text="OPENQASM 2.0; oops")

    everything = await qurable(service, "list", "--project", project, "--json")
    failed = await qurable(service, "list", "--project", project, "--state", "failed", "--json")
    newest = await qurable(service, "list", "--project", project, "--limit", "1", "--json")
    table = await qurable(service, "list", "--project", project)
    unknown = await qurable(service, "list", "--state", "asleep")

    broken_id = broken.document["id"]
    assert [job["id"] for job in everything.document] == [broken_id, *reversed(jobs)]
    assert [job["id"] for job in failed.document] == [broken_id]
    assert [job["id"] for job in newest.document] == [broken_id]
    for job_id in (broken_id, *jobs):
        assert re.search(rf"{job_id}\s", table.out), "an id that is cut off cannot be used"
    assert unknown.code == 2
    assert "states are accepted, validated" in unknown.err


async def test_backends_are_listed_with_what_is_missing(service: Service) -> None:
    """A name that is listed can be asked for; one that cannot run here says why."""
    document = await qurable(service, "backends", "--json")
    table = await qurable(service, "backends")

    by_name = {backend["name"]: backend for backend in document.document}
    assert by_name["aer"]["available"]
    assert by_name["fake_torino"]["num_qubits"] == 133
    if not by_name["aer_gpu"]["available"]:
        assert by_name["aer_gpu"]["reason"]
        assert by_name["aer_gpu"]["reason"] in table.out
    for name in by_name:
        assert re.search(rf"^ *{name} ", table.out, re.MULTILINE), name


@pytest.fixture
async def with_qpu(stack: Stack) -> AsyncIterator[tuple[Service, ScriptedBackend]]:
    """A service with a device whose queue does not move."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with stack(backends={"qpu": qpu}, cores=2) as service:
        yield service, qpu


async def test_cancel_ends_a_job_in_the_queue_and_withdraws_it(
    with_qpu: tuple[Service, ScriptedBackend], bell: str
) -> None:
    """Until then its status says what it waits for and what comes next."""
    service, qpu = with_qpu
    job_id = (await qurable(service, "submit", bell, "--backend", "qpu", "--json")).document["id"]
    await asyncio.wait_for(qpu.queued.wait(), 30)
    waiting = await qurable(service, "status", job_id)
    following = asyncio.create_task(qurable(service, "status", job_id, "--follow"))
    cancelled = await qurable(service, "cancel", job_id)
    followed = await following
    result = await qurable(service, "result", job_id, "--json")
    again = await qurable(service, "cancel", job_id)

    assert re.search(r"^stage    await_start on qpu, for .*; next: await done$", waiting.out, re.MULTILINE)
    assert re.search(r"^waiting  queued at 'qpu'", waiting.out, re.MULTILINE)
    assert (cancelled.code, again.code) == (0, 0)
    assert followed.out.splitlines()[-1].split()[2] == "cancelled"
    assert result.code == 4
    assert result.document["state"] == "cancelled"
    assert qpu.cancelled == qpu.submitted


async def test_finished_pubs_are_shown_before_the_job_ends(
    with_qpu: tuple[Service, ScriptedBackend],
) -> None:
    """`result --no-wait` of a job whose second circuit takes long; None stands for it."""
    service, _ = with_qpu
    job = await service.qurable.submit((BELL,), shots=10, backend="qpu")
    nothing = await qurable(service, "result", job.id, "--no-wait", "--json")
    await job.cancel()

    running = await service.qurable.submit(sample(BELL, ENDLESS, shots=10, backend="aer"))
    await _first_is_finished(running, service)
    document = await qurable(service, "result", running.id, "--no-wait", "--json")
    shown = await qurable(service, "result", running.id, "--no-wait")
    await running.cancel()

    assert (nothing.code, nothing.document["results"]) == (0, [None])
    assert document.document["state"] == "running"
    first, second = document.document["results"]
    assert sum(first["registers"][0]["counts"].values()) == 10
    assert second is None
    assert document.code == shown.code == 0
    assert "pub 0: 10 shots" in shown.out
    assert "finished 1 of 2 pubs" in shown.out
    assert re.search(r"^state    running$", shown.out, re.MULTILINE)


async def _first_is_finished(job: Job, service: Service) -> None:
    await until("it runs", lambda: "await_done-0" in service.journal.steps(job.id))

    async def finished() -> bool:
        return any((await service.qurable.results(job.id)).pubs)

    await until("a pub is finished", finished, 30)
    assert (await job.status()).state is State.RUNNING
