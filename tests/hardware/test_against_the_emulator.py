"""The tests of real hardware, run against the emulator: what they would cost is known before anybody pays."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.emulator.running import EmulatorProcess

pytestmark = pytest.mark.long

_SECONDS = 240.0
_STRANGE = ("QURABLE_", "QISKIT_", "TEMPORAL_", "IAM_URL", "HARDWARE_", "PYTEST_")


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """An emulator that only its environment leads to."""
    process = EmulatorProcess(tmp_path / "emulator", speed=20)
    process.start()
    try:
        await process.ready()
        yield process
    finally:
        process.kill()


async def hardware_tests(folder: Path, **variables: str) -> str:
    """What pytest prints of them, where they pass or are skipped."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STRANGE)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-m", "hardware", "tests/hardware", "-q", "-p", "no:cacheprovider"),
        f"--basetemp={folder}",
        cwd=ROOT,
        env=kept | {"HOME": str(folder.parent)} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_they_pay_for_one_job_a_day(tmp_path: Path, emulator: EmulatorProcess) -> None:
    """Run twice, each time with an empty store: the second run finds the first one's job and pays nothing."""
    variables = emulator.environment | {"HARDWARE_BUDGET_SECONDS": "10", "HARDWARE_DEVICE": "ibm_brisbane"}

    first = await hardware_tests(tmp_path / "first", **variables)
    second = await hardware_tests(tmp_path / "second", **variables)

    assert re.search(r"^1 passed", first, re.MULTILINE), first
    assert re.search(r"^1 passed", second, re.MULTILINE), second
    state = await emulator.control.state()
    (job,) = state["jobs"]
    assert job["cost"] == 10
    assert 0 < state["paid"]["qpu_seconds"] < 10


async def test_they_pay_for_nothing_that_the_account_cannot(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    """The budget is compared with what is left before anything is sent."""
    await emulator.control.settings(usage_limit_seconds=9.0)

    printed = await hardware_tests(
        tmp_path / "run", **(emulator.environment | {"HARDWARE_BUDGET_SECONDS": "10"})
    )

    assert re.search(
        r"^SKIPPED .*the account has 9(\.0)? QPU seconds left of its limit, the budget is 10",
        printed,
        re.MULTILINE,
    ), printed
    assert (await emulator.control.state())["jobs"] == []


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "HARDWARE_BUDGET_SECONDS names no QPU seconds"),
        ({"HARDWARE_BUDGET_SECONDS": "10"}, "no IBM account is configured"),
    ],
)
async def test_they_are_skipped_with_the_reason(tmp_path: Path, variables: dict[str, str], why: str) -> None:
    """Without a budget or an account, nobody is asked and nothing is paid."""
    printed = await hardware_tests(tmp_path / "run", **variables)

    assert re.search(rf"^SKIPPED .*{why}", printed, re.MULTILINE), printed
