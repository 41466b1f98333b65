"""Ctrl-C on a command that waits: the job is not what is interrupted."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.circuits_at_hand import brickwork
from tests.cli.shell import PROGRAM, environment, run, started, stop_server
from tests.conftest import Service


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data folder with a long circuit in it, and nothing running."""
    (tmp_path / "long.qasm").write_text(brickwork(19, 60), encoding="ascii")
    yield tmp_path
    stop_server(tmp_path)


async def test_an_interrupted_run_goes_on_with_the_services_worker(service: Service, home: Path) -> None:
    """Only the waiting ends; the id to come back by is said."""
    shell = environment(service.settings.home, service.server.target)
    async with started(shell, PROGRAM, "run", home / "long.qasm", "--shots", "50") as running:
        await running.says(r"^  (submitted|running) ")
        running.signal(signal.SIGINT)
        interrupted = await running.ended()
    (job_id,) = [line.split("`")[1].split()[2] for line in running.err if "goes on" in line]
    result = await run(shell, "result", job_id, "--json")

    assert interrupted.code == 130
    assert interrupted.out == ""
    assert "Traceback" not in interrupted.err
    assert f"job {job_id} goes on with its worker: `qurable result {job_id}` waits for it" in interrupted.err
    assert result.code == 0
    assert result.document["state"] == "completed"


@pytest.mark.long
async def test_a_run_on_a_local_service_is_finished_by_the_next_command(home: Path) -> None:
    """Server and worker end with the command; the job is on disk, and its counts are what they would have been."""
    shell = environment(home, None) | {"QURABLE_GRACEFUL_STOP": "PT0.1S"}
    command = ("run", home / "long.qasm", "--shots", "50", "--seed", "4")
    async with started(shell, PROGRAM, *command) as running:
        await running.says(r"^  (submitted|running) ")
        running.signal(signal.SIGINT)
        interrupted = await running.ended()
    (job_id,) = [line.split("`")[1].split()[2] for line in running.err if "goes on" in line]
    result = await run(shell, "result", job_id, "--json")
    calm = await run(shell, *map(str, command), "--json")

    assert interrupted.code == 130
    assert "Traceback" not in interrupted.err
    assert result.code == calm.code == 0
    assert json.loads(result.out)["results"] == json.loads(calm.out)["results"]
