"""Plays rounds of the matrix, in lanes that share nothing, and judges them."""

import asyncio
import contextlib
import math
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.harness import until
from tests.chaos.paid import Round, Row
from tests.chaos.paid_cloud import cloud_rows
from tests.chaos.paid_faults import fault_rows
from tests.chaos.paid_house import ENDED, Kind, PaidHouse, paid_house
from tests.chaos.paid_judge import Verdict, judge
from tests.chaos.paid_kills import kill_rows
from tests.chaos.paid_refused import refused_rows
from tests.chaos.paid_sessions import session_rows
from tests.chaos.paid_stories import story_rows

ROWS: tuple[Row, ...] = (
    *kill_rows(),
    *fault_rows(),
    *cloud_rows(),
    *session_rows(),
    *refused_rows(),
    *story_rows(),
)
_SETTLED_SECONDS = 90.0


def chosen(rounds: int, seed: int, only: str = "") -> list[Row]:
    """Rows for so many rounds: each as often as the others, families in turn, quick ones alone where few are asked for.

    With `only`, a regular expression, those whose name it finds, each once.
    """
    if only:
        return [row for row in ROWS if re.search(only, row.name)]
    draw = random.Random(seed)
    quick = [row for row in ROWS if row.quick]
    if rounds <= len(quick):
        return _in_turn(quick, draw)[:rounds]
    rows: list[Row] = []
    while len(rows) < rounds:
        rows += _in_turn(list(ROWS), draw)
    return rows[:rounds]


def _in_turn(rows: list[Row], draw: random.Random) -> list[Row]:
    """All rows in an order where the first few are of different families."""
    draw.shuffle(rows)
    seen: dict[str, int] = {}
    turns: list[tuple[int, int]] = []
    for row in rows:
        seen[row.family] = seen.get(row.family, 0) + 1
        turns.append((seen[row.family], len(turns)))
    return [row for _, row in sorted(zip(turns, rows, strict=True), key=lambda pair: pair[0])]


async def play(
    folder: Path, rows: Sequence[Row], seed: int, lanes: int, minutes: float = math.inf
) -> list[Verdict]:
    """Play every row once, in so many lanes, each with processes of its own: one kind of house after the other.

    No round begins after so many minutes.
    """
    waiting: dict[Kind, list[tuple[int, Row]]] = {kind: [] for kind in Kind}
    for place, row in reversed(list(enumerate(rows))):
        waiting[row.house].append((place, row))
    clock = asyncio.get_running_loop().time
    over = clock() + 60 * minutes

    async def lane(number: int) -> list[Verdict]:
        verdicts = []
        for kind, left in waiting.items():
            if left and clock() < over:
                async with paid_house(folder / f"{number}{kind.name[0]}", kind) as home:
                    verdicts += await judge(home, await rounds(home, left))
        return verdicts

    async def rounds(home: PaidHouse, left: list[tuple[int, Row]]) -> list[tuple[Row, Round, list[str]]]:
        played = []
        while left and clock() < over:
            place, row = left.pop()
            round_ = Round(home, place, random.Random(f"{seed}-{place}"))
            played.append((row, round_, await _play(row, round_)))
        await _settled(home)
        return played

    verdicts = await asyncio.gather(*(lane(number) for number in range(lanes)))
    return [verdict for lane_ in verdicts for verdict in lane_]


async def _play(row: Row, round_: Round) -> list[str]:
    """Play one round; gives back what was wrong with it."""
    trouble = []
    began = asyncio.get_running_loop().time()
    try:
        await row.play(round_)
        await round_.finish()
    except Exception as failure:  # noqa: BLE001  one round must not take the verdict on all others with it
        trouble.append(f"{type(failure).__name__}: {failure}")
        with contextlib.suppress(Exception):
            temporal = round_.house.qurable.temporal
            await temporal.get_workflow_handle(round_.job_id).terminate("the round is over")
    await round_.home.bring_up()
    unspent = await round_.home.unspent()
    if unspent:
        trouble.append(f"never reached: {', '.join(unspent)}")
    await round_.home.fair_weather()
    took = asyncio.get_running_loop().time() - began
    how = round_.ended_as or ("answered" if round_.report else "no end")
    print(
        f"{round_.number:4d} {took:6.1f} s {row.family}: {row.name}: {how} {trouble or ''}",
        file=sys.stderr,
        flush=True,
    )
    return trouble


async def _settled(home: PaidHouse) -> None:
    """Wait until nothing waits or runs at the provider; the judge names what does."""

    async def quiet() -> bool:
        return all(one["status"] in ENDED for one in (await home.control.state())["jobs"])

    with contextlib.suppress(AssertionError):
        await until("the provider has nothing to do", quiet, _SETTLED_SECONDS)
