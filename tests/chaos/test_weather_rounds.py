"""Random rounds of weather: every job ends, none is wrongly labelled, the ledger adds up to what the emulator billed."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.chaos.paid_house import Kind, paid_house
from tests.chaos.weather_draw import KINDS, drawn
from tests.chaos.weather_judge import ends, judge, weathers
from tests.chaos.weather_playing import Played, play

USUAL_SEED = 7
SEED = int(os.environ.get("CHAOS_SEED", USUAL_SEED))
ONLY = [int(number) for number in os.environ.get("CHAOS_WEATHER", "").split(",") if number]
FEW, ALL = 20, 500

AT_LEAST = {
    "hardware": 100,
    "noisy_simulator": 60,
    "simulator": 20,
    "classical": 5,
    "failed": 20,
    "JobCancelled": 10,
}
"""Of all rounds, so many jobs have to end so: rounds where nothing ever goes wrong, or right, would show nothing."""


@pytest.mark.timeout(1800)
async def test_jobs_in_any_weather_end_rightly(tmp_path: Path) -> None:
    """A few rounds, or those that `CHAOS_WEATHER` names."""
    await _play(tmp_path, ONLY or range(FEW))


@pytest.mark.long
@pytest.mark.skipif(bool(ONLY), reason="CHAOS_WEATHER names the rounds to play")
@pytest.mark.timeout(3600)
async def test_jobs_in_all_weathers_end_rightly(tmp_path: Path) -> None:
    """All the others, among which each kind of end has come often enough."""
    played = await _play(tmp_path, range(FEW, ALL))

    seen = ends(played)
    failed = sum(1 for one in played if one.error is not None and one.ended_as != "JobCancelled")
    assert _rare({**seen, "failed": failed}, AT_LEAST) == {}


def test_the_usual_rounds_have_every_kind_of_weather() -> None:
    """Often; with another seed a sky may be missing."""
    rounds = [drawn(USUAL_SEED, number) for number in range(FEW, ALL)]
    seen = Counter(kind for round_ in rounds for kind in set(round_.kinds))

    assert _rare(seen, dict.fromkeys(KINDS, 15)) == {}


async def _play(folder: Path, numbers: Sequence[int]) -> list[Played]:
    began = time.monotonic()
    async with paid_house(folder / "house", Kind.HARDWARE) as home:
        played = await play(home, SEED, numbers)
        wrong = await judge(home, played)
    print(f"{len(numbers)} rounds of seed {SEED}, {len(played)} jobs, {time.monotonic() - began:.0f} s")
    print(f"ends: {_listed(ends(played))}")
    print(f"weather: {_listed(weathers(played))}")
    print(*wrong, sep="\n")
    assert wrong == []
    return played


def _rare(seen: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """What did not come as often as wanted."""
    return {name: seen.get(name, 0) for name, least in wanted.items() if seen.get(name, 0) < least}


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())
