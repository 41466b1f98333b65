"""Every worker counts what goes wrong at a place, and all of them leave alone what is out of order."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, text
from temporalio.exceptions import ApplicationError
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.boundary import Heartbeats, KeepAsking, speaks_temporal
from activities.health import HealthWatch
from backends.registry import Registry
from fallback.breaker import BreakerRules
from qurable.backend import StillWaiting
from qurable.contracts.health import BackendHealth, BreakerState
from qurable.contracts.stages import StageCall
from qurable.errors import (
    BreakerOpen,
    ExecutionFailed,
    HybridError,
    JobLost,
    RetriesExhausted,
    SubmissionUnclear,
    TargetUnavailable,
)
from qurable.names import Activity
from store import health
from store.database import Database
from tests.chaos.harness import until

PLACE = "ibm:manila"
CALL = StageCall(job_id="lab-1", step="submit-0", backend=PLACE)
RULES = BreakerRules(cool_down_seconds=3600, longest_seconds=3600)
DOWN = TargetUnavailable("HTTP 503")


class Places:
    """Stands for the registry: fails as often as it is told to, and counts who asks."""

    any_device = "ibm"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked = 0

    async def snapshot(self, _name: str) -> None:
        """Asked by a probe."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.failures:
            raise DOWN


@dataclasses.dataclass
class House:
    """A store, and workers on it."""

    url: str
    places: Places
    metrics: MetricBuffer
    runtime: Runtime

    @contextlib.asynccontextmanager
    async def worker(self, rules: BreakerRules = RULES) -> AsyncIterator[tuple[HealthWatch, Database]]:
        """One, with connections of its own."""
        meter = self.runtime.metric_meter
        async with (
            Database(self.url) as database,
            HealthWatch(database, cast("Registry", self.places), rules, meter) as watch,
        ):
            yield watch, database


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty one."""
    metrics = MetricBuffer(10_000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
    return House(f"sqlite:///{tmp_path / 'store.db'}", Places(), metrics, runtime)


async def known(database: Database) -> BackendHealth:
    """What the store has of the place."""
    return (await database.read(health.look, RULES.window)).backends[PLACE]


class _Calls(ActivityInboundInterceptor):
    """The end of the chain: the activity itself."""

    def __init__(self) -> None:
        """There is nothing after it."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  Temporal's name
        return await input.fn(*input.args)


async def attempt(watch: HealthWatch, error: Exception | None, asked: str = Activity.SUBMIT) -> None:
    """One attempt of an activity at the place, as a worker runs it."""

    @speaks_temporal
    async def stage(_call: StageCall) -> None:
        if error is not None:
            raise error

    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        ActivityEnvironment.default_info(), activity_type=asked, heartbeat_timeout=None
    )
    chain = Heartbeats(watch).intercept_activity(_Calls())
    given = ExecuteActivityInput(fn=stage, args=[CALL], executor=None, headers={})
    await environment.run(chain.execute_activity, given)


async def failure(watch: HealthWatch, error: Exception) -> ApplicationError:
    """What Temporal hears of an attempt that failed."""
    with pytest.raises(ApplicationError) as caught:
        await attempt(watch, error)
    return caught.value


async def test_faults_at_one_worker_keep_all_workers_away(house: House) -> None:
    """And nothing else does: no wait, no failure of a circuit, no stage that asks nobody."""
    again = timedelta(seconds=1)
    async with house.worker() as (here, _), house.worker() as (there, database):
        for _ in range(10):
            await failure(here, StillWaiting("queued", again_in=again))
            await failure(here, ExecutionFailed("the circuit is odd"))
        for number in range(4):
            await failure(here, DOWN if number else KeepAsking(DOWN, again))
        await there.backends()
        there.check(PLACE)
        await attempt(here, None)  # begins anew
        for _ in range(4):
            await failure(here, DOWN)
        counted = (await known(database)).breaker.in_a_row
        await failure(here, DOWN)
        await there.backends()
        with pytest.raises(BreakerOpen) as refused:
            there.check(PLACE)
        with pytest.raises(BreakerOpen):
            await here.described(PLACE, house.places.snapshot(PLACE))
        await failure(here, DOWN)  # of a job that was under way
        found = await known(database)

    assert counted == 4
    assert (found.breaker.state, found.calls, found.faults) == (BreakerState.OPEN, 10, 9)
    assert "5 calls in a row failed, the last with: HTTP 503" in refused.value.message
    assert not refused.value.retry_here
    assert house.places.asked == 0
    shown = {
        (update.metric.name, update.attributes["backend"]): update.value
        for update in house.metrics.retrieve_updates()
        if str(update.metric.name).startswith("qurable_")
    }
    assert shown[("qurable_backend_breaker", PLACE)] == 2
    assert shown[("qurable_backend_error_rate", PLACE)] == 0.9


async def test_what_goes_well_costs_no_write_and_is_not_forgotten(house: House) -> None:
    """A worker that stops brings what it has counted."""
    async with house.worker() as (watch, database):
        for _ in range(7):
            await attempt(watch, None)
        await attempt(watch, None, Activity.POST_PROCESS)
        before = (await database.read(health.look, RULES.window)).backends
    async with Database(house.url) as database:
        after = await known(database)

    assert before == {}
    assert (after.calls, after.faults, after.breaker.state) == (7, 0, BreakerState.CLOSED)


async def test_one_of_several_workers_probes_until_the_place_is_well(house: House) -> None:
    """Each probe asks once, whoever is first; afterwards all of them may ask again."""
    house.places.failures = 2
    quick = BreakerRules(faults_in_a_row=1, cool_down_seconds=0.2)
    async with (
        house.worker(quick) as (one, database),
        house.worker(quick) as (two, _),
        house.worker(quick) as (three, _),
    ):
        await failure(one, DOWN)
        for watch in (one, two, three):
            await watch.backends()
            assert watch.leaves_alone(PLACE)

        async def closed() -> bool:
            return (await known(database)).breaker.state is BreakerState.CLOSED

        await until("the breaker closes", closed, 30)
        for watch in (one, two, three):
            await watch.backends()
            watch.check(PLACE)
        found = await known(database)

    assert house.places.asked == 3
    assert found.breaker.openings == 3


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (BreakerRules(faults_in_a_row=100, retries_per_hour=2), "the 2 retries that it has in an hour"),
        (BreakerRules(faults_in_a_row=100, retries_per_job=2), "the 2 retries that a job has"),
    ],
    ids=["hour", "job"],
)
async def test_beyond_its_budget_nothing_is_tried_again(
    house: House, rules: BreakerRules, words: str
) -> None:
    """Of all workers together; what may be paid for, and what only waits, has none."""
    async with house.worker(rules) as (one, _), house.worker(rules) as (two, database):
        unclear = [await failure(one, SubmissionUnclear("is it there?")) for _ in range(3)]
        paid_for = [await failure(one, KeepAsking(DOWN, timedelta(seconds=1))) for _ in range(3)]
        tried = [await failure(watch, DOWN) for watch in (one, two, one)]
        found = await known(database)

    assert not any(each.non_retryable for each in (*unclear, *paid_for))
    assert [each.non_retryable for each in tried] == [False, False, True]
    assert tried[-1].type == "RetriesExhausted"
    assert words in tried[-1].message
    assert "it failed with: HTTP 503" in tried[-1].message
    assert found.retries == 3


async def test_what_is_tried_with_a_change_uses_up_the_same_retries(house: House) -> None:
    """What is only compiled anew asks no place, and uses up the job's alone; one too many is not written down."""

    async def change(watch: HealthWatch, database: Database, job: str, *, asked: bool) -> str:
        lost = JobLost("it is gone")
        try:
            await database.write(partial(_counted, watch, job, lost, asked=asked))
        except RetriesExhausted as failure:
            return failure.message
        return ""

    rules = BreakerRules(retries_per_hour=2, retries_per_job=3)
    async with house.worker(rules) as (watch, database):
        compiled = [await change(watch, database, "lab-1", asked=False) for _ in range(4)]
        sent = [await change(watch, database, f"lab-{number}", asked=True) for number in (2, 3, 4)]
        found = await known(database)

    assert compiled[:3] == ["", "", ""]
    assert "the 3 retries that a job has" in compiled[3]
    assert sent[:2] == ["", ""]
    assert "the 2 retries that it has in an hour" in sent[2]
    assert "it failed with: it is gone" in sent[2]
    assert found.retries == 2


def _counted(
    watch: HealthWatch, job: str, error: HybridError, connection: Connection, *, asked: bool
) -> None:
    watch.count_change(connection, PLACE, job, error, asked=asked)


def _without(table: str) -> Callable[[Connection], None]:
    def drop(connection: Connection) -> None:
        connection.execute(text(f"DROP TABLE {table}"))

    return drop


async def test_a_store_that_keeps_no_health_fails_no_job(house: House) -> None:
    """Errors stay what they are, and places are asked as before."""
    async with house.worker() as (watch, database):
        for table in ("health", "health_calls", "job_retries"):
            await database.write(_without(table))
        errors: list[HybridError] = [DOWN, SubmissionUnclear("is it there?")]
        failures = [await failure(watch, error) for error in errors]
        await attempt(watch, None)
        looked = await watch.look()

    assert [each.type for each in failures] == ["TargetUnavailable", "SubmissionUnclear"]
    assert looked == {}
