"""Seven weathers, as they come: each job ends in time, on the right rung, labelled, with nothing left over.

All of them happen at once, each to a device of its own: what is wrong with one is none of another's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from isolation.pool import Nursery
from qurable.contracts.budgets import Budget, BudgetChange, JobBudget, Scope
from qurable.contracts.executions import ProviderJob
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import JobReport, State
from qurable.contracts.targets import AnswerKind
from qurable.requests import AnyJob, sample
from store import provider_jobs
from tests.chaos.paid_books import until_booked, wrong_books
from tests.circuits_at_hand import BELL
from tests.conftest import running_service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, FAST, RECONCILING, Paid, fair_weather, known_ids

_DEADLINE = timedelta(seconds=60)
_SOON = timedelta(seconds=30)
"""For the case that uses up its share of the deadline."""

_SPENT = "spent"
"""A project that has used up its month."""


@dataclass(frozen=True)
class Weather:
    """Something that is wrong with a device, and what becomes of a job that asks for it.

    Attributes:
        name: Of the case.
        device: Of its own, without `ibm_`.
        because: Words of the report's one sentence.
        tried: Classes of error of the rungs that were tried.
        faults: As the control API takes them, without the device.
        changes: Of the device.
        before: Anything else that comes first.
        during: What happens once the job was submitted here.
        options: Of the job.
        left: What the provider's jobs end as; none where it is never sent.
    """

    name: str
    device: str
    because: str
    tried: tuple[str, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Paid], Awaitable[None]] | None = None
    during: Callable[[Paid], Awaitable[None]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As the provider calls the device."""
        return f"ibm_{self.device}"

    def job(self) -> AnyJob:
        """A Bell pair on the device, with a deadline."""
        limits = Limits(total=_DEADLINE)
        return sample(
            BELL, **{"shots": 100, "backend": f"ibm:{self.device}", "limits": limits, **self.options}
        )


@dataclass(frozen=True)
class Ended:
    """What became of a job, here and at the provider, when all is settled.

    Attributes:
        report: Of the job.
        jobs: That the provider has of it.
        wrong: What is wrong with its bookings.
        unsettled: Rows of it whose bill is not final.
    """

    report: JobReport
    jobs: tuple[Mapping[str, Any], ...]
    wrong: tuple[str, ...]
    unsettled: tuple[ProviderJob, ...]


async def _use_up_the_month(paid: Paid) -> None:
    """Let the project spend until what is left is less than a job reserves, and enough for the least that it might."""
    budget = Budget(scope=Scope.PROJECT, name=_SPENT, qpu_seconds=6.5)
    await paid.service.qurable.set_budget(BudgetChange(budget=budget))
    first = sample(BELL, shots=100, backend=DEVICE, project=_SPENT, fallback="none")
    report = await paid.service.run(first)
    assert report.qpu_seconds > 0, report


async def _calibrate_badly(paid: Paid) -> None:
    """Have a device calibrated that does everything wrong by now."""
    now = (await paid.control.state())["clock"]["now"]
    await paid.control.device("ibm_rome", error_factor=1e6, calibrate_at=now)


async def _let_the_queue_grow(paid: Paid) -> None:
    """Have a thousand jobs of other people before the one that is being sent."""
    await paid.control.until_held()
    await paid.control.device("ibm_quito", queue_length=1000)
    await paid.control.release()


_RESULTS = "GET /jobs/{id}/results"

_WEATHERS = (
    Weather("outage", "lima", "answered 503", faults=({"mode": "outage"},)),
    Weather("long queue", "belem", "is expected to answer after", changes={"queue_length": 1000}),
    Weather(
        "long queue that nobody saw coming",
        "quito",
        "its limit of 0:00:10 is reached",
        tried=("QueueLimitReached",),
        faults=({"route": "POST /jobs", "mode": "hold"},),
        during=_let_the_queue_grow,
        options={"limits": Limits(total=_DEADLINE, queue=timedelta(seconds=10))},
        left=("Cancelled",),
    ),
    Weather("high price", "bogota", "and its budget is 1", options={"budget": JobBudget(price=1)}),
    Weather(
        "empty budget",
        "athens",
        "project 'spent' a month may take 6.5 QPU seconds",
        tried=("BudgetExceeded",),
        options={"project": _SPENT},
    ),
    Weather("bad calibration", "rome", "survives with", before=_calibrate_badly),
    Weather(
        "slow poll",
        "santiago",
        "the rest is for the places below it",
        tried=("DeadlineAtRisk",),
        faults=({"route": "GET /jobs/{id}", "mode": "hang", "seconds": 60.0, "times": None},),
        options={"limits": Limits(total=_SOON)},
        left=("Completed",),
    ),
    Weather(
        "refused result",
        "vigo",
        "result",
        tried=("ResultRefused",),
        faults=({"route": _RESULTS, "mode": "body", "body": '{"results": 7}', "times": None},),
        left=("Completed",),
    ),
)


@pytest.fixture(scope="module")
async def ended(
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    ibm_nursery: Nursery,
    emulated_ibm: EmulatorProcess,
) -> AsyncIterator[Mapping[str, Ended]]:
    """What became of each, by name, when the weather is fair again and all is settled."""
    home = tmp_path_factory.mktemp("weather")
    control = emulated_ibm.control
    options: dict[str, Any] = {**FAST, "strategy": None, **RECONCILING}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulated_ibm.environment.items():
            patch.setenv(name, value)
        await fair_weather(control)
        async with running_service(home, nursery, ibm_nursery=ibm_nursery, **options) as service:
            paid = Paid(service, emulated_ibm, await known_ids(control))
            await _use_up_the_month(paid)
            await service.run(sample(BELL, shots=100, backend="fake_manila"))  # every library is loaded then
            try:
                reports = await asyncio.gather(*(_play(paid, weather) for weather in _WEATHERS))
                await control.clear()
                found = await _settled(paid, reports)
            finally:
                await control.clear()
                for weather in _WEATHERS:
                    await control.device(weather.full_name, status="active", queue_length=0, error_factor=1)
            yield dict(zip((weather.name for weather in _WEATHERS), found, strict=True))


async def _play(paid: Paid, weather: Weather) -> JobReport:
    """One job in its weather."""
    if weather.before is not None:
        await weather.before(paid)
    await paid.control.device(weather.full_name, **weather.changes)
    for fault in weather.faults:
        await paid.control.call("POST", "/faults", {**fault, "device": weather.full_name})
    job = await paid.service.qurable.submit(weather.job())
    if weather.during is not None:
        await weather.during(paid)
    return await asyncio.wait_for(job.result(), 120)


async def _settled(paid: Paid, reports: list[JobReport]) -> list[Ended]:
    """Wait until nothing is held any more, for which the reconciler may have to come; whoever judges says what is."""
    await until_booked(paid.service.database)
    every = await paid.taken()
    found = []
    for report in reports:
        parts = await paid.service.database.read(provider_jobs.of_job, report.id)
        tags = {part.tag for part in parts}
        there = [one for one in every if tags.intersection(one["tags"])]
        wrong = await wrong_books(paid.service.database, report.id, parts, there)
        unsettled = [part for part in parts if part.facts is not None and not part.facts.usage_complete]
        found.append(Ended(report, tuple(there), tuple(wrong), tuple(unsettled)))
    return found


@pytest.mark.parametrize("weather", _WEATHERS, ids=lambda weather: weather.name)
def test_each_weather_ends_on_the_right_rung_in_time(ended: Mapping[str, Ended], weather: Weather) -> None:
    """On the twin, which is the next below; the label, one sentence that says why, and not a second too late."""
    report = ended[weather.name].report

    assert (report.state, report.degraded) == (State.DEGRADED, True), report.because
    assert (report.served_by, report.answer_kind) == (f"fake_{weather.device}", AnswerKind.NOISY_SIMULATOR)
    assert report.because.startswith(f"asked was 'ibm:{weather.device}'; ")
    assert weather.because in report.because
    assert tuple(attempt.error.code for attempt in report.tried) == weather.tried, report.tried
    verdict = report.route.considered[0]
    assert (verdict.name, verdict.taken) == (f"ibm:{weather.device}", bool(weather.tried)), verdict
    assert sum(report.counts().values()) == 100
    deadline = weather.job().limits.total
    assert deadline is not None
    assert report.durations.total < deadline.total_seconds()
    assert report.events[-1].at - report.events[0].at < deadline


@pytest.mark.parametrize("weather", _WEATHERS, ids=lambda weather: weather.name)
def test_each_weather_leaves_nothing_running_or_unsettled(
    ended: Mapping[str, Ended], weather: Weather
) -> None:
    """What the provider took has ended, nothing is held for it, and what is booked is what was billed."""
    end = ended[weather.name]

    assert tuple(job["status"] for job in end.jobs) == weather.left
    assert end.unsettled == ()
    assert end.wrong == ()
