"""Fifty jobs at once against a provider that takes a few in a minute: all are answered, and waiting is no failure."""

import asyncio
from pathlib import Path

import pytest

from qurable.contracts.reports import JobReport
from qurable.requests import AnyJob, sample
from tests.chaos.paid import ALONE, DEVICE
from tests.chaos.paid_house import PaidHouse, paid_house
from tests.circuits_at_hand import BELL

JOBS, PUBS = 50, 3
_ANSWERED_WITHIN_SECONDS = 400.0
_UNHURRIED = {
    "QURABLE_IBM_SEND_WITHIN": "PT30S",
    "QURABLE_IBM_READ_TIMEOUT": "PT20S",
    "QURABLE_HEARTBEAT": "PT20S",
}
"""Fifty jobs at once wait longer for a child than one job in a round of the matrix, and nobody dies in these tests."""

_OF_A_SLOW_MACHINE = ("CancelledError(", "OutOfTime(", "SubmissionUnclear(", "TargetUnavailable(")
"""What attempts may still end with where everything is slow: a time limit passed. No answer 429 is among them."""


def three_pubs() -> AnyJob:
    """A job of three circuits with as many shots each, which are one job of the provider's."""
    flipped, still = (BELL.replace("h q[0];", gate) for gate in ("x q[0];", ""))
    return sample(BELL, flipped, still, shots=100, backend=DEVICE, fallback=ALONE)


async def _answered(home: PaidHouse) -> list[JobReport]:
    jobs = [await home.house.qurable.submit(three_pubs()) for _ in range(JOBS)]
    async with asyncio.timeout(_ANSWERED_WITHIN_SECONDS):
        return await asyncio.gather(*(job.result() for job in jobs))


async def _expect_one_job_each(home: PaidHouse, reports: list[JobReport]) -> None:
    there = (await home.control.state())["jobs"]
    submits = [line for line in home.house.journal() if line.step == "submit-0" and line.what == "ended"]

    assert len(there) == JOBS
    assert {one["id"] for one in there} == {
        record.id for report in reports for record in report.provider_jobs
    }
    assert all(len(report.results or ()) == PUBS for report in reports)
    failures = [line.failure for line in submits if line.how == "failed"]
    assert [one for one in failures if not one.startswith(_OF_A_SLOW_MACHINE) or "429" in one] == []
    assert {line.job_id for line in submits if line.how == "done"} == {report.id for report in reports}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_jobs_wait_for_their_turn_as_this_house_counts(tmp_path: Path) -> None:
    """Both sides count the same minute, twenty to each: the provider never has to say no."""
    variables = _UNHURRIED | {"QURABLE_IBM_SUBMISSIONS_PER_MINUTE": "20"}
    async with paid_house(tmp_path / "lane", **variables) as home:
        await home.control.clock(speed=1.0)
        await home.control.settings(submissions_per_minute=20, run_factor=0.1)
        await home.control.forget_log()
        reports = await _answered(home)
        posts = [
            entry for entry in await home.control.log() if entry["path"].endswith("/jobs") and entry["body"]
        ]

        await _expect_one_job_each(home, reports)
        assert len(posts) == JOBS


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_429_is_a_wait_and_no_failure(tmp_path: Path) -> None:
    """IBM's five a minute, a minute being a second; this house counts generously and is told no."""
    async with paid_house(tmp_path / "lane", **_UNHURRIED) as home:
        await home.control.clock(speed=60.0)
        await home.control.settings(submissions_per_minute=5)
        await home.control.forget_log()
        reports = await _answered(home)
        posts = [
            entry for entry in await home.control.log() if entry["path"].endswith("/jobs") and entry["body"]
        ]

        await _expect_one_job_each(home, reports)
        assert len(posts) > JOBS
