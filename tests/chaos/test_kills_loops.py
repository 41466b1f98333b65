"""A variational loop whose worker is killed again and again: the same walk, to the last bit, and little done twice."""

import asyncio
import itertools
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qurable.contracts.optimisations import Evaluation, LoopState
from qurable.optimising import Loop
from tests.chaos.harness import House, house, until
from tests.variational_at_hand import H2

KILLS = 10
ITERATIONS = 1600
LAST = 600
"""No kill is meant for a later iteration: the log grows by chunks of a second, and the loop is to run still."""

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
    moments = sorted(random.Random(SEED).sample(range(20, LAST), KILLS))
    states: list[LoopState] = []
    async with asyncio.timeout(_SECONDS), house(tmp_path, workers=1) as chaos:
        calm = await _start(chaos, "calm")
        calm_report = await calm.report()
        killed = await _start(chaos, "killed")
        for moment in moments:
            await _reached(killed, moment)
            states.append((await killed.status()).state)
            await _kill(chaos)
        killed_report = await killed.report()
        deaths = chaos.fleet.deaths
        logs = await _log(calm), await _log(killed)

    assert (deaths, states) == (KILLS, [LoopState.RUNNING] * KILLS)
    assert logs[0] == logs[1]
    assert len(logs[0]) >= 2 * ITERATIONS - 1
    assert (calm_report.x, calm_report.value, calm_report.error) == (
        killed_report.x,
        killed_report.value,
        killed_report.error,
    )


NOTED = """
import json, os, time


def noted(expectations, parameters, data):
    _note("began", parameters, data)
    time.sleep(data["seconds"])  # the work
    _note("ended", parameters, data)
    return expectations[0]


def _note(what, parameters, data):
    line = json.dumps({"at": time.time(), "pid": os.getpid(), "what": what, "x": parameters}) + "\\n"
    file = os.open(data["file"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, line.encode())
    os.close(file)
"""
"""An objective that takes its time, and notes what it is asked."""


def _install(folder: Path) -> None:
    """As an installer leaves it."""
    info = folder / "noted-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "noted_objective.py").write_text(NOTED, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noted\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[qurable.objectives]\nnoted = noted_objective:noted\n", encoding="utf-8"
    )


@dataclass(frozen=True)
class Note:
    """A line of the objective's.

    Attributes:
        at: When (s).
        pid: The child that asked.
        what: Whether it began or ended.
        x: The point.
    """

    at: float
    pid: int
    what: str
    x: tuple[float, ...]


def _notes(file: Path) -> list[Note]:
    if not file.exists():
        return []
    documents = map(json.loads, file.read_text(encoding="ascii").splitlines())
    return [Note(entry["at"], entry["pid"], entry["what"], tuple(entry["x"])) for entry in documents]


def _repeated(notes: list[Note]) -> Iterator[list[Note]]:
    """What each child in turn had begun that one after it began again, where there is any."""
    turns = [list(turn) for _, turn in itertools.groupby(notes, lambda note: note.pid)]
    for number, turn in enumerate(turns):
        later = {note.x for other in turns[number + 1 :] for note in other}
        if lost := [note for note in turn if note.x in later]:
            yield lost


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("seconds", "points", "kills", "optimiser"),
    [(0.01, 400, 5, "spsa"), (0.4, 18, 3, "cobyla")],
    ids=["short iterations", "long iterations"],
)
async def test_a_kill_repeats_an_iteration_or_a_second_of_work(
    tmp_path: Path, seconds: float, points: int, kills: int, optimiser: str
) -> None:
    """By what the objective itself was asked, since the store shows no evaluation twice."""
    file, installed = tmp_path / "notes", tmp_path / "installed"
    _install(installed)
    moments = sorted(random.Random(SEED).sample(range(5, points - 5), kills))
    variables = {"PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)])}
    wishes: dict[str, Any] = {
        "objective": {"name": "noted", "data": {"seconds": seconds, "file": str(file)}},
        "seed": SEED,
        "optimiser": {"name": optimiser},
        "stop": {"evaluations": points, "tolerance": 1e-12},
    }
    async with asyncio.timeout(_SECONDS), house(tmp_path, workers=1, variables=variables) as chaos:
        loop = await chaos.qurable.optimise(H2, "real_amplitudes:1", **wishes)
        for moment in moments:

            def there(moment: int = moment) -> bool:
                return len({note.x for note in _notes(file) if note.what == "began"}) >= moment

            await until(f"{moment} points were asked for", there, _SECONDS)
            await _kill(chaos)
        report = await loop.report()
        log = await _log(loop)

    walked = _notes(file)[:-4]  # without the two points that every loop evaluates anew at its end
    lost = list(_repeated(walked))

    assert chaos.fleet.deaths == kills
    assert len(log) >= points - 1
    assert {note.x for note in walked} == {entry.x for entry in log}
    assert 0 < len(lost) <= kills
    for notes in lost:
        whole = sum(note.what == "ended" for note in notes)
        assert whole <= 1 or (seconds < 0.2 and notes[-1].at - notes[0].at < 1.0)
    assert report.value is not None
