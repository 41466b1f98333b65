"""Other people's programs on the drop-in primitives: workers die, the program dies, the answer is the same."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.chaos.harness import DEADLINE_SECONDS, House, house, until


@pytest.fixture(scope="module")
async def chaos(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("programs")) as chaos:
        yield chaos


async def _start(chaos: House, program: str, run_name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.program",
        program,
        run_name,
        stdout=asyncio.subprocess.PIPE,
        env={**chaos.fleet.environment, "PYTHONWARNINGS": "ignore"},
    )


async def _found(process: asyncio.subprocess.Process) -> Any:
    async with asyncio.timeout(DEADLINE_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)


def _accepted(chaos: House) -> list[str]:
    """Jobs in the order in which they came; a worker may be killed while it accepts one, and another begins again."""
    began = [line.job_id for line in chaos.journal() if line.what == "began" and line.step == "accept"]
    return list(dict.fromkeys(began))


async def _until_accepted(chaos: House, jobs: int) -> None:
    await until(f"{jobs} jobs are accepted", lambda: len(_accepted(chaos)) >= jobs)


async def _with_and_without_kills(chaos: House, program: str, kills: int) -> tuple[Any, Any]:
    """What a program finds under kills and in calm, having started the same number of jobs."""
    calm_run, killed_run = f"{program}-calm-{kills}", f"{program}-killed-{kills}"
    before = len(_accepted(chaos))
    calm = await _found(await _start(chaos, program, calm_run))
    jobs = len(_accepted(chaos)) - before

    seen = len(_accepted(chaos))
    process = await _start(chaos, program, killed_run)
    for number in range(kills):
        await _until_accepted(chaos, seen + 1 + number * max(1, jobs // kills))
        chaos.fleet.kill_one()
        if number % 2:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await _start(chaos, program, killed_run)
    killed = await _found(process)

    assert len(_accepted(chaos)) - seen == jobs
    assert [job for job in _accepted(chaos) if chaos.repeated(job)] == []
    return killed, calm


@pytest.mark.long
@pytest.mark.parametrize("kills", [2, 4])
async def test_qaoa_survives_the_death_of_workers_and_of_itself(chaos: House, kills: int) -> None:
    """Same trajectory, and not one evaluation more; every second time the program itself is killed."""
    killed, calm = await _with_and_without_kills(chaos, "qaoa", kills)

    assert killed == calm


@pytest.mark.long
async def test_a_cutting_workflow_survives_the_death_of_a_worker(chaos: House) -> None:
    """The fragments that were done stay done."""
    killed, calm = await _with_and_without_kills(chaos, "cutting", kills=1)

    assert killed == calm


@pytest.mark.long
async def test_an_sqd_run_survives_the_death_of_a_worker(chaos: House) -> None:
    """The samples are those that would have come; the library's own linear algebra rounds as it likes."""
    killed, calm = await _with_and_without_kills(chaos, "sqd", kills=1)

    assert killed == pytest.approx(calm, rel=1e-12)
