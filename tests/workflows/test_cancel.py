"""A cancelled job stops at once, wherever it is."""

import asyncio
import time

import pytest

from isolation.pool import Nursery
from qurable.client import Job
from qurable.contracts.reports import State
from qurable.errors import JobCancelled
from tests.chaos.harness import family, is_alive, processor_seconds, until
from tests.circuits_at_hand import BELL, ENDLESS
from tests.conftest import Service

WITHIN_SECONDS = 2.0
_TRIES = 5


def _used(nursery: Nursery) -> dict[int, float]:
    """Processor time of every child."""
    assert nursery._zygote is not None
    zygote = nursery._zygote.process.pid
    return {pid: processor_seconds(pid) for pid in family(zygote) if pid != zygote}


def _busier_than(before: dict[int, float], nursery: Nursery) -> list[int]:
    """Children that have worked for a second since then."""
    return [pid for pid, used in _used(nursery).items() if used - before.get(pid, 0.0) > 1.0]


async def test_cancel_reaches_the_running_simulation_within_two_seconds(
    service: Service, nursery: Nursery
) -> None:
    """Its process is gone, and its place and memory are free for the next job.

    The quickest of some counts: on a busy machine any one may wait for a processor.
    """
    took = WITHIN_SECONDS
    for _ in range(_TRIES):
        took = await _cancelling(service, nursery)
        if took < WITHIN_SECONDS:
            break

    assert took < WITHIN_SECONDS
    assert (await service.run(BELL, shots=10, backend="aer")).state is State.COMPLETED


async def _cancelling(service: Service, nursery: Nursery) -> float:
    """Seconds from a job's cancellation until its simulation is gone."""
    before = _used(nursery)
    job: Job = await service.qurable.submit(ENDLESS, shots=10, backend="aer")
    running = await until("it simulates", lambda: _busier_than(before, nursery))
    cancelled = time.monotonic()
    await job.cancel()
    await until("it is gone", lambda: not any(map(is_alive, running)))
    took = time.monotonic() - cancelled
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 30)
    assert (await job.status()).state is State.CANCELLED
    return took
