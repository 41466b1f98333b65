"""The emulator is killed at any moment, started again, and has lost nothing that it accepted."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.harness import family, is_alive, until
from tests.emulator.conftest import QUICK
from tests.emulator.running import Api, EmulatorProcess


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """An emulator that a test may kill."""
    process = EmulatorProcess(tmp_path)
    process.start()
    await process.ready()
    await process.control.settings(**QUICK)
    yield process
    process.kill()


async def again(process: EmulatorProcess) -> None:
    """Kill it and start it again on its port."""
    process.kill()
    process.start()
    await process.ready()


async def test_jobs_results_and_the_clock_outlive_a_kill(
    own: EmulatorProcess, small_job: dict[str, Any]
) -> None:
    """What was queued is run, what was computed stays byte by byte, also after it was killed while it computed."""
    api = Api(own, small_job)
    await own.control.advance(1000)
    done = await api.submit(tags=["mine"])
    await api.finished(done)
    result = (await api.call("GET", f"/jobs/{done}/results")).text
    await own.control.settings(hold=True)
    session = (await api.call("POST", "/sessions", {"backend": "ibm_kyiv"})).json()["id"]
    waiting = await api.submit()
    before = await own.control.state()
    await again(own)

    after = await own.control.state()
    assert (await api.call("GET", f"/jobs/{done}/results")).text == result
    assert after["jobs"][0] == before["jobs"][0]
    assert after["clock"]["now"] > before["clock"]["now"]
    assert after["settings"] == before["settings"]
    assert after["sessions"] == before["sessions"]
    assert (await api.get(f"/sessions/{session}"))["accepting_jobs"]
    assert [job["id"] for job in (await api.get("/jobs?tags=mine"))["jobs"]] == [done]
    await own.control.settings(hold=False)
    assert (await api.finished(waiting))["status"] == "Completed"


@pytest.mark.parametrize("after", [False, True])
async def test_a_kill_around_the_acceptance_leaves_all_or_nothing(
    own: EmulatorProcess, small_job: dict[str, Any], *, after: bool
) -> None:
    """A job is durable before its client hears of it."""
    api = Api(own, small_job)
    await own.control.fault("POST /jobs", "hold", after=after)
    posting = asyncio.create_task(api.post_job())
    await own.control.until_held()
    await again(own)

    with pytest.raises(requests.ConnectionError):
        await posting
    assert (await api.get("/jobs"))["count"] == int(after)


async def test_a_job_is_not_taken_whose_sender_gave_up_while_it_was_read(
    own: EmulatorProcess, small_job: dict[str, Any]
) -> None:
    """A busy machine makes no duplicates: requests are held up by faults alone."""
    api = Api(own, small_job)
    before = await api.submit()
    readers = [pid for pid in family(own.pid) if pid != own.pid]
    for pid in readers:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(requests.ReadTimeout):
        await api.call("POST", "/jobs", small_job, timeout=1.0)
    for pid in readers:
        os.kill(pid, signal.SIGCONT)

    after = await api.submit()
    assert {job["id"] for job in (await api.get("/jobs"))["jobs"]} == {before, after}


@pytest.mark.long
async def test_a_killed_emulator_leaves_no_process(own: EmulatorProcess) -> None:
    """Nor does one that ends as it is told."""
    processes = list(family(own.pid))
    own.kill()

    assert len(processes) > 1
    await until("all of them are gone", lambda: not any(is_alive(pid) for pid in processes))
    own.start()
    await own.ready()
    processes = list(family(own.pid))
    assert own.stop() == 0
    await until("all of them are gone", lambda: not any(is_alive(pid) for pid in processes))


@pytest.mark.long
async def test_a_second_emulator_on_the_same_folder_is_refused(own: EmulatorProcess) -> None:
    """Two would run, and bill, the same jobs twice."""
    second = EmulatorProcess(own.folder)
    second.start()

    with pytest.raises(AssertionError, match="another emulator keeps its jobs"):
        await second.ready()
