"""Kill -9 while jobs gather, while their group is made, and while each takes its part: all are answered, and one provider job is paid."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from qurable.client import Job
from qurable.contracts.fallback import Fallback
from qurable.contracts.reports import JobReport
from qurable.errors import HybridError
from qurable.names import Activity
from tests.chaos.harness import DEADLINE_SECONDS, until
from tests.chaos.paid_house import Kind, PaidHouse, paid_house
from tests.sharing import LONG, SHORT, exact, read, writing

JOINING = (
    "join_group-0:begun",
    "join:seated",
    "join:told",
    "join_group-0:worked",
    "join_group-0:kept",
)
"""Lines of whoever joins."""

GROUP = ("group:composed", "group:made", "group:started")
"""Lines of whoever has a group made."""

SENDING = ("submit-0:intended", "ibm:claimed", "ibm:posted", "submit-0:kept")
"""Lines of the group's own job, which alone submits."""

SPLITTING = (
    "fetch-0:worked",
    "share:found",
    "await_group-0:worked",
    "await_group-0:kept",
    "post_process-0:begun",
    "record-0:begun",
)
"""Lines from the group's end to the members' reports."""

LEAVING = "leave:kept"
"""Where a worker is that has noted that nobody waits for a seat any more."""

LINES = (*JOINING, *GROUP, *SENDING, *SPLITTING, LEAVING)
OWN = ("join:", "group:", "share:", "leave:")
"""How the lines begin that no other job comes to."""

MEMBERS = 3
CROWD, KILLS, ARMED = 40, 4, 4
"""Jobs that start together, workers that are killed at any moment while they run, and at a line."""

WORST = ("group:made", "ibm:posted")
"""Lines of the crowd's kills that are not drawn: a group that nobody has started, and a job that nobody has kept."""

MOST_GROUPS = 10
"""Of the crowd: who dies with a group half made delays it, and others come meanwhile; none goes alone."""

FEWEST_LINES = 10 * CROWD
"""That a crowd writes into the journal, at least."""

QUICK = frozenset({"group:made"})


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PaidHouse]:
    """Two workers that are started again whenever they die, and an emulator."""
    async with paid_house(tmp_path_factory.mktemp("sharing") / "house", Kind.SQLITE) as home:
        yield home


async def _start(home: PaidHouse, project: str) -> list[Job]:
    """Jobs that meet in one group: the last has a short window and comes when the others wait."""
    fallback = Fallback(policy="none")
    qurable = home.house.qurable
    jobs = [
        await qurable.submit(writing(number, project=project, window=LONG, fallback=fallback))
        for number in range(MEMBERS - 1)
    ]
    for job in jobs:
        await until(f"{job.id} waits", lambda job=job: _has_joined(home, job))  # type: ignore[misc]
    last = writing(MEMBERS - 1, project=project, window=SHORT, fallback=fallback)
    return [*jobs, await qurable.submit(last)]


async def _has_joined(home: PaidHouse, job: Job) -> bool:
    return (await job.status()).stage == Activity.AWAIT_GROUP


async def _reports(jobs: list[Job], seconds: float = DEADLINE_SECONDS) -> list[JobReport]:
    async with asyncio.timeout(seconds):
        return [await job.result() for job in jobs]


async def _sent(home: PaidHouse, before: set[str]) -> list[str]:
    return [one["id"] for one in await _jobs(home) if one["id"] not in before]


async def _jobs(home: PaidHouse) -> list[dict[str, Any]]:
    """What the provider has."""
    found: list[dict[str, Any]] = (await home.control.state())["jobs"]
    return found


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=[] if line in QUICK else pytest.mark.long)
        for line in LINES
        if line != LEAVING
    ],
)
async def test_whoever_dies_all_are_answered_and_one_provider_job_is_paid(home: PaidHouse, line: str) -> None:
    """Each has its own counts; the parts of the bill add up to what the provider billed."""
    before = set(await _sent(home, set()))
    home.house.arm(line)
    project = line.replace(":", "-").replace("_", "-")
    reports = await _reports(await _start(home, project))
    sent = await _sent(home, before)
    (group,) = {report.shared.group for report in reports if report.shared}
    whole = await home.house.qurable.read_report(group)

    assert home.house.was_reached(line), f"no worker ever came to {line}"
    assert [read(report) for report in reports] == list(range(MEMBERS))
    assert len(sent) == 1
    assert [report.shared.provider_jobs for report in reports if report.shared] == [tuple(sent)] * MEMBERS
    assert exact([report.qpu_seconds for report in reports]) == exact([round(whole.qpu_seconds, 9)])
    assert [home.house.repeated(report.id) for report in (*reports, whole)] == [[]] * (MEMBERS + 1)


@pytest.mark.long
async def test_who_is_killed_while_it_leaves_has_left(home: PaidHouse) -> None:
    """Nobody pays for a job that was cancelled while it waited."""
    before = set(await _sent(home, set()))
    home.house.arm(LEAVING)
    job = await home.house.qurable.submit(writing(1, project="leaving"))
    await until("it waits", lambda: _has_joined(home, job))
    await job.cancel()
    with pytest.raises(HybridError, match="cancelled"):
        await _reports([job])
    other = writing(2, project="leaving", window=SHORT)
    (report,) = await _reports([await home.house.qurable.submit(other)])

    assert home.house.was_reached(LEAVING)
    assert read(report) == 2
    assert report.shared is not None
    assert report.shared.members == 1
    assert len(await _sent(home, before)) == 1


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_crowd_is_answered_whoever_dies_and_when(home: PaidHouse) -> None:
    """Each of forty has its own answer, the provider has a few jobs, and their bills are what the parts add up to."""
    draw = random.Random(40)
    house, before, written = home.house, set(await _sent(home, set())), _written(home)
    deaths = house.fleet.deaths
    others = [line for line in LINES if line not in (*WORST, LEAVING)]
    lines = [*WORST, *draw.sample(others, ARMED - len(WORST))]
    moments = sorted(draw.sample(range(FEWEST_LINES), KILLS))
    for line in lines:
        house.arm(line)
    alone = Fallback(policy="none")
    work = [writing(at % 16, project="crowd", window="3s", fallback=alone) for at in range(CROWD)]
    jobs = await asyncio.gather(*map(house.qurable.submit, work))
    for moment in moments:
        await until(f"{moment} lines are written", partial(_has_written, home, written + moment))
        house.fleet.kill_one()
    reports = await _reports(jobs, 2 * DEADLINE_SECONDS)
    billed = {one["id"]: one["billed_seconds"] for one in await _jobs(home) if one["id"] not in before}
    parts: dict[str, list[float]] = defaultdict(list)
    bought: dict[str, tuple[str, ...]] = {}
    for report in reports:
        assert report.shared is not None, report.warnings
        parts[report.shared.group].append(report.qpu_seconds)
        bought[report.shared.group] = report.shared.provider_jobs
    wholes = [await house.qurable.read_report(group) for group in bought]

    assert [line for line in lines if not house.was_reached(line)] == []
    assert house.fleet.deaths - deaths >= KILLS + ARMED
    assert [read(report) for report in reports] == [at % 16 for at in range(CROWD)]
    assert [len(sent) for sent in bought.values()] == [1] * len(bought)
    assert {sent for (sent,) in bought.values()} == billed.keys()
    assert len(billed) <= MOST_GROUPS
    for whole in wholes:
        (sent,) = bought[whole.id]
        assert exact(parts[whole.id]) == exact([round(whole.qpu_seconds, 9)])
        assert whole.qpu_seconds == pytest.approx(billed[sent], abs=0.001)  # the provider says milliseconds
    assert [house.repeated(report.id) for report in (*reports, *wholes)] == [[]] * (CROWD + len(wholes))
    print(f"{CROWD} jobs in {len(billed)} provider jobs, {house.fleet.deaths - deaths} deaths")


def _written(home: PaidHouse) -> int:
    """Lines of the journal."""
    return home.house.journal_path.read_bytes().count(b"\n") if home.house.journal_path.exists() else 0


def _has_written(home: PaidHouse, lines: int) -> bool:
    """Whether so many lines are written, and there is somebody to kill."""
    return bool(home.house.fleet.pids) and _written(home) >= lines
