"""A schedule whose server dies between two of its moments: what was due meanwhile is made up for, within its window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qurable.contracts.schedules import Overlap, ScheduleSpec, ScheduleStatus
from qurable.errors import ServiceUnreachable
from qurable.requests import sample
from qurable.schedules import Schedules
from tests.chaos.harness import House, house, until
from tests.circuits_at_hand import BELL

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NAME = "every-second"
_DOWN = timedelta(seconds=3)
_SECOND = timedelta(seconds=1)


async def test_a_server_that_was_down_makes_up_for_every_moment_within_the_window(tmp_path: Path) -> None:
    """One job for each second, from the first to the last: none is lost, and none is there twice."""
    async with house(tmp_path) as it:
        schedules = it.qurable.schedules
        spec = ScheduleSpec(
            name=NAME, project=NAME, cron=("@every 1s",), overlap=Overlap.ALLOW_ALL, export="seconds.csv"
        )
        await schedules.create(spec, [sample(BELL, shots=10, backend="aer", project=NAME)])
        await until("it has fired", lambda: _fired(schedules, 2))
        it.server.kill()
        killed = datetime.now(UTC)
        await until("some moments pass", lambda: datetime.now(UTC) > killed + _DOWN)
        it.server.start()
        started = datetime.now(UTC)
        await until("it fires again", lambda: _fired_for(schedules, started + _SECOND))
        await schedules.pause(NAME)
        status = await until("it is paused", lambda: _paused(schedules))
        export = tmp_path / "exports" / "seconds.csv"
        rows = await until("every run has ended", lambda: _rows(export, status.fired))
        moments = await _moments(it)

    assert len([moment for moment in moments if killed < moment < started]) >= _DOWN / _SECOND - 1
    assert moments == [moments[0] + number * _SECOND for number in range(len(moments))]
    assert status.fired == len(moments)
    assert status.missed == 0
    assert len(set(rows)) == len(rows)


async def test_a_moment_is_missed_once_it_is_older_than_the_window(tmp_path: Path) -> None:
    """A server that was down for longer makes up for the last moments alone, and counts the others."""
    window = timedelta(seconds=10)
    async with house(tmp_path) as it:
        schedules = it.qurable.schedules
        spec = ScheduleSpec(
            name=NAME, project=NAME, cron=("@every 1s",), overlap=Overlap.ALLOW_ALL, catch_up=window
        )
        await schedules.create(spec, [sample(BELL, shots=10, backend="aer", project=NAME)])
        await until("it has fired", lambda: _fired(schedules, 2))
        it.server.kill()
        killed = datetime.now(UTC)
        await until("more than the window passes", lambda: datetime.now(UTC) > killed + window + _DOWN)
        starts = datetime.now(UTC)
        it.server.start()
        started = datetime.now(UTC)
        await until("it fires again", lambda: _fired_for(schedules, started + _SECOND))
        await schedules.pause(NAME)
        status = await until("it is paused", lambda: _paused(schedules))
        moments = await until("every job is in the store", lambda: _moments_of(it, status.fired))

    whole = (moments[-1] - moments[0]) // _SECOND + 1
    absent = {moments[0] + number * _SECOND for number in range(whole)} - set(moments)
    assert len(set(moments)) == len(moments) == status.fired
    assert status.missed == len(absent) >= _DOWN / _SECOND - 1
    assert all(killed - _SECOND < moment for moment in absent)
    late = [moment for moment in moments if killed < moment < starts]
    assert all(starts - window <= moment for moment in late)
    assert max(absent) < min(late)


async def _status(schedules: Schedules) -> ScheduleStatus | None:
    """How it stands; None while Temporal does not answer."""
    try:
        return await schedules.describe(NAME)
    except ServiceUnreachable:
        return None


async def _fired(schedules: Schedules, times: int) -> bool:
    status = await _status(schedules)
    return status is not None and status.fired >= times


async def _fired_for(schedules: Schedules, moment: datetime) -> bool:
    status = await _status(schedules)
    return status is not None and status.last is not None and status.last.at >= moment


async def _paused(schedules: Schedules) -> ScheduleStatus | None:
    status = await _status(schedules)
    return status if status is not None and status.paused else None


def _rows(export: Path, number: int) -> list[str]:
    """Rows of the export once it has so many: a run adds its own at its end."""
    rows = export.read_text().splitlines()[1:] if export.exists() else []
    return rows if len(rows) >= number else []


async def _moments_of(it: House, number: int) -> list[datetime]:
    """The moments of the jobs in the store, once there are so many."""
    moments = await _moments(it)
    return moments if len(moments) >= number else []


async def _moments(it: House) -> list[datetime]:
    """The moments that the jobs in the store are of."""
    jobs = await it.qurable.list(project=NAME, limit=1000)
    return sorted(datetime.fromisoformat(job.labels["scheduled"]) for job in jobs)
