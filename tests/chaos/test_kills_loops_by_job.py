"""Loops whose iterations are jobs, with workers killed again and again: the same walk, and no iteration paid twice."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qurable.contracts.optimisations import Evaluation
from qurable.optimising import Loop
from tests.chaos.harness import House, house, until
from tests.chaos.paid_house import Kind, paid_house
from tests.variational_at_hand import H2

ITERATIONS = 7
KILLS = 3
SEED = 11

_SECONDS = 550


def _wishes(**options: Any) -> dict[str, Any]:
    return {
        "shots": 100,
        "seed": SEED,
        "optimiser": {"name": "cobyla"},
        "stop": {"evaluations": ITERATIONS, "tolerance": 1e-12},
        "reference": None,
        **options,
    }


async def _log(loop: Loop) -> list[Evaluation]:
    return [entry async for entry in loop.evaluations()]


async def _kill_now_and_then(chaos: House, loop: Loop, moments: list[int]) -> None:
    """Kill a worker soon after each of these iterations is in the store, at whatever line it is."""
    for moment in moments:

        async def there(moment: int = moment) -> list[Evaluation]:
            return [entry async for entry in loop.evaluations(moment)]

        await until(f"iteration {moment} is in the store", there, _SECONDS)
        await _kill_one(chaos)


async def _kill_one(chaos: House) -> None:
    """Kill a worker, and wait until it is dead: the next kill is for another."""
    dead = chaos.fleet.deaths
    chaos.fleet.kill_one()
    await until("a worker is dead", lambda: chaos.fleet.deaths > dead)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_loop_on_a_device_that_is_killed_walks_as_one_that_is_not(tmp_path: Path) -> None:
    """Points, values, errors and seeds, to the last bit; each iteration was one job."""
    moments = sorted(random.Random(SEED).sample(range(ITERATIONS - 2), KILLS))
    async with asyncio.timeout(_SECONDS), house(tmp_path, workers=2) as chaos:
        calm = await chaos.qurable.optimise(
            H2, "real_amplitudes:1", key="calm", **_wishes(backend="fake_manila")
        )
        calm_report = await calm.report()
        killed = await chaos.qurable.optimise(
            H2, "real_amplitudes:1", key="killed", **_wishes(backend="fake_manila")
        )
        await _kill_now_and_then(chaos, killed, moments)
        killed_report = await killed.report()
        deaths = chaos.fleet.deaths
        logs = [
            [entry.model_copy(update={"job_id": ""}) for entry in await _log(loop)] for loop in (calm, killed)
        ]

    assert deaths == KILLS
    assert len(logs[0]) == ITERATIONS
    assert logs[0] == logs[1]
    assert (calm_report.x, calm_report.value) == (killed_report.x, killed_report.value)
    assert [job.ordinal for job in killed_report.jobs] == [0] * (ITERATIONS + 1)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_loop_that_pays_and_is_killed_pays_for_each_iteration_once_in_one_session(
    tmp_path: Path,
) -> None:
    """The provider has as many jobs as there were iterations, and one for the last point."""
    moments = sorted(random.Random(SEED + 1).sample(range(ITERATIONS - 2), KILLS))
    async with asyncio.timeout(_SECONDS), paid_house(tmp_path, Kind.SQLITE) as home:
        loop = await home.house.qurable.optimise(
            H2,
            "real_amplitudes:1",
            **_wishes(backend="ibm:manila", ibm={"mode": "session", "preflight": "off"}),
        )
        await _kill_now_and_then(home.house, loop, moments)
        report = await loop.report()
        state = await home.control.state()

    assert report.spent.iterations == ITERATIONS
    assert len(state["jobs"]) == ITERATIONS + 1
    assert [session["accepting"] for session in state["sessions"]] == [False]
    assert {job["session_id"] for job in state["jobs"]} == {state["sessions"][0]["id"]}
