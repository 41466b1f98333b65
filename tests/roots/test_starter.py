"""`starter.py` from a shell: one command from a circuit to a report, and no job lost on the way."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.circuits_at_hand import brickwork
from tests.cli.shell import Ended, environment, started, stop_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data folder with a long circuit in it, and nothing running."""
    (tmp_path / "long.qasm").write_text(brickwork(19, 60), encoding="ascii")
    yield tmp_path
    stop_server(tmp_path)


def shell(home: Path) -> dict[str, str]:
    return environment(home, None) | {"QURABLE_GRACEFUL_STOP": "PT0.1S"}


async def starter(home: Path, *arguments: str | Path) -> Ended:
    """Run it to its end."""
    async with started(shell(home), sys.executable, ROOT / "starter.py", *arguments) as running:
        return await running.ended()


async def test_a_job_is_run_from_nothing_to_a_report(home: Path) -> None:
    """A line per stage, a histogram, the web UI's address, the report's id; the second time the same counts."""
    ended = await starter(home, "--seed", "3", "--shots", "100")
    again = await starter(home, "--seed", "3", "--shots", "100", "--json")

    assert ended.code == again.code == 0
    for state in (
        "accepted",
        "validated",
        "compiled",
        "submitted",
        "running",
        "post_processing",
        "completed",
    ):
        assert re.search(rf"^  {state} ", ended.err, re.MULTILINE), state
    counts = {
        word: int(count) for word, count in re.findall(r"^  ([01]{5})  █+ +(\d+) ", ended.out, re.MULTILINE)
    }
    assert sum(counts.values()) == 100
    (job_id,) = re.findall(r"^report   (\S+) \(completed\)$", ended.out, re.MULTILINE)
    assert re.search(
        rf"^web UI   http://127\.0\.0\.1:\d+/namespaces/default/workflows/{job_id} ", ended.out, re.MULTILINE
    )
    document = json.loads(again.out)
    assert again.err == ""
    assert document["results"][0]["registers"][0]["counts"] == counts


@pytest.mark.long
async def test_an_interrupted_job_is_finished_by_resume(home: Path) -> None:
    """With the counts that it would have had."""
    command = (home / "long.qasm", "--shots", "50", "--seed", "4")
    async with started(shell(home), sys.executable, ROOT / "starter.py", *command) as running:
        await running.says(r"^  (submitted|running) ")
        running.signal(signal.SIGINT)
        interrupted = await running.ended()
    resumed = await starter(home, "--resume", "--json")
    nothing = await starter(home, "--resume")
    calm = await starter(home, *command, "--json")

    assert interrupted.code == 130
    assert "goes on: `python starter.py --resume` or any worker finishes it" in interrupted.err
    assert "Traceback" not in interrupted.err
    assert resumed.code == nothing.code == 0
    assert "no job was left behind" in nothing.out
    assert json.loads(resumed.out)["results"] == json.loads(calm.out)["results"]


@pytest.mark.long
async def test_a_killed_starter_is_no_lost_job_either(home: Path) -> None:
    """Kill -9 leaves its server running; the next one takes it over, or starts another on its database."""
    command = (home / "long.qasm", "--shots", "50", "--seed", "4")
    async with started(shell(home), sys.executable, ROOT / "starter.py", *command) as running:
        await running.says(r"^  (submitted|running) ")
        os.kill(running.process.pid, signal.SIGKILL)
        await running.process.wait()
    resumed = await starter(home, "--resume", "--json")

    assert resumed.code == 0
    assert json.loads(resumed.out)["state"] == "completed"


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["missing.qasm"], 2, "missing.qasm"),
        (["--shots", "0"], 2, "greater than or equal to 1"),
        (["--shots", "many"], 2, "invalid int value: 'many'"),
        (["--backend", "fake_torinno"], 2, "did you mean 'fake_torino'"),
    ],
)
async def test_what_cannot_be_run_is_said_in_a_sentence(
    home: Path, arguments: list[str], code: int, named: str
) -> None:
    """With the exit codes of the command line."""
    ended = await starter(home, *arguments)

    assert ended.code == code
    assert named in ended.err
    assert "Traceback" not in ended.err
