"""A device that fails is left alone by all workers, through restarts, until one free probe finds it well."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from fallback.breaker import BreakerRules
from fallback.table_file import DEFAULT
from isolation.pool import Nursery
from qurable.contracts.health import BackendHealth, BreakerState
from qurable.contracts.reports import JobReport, State
from qurable.errors import JobFailed
from qurable.requests import sample
from qurable.temporal.connect import connected
from store import health
from store.clock import moment
from store.database import Database
from store.schema import health as health_rows
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE, Paid
from worker import Hooks, workers

_TWIN = "fake_manila"
_ALONE = "is not asked for now: 5 calls in a row failed"


def bell(**options: Any) -> Any:
    """A Bell pair on the device."""
    return sample(BELL, shots=100, **{"backend": DEVICE, **options})


def table(folder: Path, **changes: float) -> Path:
    """The shipped table with other words about breakers."""
    text = DEFAULT.read_text(encoding="utf-8")
    for name, value in changes.items():
        line = f"{name}: {getattr(BreakerRules(), name):g}"
        assert text.count(line) == 1
        text = text.replace(line, f"{name}: {value}")
    file = folder / "strategy.yaml"
    file.write_text(text, encoding="utf-8")
    return file


async def known(database: Database) -> BackendHealth:
    """What a worker with this connection knows of the device."""
    return (await database.read(health.look, BreakerRules().window)).backends[DEVICE]


async def _requests(paid: Paid) -> list[tuple[str, str]]:
    """What was asked about the device, and what was sent, since the log was last forgotten."""
    asked = [(entry["method"], entry["path"]) for entry in await paid.control.log()]
    return [(method, path) for method, path in asked if "manila" in path or path.endswith("/jobs")]


def _let_it_be_due(connection: Connection) -> None:
    connection.execute(update(health_rows).values(until=moment(connection) - timedelta(seconds=1)))


def _is_left_alone(report: JobReport) -> None:
    verdict = next(entry for entry in report.route.considered if entry.name == DEVICE)
    assert (report.state, report.served_by, verdict.taken) == (State.DEGRADED, _TWIN, False)
    assert _ALONE in verdict.because
    assert _ALONE in report.because


@pytest.mark.long
async def test_a_device_that_fails_is_left_alone_until_a_free_probe_finds_it_well(
    paid_stack: PaidStack, tmp_path: Path, nursery: Nursery, ibm_nursery: Nursery
) -> None:
    """Whoever comes after an outage asks nobody, other workers and restarted ones as well; then one of them probes."""
    strategy = table(tmp_path, cool_down_seconds=1800.0, longest_seconds=1800.0)
    async with paid_stack(strategy=strategy) as paid:
        await paid.control.fault(".*", "outage")
        first = await paid.service.run(bell())
        await paid.control.clear()
        await paid.control.forget_log()
        next_one = await paid.service.run(bell())
        with pytest.raises(JobFailed) as alone:
            await paid.service.run(bell(fallback="none"))
        asked = await _requests(paid)
        listed = {entry.name: entry for entry in await paid.service.qurable.backends()}
        left = await known(paid.service.database)

    assert (first.state, first.served_by) == (State.DEGRADED, _TWIN)
    _is_left_alone(next_one)
    assert (alone.value.error.code, asked) == ("BreakerOpen", [])
    assert _ALONE in alone.value.error.message
    assert (left.breaker.state, left.calls, left.faults, left.retries) == (BreakerState.OPEN, 5, 5, 4)
    assert listed[DEVICE].health == left

    async with paid_stack(strategy=strategy) as paid:
        restarted = await paid.service.run(bell())
        await paid.control.forget_log()
        await paid.service.database.write(_let_it_be_due)
        async with _another_worker(paid, nursery, ibm_nursery), _another_worker(paid, nursery, ibm_nursery):
            await until("the breaker closes", lambda: _is_closed(paid), 60)
            probed = await _requests(paid)
        await paid.service.qurable.backends()  # looks anew, where planning may be a second behind
        again = await paid.service.run(bell())
        waited = (await known(paid.service.database)).wait_seconds

    _is_left_alone(restarted)
    assert sum(path.endswith("/backends/ibm_manila/status") for _, path in probed) == 1
    assert all(method == "GET" for method, _ in probed)
    assert (again.state, again.served_by) == (State.COMPLETED, DEVICE)
    assert again.route.rungs[0].estimate.error_rate is not None
    assert waited is not None


@contextlib.asynccontextmanager
async def _another_worker(paid: Paid, nursery: Nursery, ibm_nursery: Nursery) -> AsyncIterator[None]:
    """One with a connection, and a store, of its own."""
    service = paid.service
    async with (
        connected(address=service.server.target, home=service.settings.home) as client,
        workers(service.settings, client, Hooks(nursery=nursery, ibm_nursery=ibm_nursery)),
    ):
        yield


async def _is_closed(paid: Paid) -> bool:
    return (await known(paid.service.database)).breaker.state is BreakerState.CLOSED
