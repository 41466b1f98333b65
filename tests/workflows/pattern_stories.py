"""Runs of every pattern, whose histories are recorded once per release."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from qurable.contracts.rollout import RolloutChange, RolloutRule
from qurable.contracts.schedules import ScheduleSpec
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.cut_at_hand import HALF, WANTED, two_halves
from tests.matrices_at_hand import data, feature_map

_STATE = BELL.split("measure")[0]
_NIGHT = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)


async def loop_in_chunks(service: Service) -> str:
    """A loop that never leaves the worker."""
    loop = await service.qurable.optimise(
        {"ZZ": -1.0, "XI": -0.5},
        "real_amplitudes:1",
        optimiser={"name": "cobyla"},
        stop={"evaluations": 8},
        reference=None,
        key="loop-in-chunks",
    )
    await loop.report()
    return loop.id


async def loop_elsewhere(service: Service) -> str:
    """A loop that explores on aer and finishes with an iteration that is a job."""
    loop = await service.qurable.optimise(
        {"ZZ": -1.0, "XI": -0.5},
        "real_amplitudes:1",
        optimiser={"name": "cobyla"},
        finish={"backend": "fake_manila", "shots": 50, "when": "iterations", "explore": 2, "iterations": 1},
        reference=None,
        key="loop-elsewhere",
    )
    await loop.report()
    return loop.id


async def batch(service: Service) -> str:
    """Two groups, of one and of two items."""
    work = [sample(BELL, shots=shots, seed=7, backend="aer") for shots in (10, 10, 20)]
    found = await service.qurable.batch(work, key="batch")
    await found.report()
    return found.id


async def comparison(service: Service) -> str:
    """Two places, each with its answer."""
    work = sample(BELL, shots=50, seed=7, key="comparison")
    found = await service.qurable.compare(work, on=["aer", "fake_manila"])
    await found.report()
    return found.id


async def hedged(service: Service) -> str:
    """The first place does not answer in time, the second does; the first is withdrawn."""
    work = sample(BELL, shots=50, seed=7, key="hedged")
    found = await service.qurable.hedge(work, on=["busy", "aer"], after=0.5)
    await found.report()
    return found.id


async def cut(service: Service) -> str:
    """A circuit in two fragments."""
    options = {"cut": {"qubits": HALF}, "shots": 100, "seed": 5, "backend": "aer", "key": "cut"}
    found = await service.qurable.cut((two_halves(), WANTED), **options)
    await found.report()
    return found.id


async def kernel(service: Service) -> str:
    """Three overlaps of three samples."""
    found = await service.qurable.kernel(feature_map(), data(3), shots=100, seed=5, key="kernel")
    await found.report()
    return found.id


async def precise(service: Service) -> str:
    """Rounds until a precision is reached."""
    found = await service.qurable.start_precise(
        _STATE, {"XI": 1.0}, precision=0.02, backend="aer", seed=4, key="precise"
    )
    await found.report()
    return found.id


async def fire(service: Service) -> str:
    """A moment of a schedule, whose one job is run."""
    schedules = service.qurable.schedules
    spec = ScheduleSpec(name="nightly", cron=("30 1 * * *",))
    await schedules.create(spec, [sample(BELL, shots=10, seed=7, backend="aer")])
    await schedules.backfill("nightly", _NIGHT, _NIGHT)

    async def ended() -> str:
        status = await schedules.describe("nightly")
        return status.recent[0].id if status.recent and not status.running else ""

    run: str = await until("the moment's jobs have ended", ended)
    await schedules.delete("nightly")
    return run


async def shadow(service: Service) -> str:
    """An answered job runs at a second place too."""
    rule = {
        "name": "twin",
        "backend": "fake_manila",
        "share": 1.0,
        "shadow": True,
        "when": {"label": "try=twin"},
    }
    await service.qurable.set_rollout(RolloutChange(rule=RolloutRule.model_validate(rule), by="ada"))
    work = sample(BELL, shots=50, seed=7, backend="aer", key="shadowed", labels={"try": "twin"})
    await service.run(work)

    async def began() -> str:
        async for execution in service.temporal.list_workflows('WorkflowType="Shadow"', limit=1):
            return execution.id
        return ""

    found: str = await until("the shadow has begun", began)
    async with asyncio.timeout(60):
        await service.temporal.get_workflow_handle(found).result()
    return found


PATTERNS: tuple[Callable[[Service], Awaitable[str]], ...] = (
    loop_in_chunks,
    loop_elsewhere,
    batch,
    comparison,
    hedged,
    cut,
    kernel,
    precise,
    fire,
    shadow,
)
