"""A loop with a registered objective whose worker is killed: the same walk, made of the same function."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qurable.optimising import Loop
from tests.chaos.harness import House, house
from tests.chaos.test_kills_loops import _kill, _log, _reached
from tests.isolation.test_composed_objective import NUMBER, SECTOR
from tests.variational_at_hand import H2

KILLS = 3
ITERATIONS = 300
SEED = 5


async def _start(chaos: House, key: str) -> Loop:
    wishes: dict[str, Any] = {
        "objective": SECTOR["objective"],
        "shots": 100,
        "seed": SEED,
        "optimiser": {"name": "spsa"},
        "stop": {"evaluations": 2 * ITERATIONS, "tolerance": 1e-12},
    }
    return await chaos.qurable.optimise([H2, NUMBER], "real_amplitudes:1", key=key, **wishes)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_registered_objective_walks_the_same_way_whoever_is_killed(tmp_path: Path) -> None:
    """Values and errors to the last bit, and the function's version and source in both reports."""
    moments = sorted(random.Random(SEED).sample(range(20, ITERATIONS - 80), KILLS))
    async with asyncio.timeout(350), house(tmp_path, workers=2) as chaos:
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
    assert (calm_report.x, calm_report.value) == (killed_report.x, killed_report.value)
    assert calm_report.provenance["objective"] == killed_report.provenance["objective"]
