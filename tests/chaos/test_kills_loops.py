"""A variational loop whose worker is killed again and again: the same walk, to the last bit, and little done twice."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qurable.contracts.optimisations import Evaluation
from qurable.optimising import Loop
from tests.chaos.harness import House, house, until
from tests.variational_at_hand import H2

KILLS = 10
ITERATIONS = 600
SEED = 7

_SECONDS = 550


async def _start(chaos: House, key: str) -> Loop:
    wishes: dict[str, Any] = {
        "shots": 200,
        "seed": SEED,
        "optimiser": {"name": "spsa"},
        "stop": {"evaluations": 2 * ITERATIONS, "tolerance": 1e-12},
        "reference": None,
    }
    return await chaos.qurable.optimise(H2, "real_amplitudes:1", key=key, **wishes)


async def _log(loop: Loop) -> list[Evaluation]:
    return [entry async for entry in loop.evaluations()]


async def _reached(loop: Loop, iteration: int) -> None:
    """Until the store has an iteration; a worker answers for it, so this waits for one that lives."""

    async def there() -> list[Evaluation]:
        return [entry async for entry in loop.evaluations(iteration)]

    await until(f"iteration {iteration} is in the store", there, _SECONDS)


async def _kill(chaos: House) -> None:
    """Kill a worker, and wait until it is dead: the next kill is for another."""
    dead = chaos.fleet.deaths
    chaos.fleet.kill_one()
    await until("it is dead", lambda: chaos.fleet.deaths > dead)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_loop_that_is_killed_ten_times_walks_as_one_that_is_not(tmp_path: Path) -> None:
    """Wherever the kills fall: points, values, errors and seeds are those of the calm loop."""
    moments = sorted(random.Random(SEED).sample(range(20, ITERATIONS - 100), KILLS))
    async with asyncio.timeout(_SECONDS), house(tmp_path, workers=2) as chaos:
        calm = await _start(chaos, "calm")
        calm_report = await calm.report()
        killed = await _start(chaos, "killed")
        for moment in moments:
            await _reached(killed, moment)
            await _kill(chaos)
        killed_report = await killed.report()
        deaths = chaos.fleet.deaths
        logs = await _log(calm), await _log(killed)

    assert deaths == KILLS
    assert logs[0] == logs[1]
    assert len(logs[0]) >= 2 * ITERATIONS - 1
    assert (calm_report.x, calm_report.value, calm_report.error) == (
        killed_report.x,
        killed_report.value,
        killed_report.error,
    )
