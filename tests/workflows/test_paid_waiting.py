"""Waiting for a provider costs nothing: no history, no slot, and errors keep their own delay.

In the tests that skip time, Temporal's server leaves out what lies between two polls (each workflow has a clock of its
own for that), and the emulator's clock leaves out the same, so that a day of polls at the pace of a real service passes
in seconds. The worker's clock is the machine's and leaves out nothing. What counts on it is therefore not shown here:
that `limits.queue` and `limits.run` end a wait, and that polls come closer together as the estimated start does.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from qurable.client import Job
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import JobReport, State
from qurable.requests import sample
from settings import Settings
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import MemoryJournal, PaidStack
from tests.emulator.running import Control, EmulatorProcess
from tests.paid import DEVICE, FAIR, Paid

_OFTEN: dict[str, Any] = {
    "poll_shortest": timedelta(milliseconds=20),
    "poll_longest": timedelta(milliseconds=40),
    "ibm_read_timeout": timedelta(seconds=3),
}
_DAY = timedelta(days=1)
_A_LITTLE_MORE = timedelta(minutes=10)
"""So that a day lies between the first poll and the last by every clock: the job is taken before it is polled."""

_ASKED_AGAIN_WITHIN = timedelta(seconds=30)
"""From the beginning of a poll that fails. A benign end asks for 48 s and more, and Temporal's own delay would be a minute
by the seventh attempt, had each benign end doubled it."""

_WAIT = "await_start-0"

_SKIPPED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED
_OF_SKIPPING = (_SKIPPED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED)
"""Events that are there because a test skips time: one for each skip, one for each time that it asks for skips."""

_MOST_SKIPS = 10_000
"""In one job; by itself the server stops at a hundred."""


@dataclass
class _SharedSkips(MemoryJournal):
    """A journal that has the provider's clock skip what a job's clock has skipped, before the job asks there.

    Attributes:
        control: Of the provider.
        began_at: When the attempts at a step of a job began, by Temporal's clock.
    """

    control: Control = field(kw_only=True)
    began_at: defaultdict[tuple[str, str], list[datetime]] = field(default_factory=lambda: defaultdict(list))
    _skipped: dict[str, float] = field(default_factory=dict)

    def began(self, job_id: str, step: str, attempt: int) -> None:
        super().began(job_id, step, attempt)
        at = activity.info().started_time
        self.began_at[job_id, step].append(at)
        skipped = (at - datetime.now(UTC)).total_seconds()
        more = skipped - self._skipped.get(job_id, 0.0)
        if more > 0:
            self._skipped[job_id] = skipped
            self.control.advance_at_once(more)


@dataclass(frozen=True)
class _Wait:
    """What a job's wait in the queue has left behind; times are of Temporal's clock.

    Attributes:
        report: Of the job.
        other: Of a job that the same worker answered during the wait.
        polls: How often the provider was asked after the job.
        events: In its history, without those of the skips.
        took: From the first poll until the one that found it on the device.
        skipped: Time of that in which no slot was held: the server skips only while no activity of the job's runs.
        failed: Which polls failed; the others were answered.
        after_errors: From the beginning of each that failed to that of the next.
    """

    report: JobReport
    other: JobReport
    polls: int
    events: int
    took: timedelta
    skipped: timedelta
    failed: tuple[int, ...]
    after_errors: tuple[timedelta, ...]


async def _in_the_queue(paid: Paid, queue: timedelta, seconds: float = 120.0) -> _Wait:
    """A job waits in the queue; late in that, its worker answers another, and then the provider fails a poll once.

    The other job is on its device at once: while it was queued, its worker would compare the estimated start, by
    the clock that has skipped, with its own.
    """
    await paid.control.settings(speed=1.0, prepare_seconds=0.0)
    jobs_ahead = round(queue.total_seconds() / FAIR["seconds_per_queued_job"])
    await paid.control.device("ibm_lima", queue_length=jobs_ahead)
    work = sample(BELL, shots=100, backend="ibm:lima", limits=Limits(queue=2 * queue))
    job = await paid.service.qurable.submit(work)
    await paid.until_ended(job, _WAIT, "waiting")

    many = TimeSkippingConfig(max_session_skip_count=_MOST_SKIPS)
    skipper = TimeSkipper(paid.service.temporal, config=many)
    handle = paid.service.temporal.get_workflow_handle(job.id)
    async with asyncio.timeout(seconds):
        assert await skipper.fast_forward(handle, 0.8 * queue)
        other = await paid.service.run(sample(BELL, shots=100, backend=DEVICE))
        await paid.control.fault("GET /jobs/{id}", "status", status=500)
        await skipper.fast_forward(handle)  # to its end
        report = await job.result()
    return _what_is_left(paid, job, report, other, (await handle.fetch_history()).events)


def _what_is_left(
    paid: Paid, job: Job, report: JobReport, other: JobReport, events: Sequence[HistoryEvent]
) -> _Wait:
    journal = paid.service.journal
    assert isinstance(journal, _SharedSkips)
    polls = [
        entry
        for entry in journal.entries
        if (entry.job_id, entry.step, entry.what) == (job.id, _WAIT, "ended")
    ]
    failed = tuple(number for number, poll in enumerate(polls) if poll.how == "failed")
    began_at = journal.began_at[job.id, _WAIT]
    scheduled, completed = _of_activity(events, _WAIT)
    during = events[scheduled.event_id : completed.event_id]
    return _Wait(
        report=report,
        other=other,
        polls=len(polls),
        events=sum(event.event_type not in _OF_SKIPPING for event in events),
        took=_at(completed) - _at(scheduled),
        skipped=sum((_skip(event) for event in during if event.event_type == _SKIPPED), timedelta()),
        failed=failed,
        after_errors=tuple(began_at[poll + 1] - began_at[poll] for poll in failed),
    )


def _of_activity(events: Sequence[HistoryEvent], activity_id: str) -> tuple[HistoryEvent, HistoryEvent]:
    """Where an activity was first scheduled, and where it was completed."""
    scheduled = [
        event for event in events if event.activity_task_scheduled_event_attributes.activity_id == activity_id
    ]
    (completed,) = (
        event
        for event in events
        if event.activity_task_completed_event_attributes.scheduled_event_id == scheduled[-1].event_id
    )
    return scheduled[0], completed


def _at(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(UTC)


def _skip(event: HistoryEvent) -> timedelta:
    """How far a skip has put its workflow's clock forward."""
    target = event.workflow_execution_time_skipping_transitioned_event_attributes.target_time
    return target.ToDatetime(UTC) - _at(event)


def _skipping(emulator: EmulatorProcess, poll_longest: timedelta) -> dict[str, Any]:
    """A service that does one thing at a time, on a Temporal server that may skip time."""
    return {
        "server_flags": {"frontend.WorkflowTimeSkippingEnabled": "true"},
        "journal": _SharedSkips(control=emulator.control),
        "max_jobs_in_stage": 1,
        "ibm_read_timeout": timedelta(seconds=20),
        "poll_shortest": timedelta(seconds=1),
        "poll_longest": poll_longest,
        "reconcile_grace": 2 * poll_longest,
    }


def _expect_costless(short: _Wait, day: _Wait) -> None:
    """A day's wait has left what a short one has, and held a slot for as good as none of it."""
    assert day.events == short.events
    assert day.took >= _DAY
    assert day.report.durations.queue >= _DAY.total_seconds()
    assert day.took - day.skipped < _DAY / 100
    for wait in (short, day):
        assert wait.report.state is wait.other.state is State.COMPLETED
        assert max(wait.after_errors) < _ASKED_AGAIN_WITHIN


async def test_a_day_in_the_queue_leaves_what_hours_leave(
    paid_stack: PaidStack, emulated_ibm: EmulatorProcess
) -> None:
    """Half an hour between polls, all of it skipped; a failed poll is made good in seconds, not after half an hour."""
    async with paid_stack(**_skipping(emulated_ibm, timedelta(minutes=30))) as paid:
        short = await _in_the_queue(paid, timedelta(hours=5))
        day = await _in_the_queue(paid, _A_LITTLE_MORE + _DAY)

        assert short.polls <= 20
        assert day.polls >= 40
        _expect_costless(short, day)
        assert len(await paid.taken()) == 4


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_day_of_polls_each_minute_leaves_what_ten_leave(
    paid_stack: PaidStack, emulated_ibm: EmulatorProcess
) -> None:
    """The default pace: a thousand benign ends before an error stretch its delay as little as seven."""
    async with paid_stack(**_skipping(emulated_ibm, Settings.model_fields["poll_longest"].default)) as paid:
        short = await _in_the_queue(paid, timedelta(minutes=10))
        day = await _in_the_queue(paid, _A_LITTLE_MORE + _DAY, seconds=550.0)

        assert short.polls <= 20
        assert min(day.failed) >= 1000
        _expect_costless(short, day)


async def _polled(paid: Paid, job: Job, polls: int, seconds: float) -> None:
    """As soon as a job in the queue was asked after so often."""

    def enough() -> bool:
        seen = [
            entry
            for entry in paid.service.journal.entries
            if (entry.job_id, entry.step, entry.what) == (job.id, "await_start-0", "ended")
        ]
        return len(seen) >= polls

    await until(f"{polls} polls", enough, seconds)


async def _a_day_in_the_queue(paid: Paid, polls: int, seconds: float = 120.0) -> tuple[JobReport, int]:
    """A job that is asked after so often, and fails to be once, before its day is over; and its history's events."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(sample(BELL, shots=100, backend=DEVICE))
    await _polled(paid, job, polls, seconds)
    await paid.control.fault("GET /jobs/{id}", "status", status=500)
    await paid.until_ended(job, "await_start-0", "failed")
    await paid.control.advance(_DAY.total_seconds())
    await paid.control.settings(hold=False)
    async with asyncio.timeout(60):
        report = await job.result()
    history = await paid.service.temporal.get_workflow_handle(job.id).fetch_history()
    return report, len(history.events)


@pytest.mark.long
async def test_more_polls_leave_no_longer_history(paid_stack: PaidStack) -> None:
    """Ten polls leave as many events as sixty, and an error none: here nothing is skipped, and all events count."""
    async with paid_stack(**_OFTEN) as paid:
        soon, few = await _a_day_in_the_queue(paid, 10)
        late, many = await _a_day_in_the_queue(paid, 60)

        assert few == many
        for report in (soon, late):
            assert report.state is State.COMPLETED
            assert report.durations.queue >= _DAY.total_seconds()
            assert report.durations.total < _DAY.total_seconds()
        assert len(await paid.taken()) == 2


async def test_a_job_in_the_queue_holds_no_slot(paid_stack: PaidStack) -> None:
    """A worker that does one thing at a time has a job waiting and answers another meanwhile."""
    async with paid_stack(max_jobs_in_stage=1) as paid:
        await paid.control.device("ibm_lima", queue_length=1000)
        waiting = await paid.service.qurable.submit(sample(BELL, shots=100, backend="ibm:lima"))
        await paid.until_ended(waiting, "await_start-0", "waiting")
        report = await paid.service.run(sample(BELL, shots=100, backend=DEVICE))
        status = await waiting.status()
        await waiting.cancel()

        async def gone() -> bool:
            return not await paid.alive()

        await until("the waiting job is withdrawn", gone, 60)
        assert report.state is State.COMPLETED
        assert status.state is State.QUEUED
        assert "jobs ahead" in status.last_failure
