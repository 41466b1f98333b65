"""A loop as it goes: what a notebook, a terminal and a pipe are shown, and what becomes of a loop that nobody watches any more."""

import asyncio
import sys
import types
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from qurable import watching
from qurable.contracts.optimisations import (
    Best,
    CurvePoint,
    LoopState,
    OptimisationStatus,
    Reference,
    Spent,
)
from qurable.errors import HybridError, JobNotFound, NoWorker, ServiceUnreachable
from tests.conftest import Service
from tests.variational_at_hand import three_regular

_SECONDS = 60

_SVG = "{http://www.w3.org/2000/svg}"


def _status(iterations: int, state: LoopState = LoopState.RUNNING, **fields: Any) -> OptimisationStatus:
    curve = tuple(
        CurvePoint(iteration=at, value=1.0 / (at + 1) + 0.1 * (at % 2), best=1.0 / (at + 1))
        for at in range(iterations)
    )
    best = Best(iteration=0, value=curve[-1].best, x=(0.0,)) if curve else None
    spent = Spent(iterations=iterations, evaluations=2 * iterations, shots=100 * iterations, seconds=1.5)
    return OptimisationStatus(id="loop-p-1", state=state, curve=curve, best=best, spent=spent, **fields)


REFERENCE = Reference(solver="exact<1>", method="by hand", value=-0.5, seconds=0.1)


class Scripted:
    """A loop that tells what it is told to tell."""

    id = "loop-p-1"

    def __init__(self, *rounds: list[OptimisationStatus | HybridError]) -> None:
        self._rounds = list(rounds)

    async def progress(self) -> AsyncIterator[OptimisationStatus]:
        for status in self._rounds.pop(0):
            if isinstance(status, HybridError):
                raise status
            yield status


def _lines(svg: str) -> list[list[tuple[float, float]]]:
    """Points of every line of a picture."""
    tree = ET.fromstring(svg)
    return [
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]  # type: ignore[misc]
        for line in tree.iter(f"{_SVG}polyline")
    ]


def test_a_chart_has_every_iteration_the_best_and_the_classical_value() -> None:
    """Higher is further up; the classical value lies where its number says."""
    svg = watching.chart(_status(5, reference=REFERENCE))
    by_iteration, best = _lines(svg)
    (reference,) = (line.attrib for line in ET.fromstring(svg).iter(f"{_SVG}line"))
    text = "".join(ET.fromstring(svg).itertext())

    assert len(by_iteration) == len(best) == 5
    assert [x for x, _ in best] == sorted({x for x, _ in best})
    assert [y for _, y in best] == sorted(y for _, y in best)  # it falls from 1 to 0.2
    assert float(reference["y1"]) > max(y for _, y in best)
    assert by_iteration[1][1] < best[1][1]
    for words in ("loop-p-1", "best 0.2", "5 iterations, 10 evaluations, 500 shots, 1.5 s", "exact<1> -0.5"):
        assert words in text


def test_a_chart_has_the_best_parameters_and_what_jobs_cost() -> None:
    """As the command line's: the lid may be closed on it, and money goes on being spent."""
    status = _status(3)
    best = Best(iteration=2, value=-1.0, x=tuple(0.1 * at for at in range(9)))
    spent = status.spent.model_copy(
        update={"qpu_seconds": 12.5, "prices": {"USD": 20.0, "EUR": 1.5, "CHF": 0.0}}
    )
    found = status.model_copy(update={"best": best, "spent": spent})
    text = list(ET.fromstring(watching.chart(found)).itertext())

    assert "best at: 0.0000 0.1000 0.2000 0.3000 0.4000 0.5000 0.6000 0.7000 ..." in text
    assert (
        "cost so far: 3 iterations, 6 evaluations, 300 shots, 1.5 s, 12.5 QPU seconds, 1.50 EUR, 20.00 USD"
        in text
    )


@pytest.mark.parametrize(
    "status",
    [
        _status(0, LoopState.PREPARING),
        _status(1),
        _status(0, reference=REFERENCE, message="<waits & waits>"),
        _status(1).model_copy(update={"curve": (CurvePoint(iteration=0, value=2.0, best=2.0),) * 2}),
    ],
    ids=["nothing yet", "one iteration", "a reference alone", "a level line"],
)
def test_whatever_is_known_can_be_drawn(status: OptimisationStatus) -> None:
    """A picture that is no XML shows nothing at all."""
    assert ET.fromstring(watching.chart(status)).tag == f"{_SVG}svg"


async def test_in_a_notebook_one_picture_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below its cell, and not one below the other."""
    shown: list[str] = []

    class Handle:
        def update(self, picture: str) -> None:
            shown.append("update " + picture)

    def display(picture: str, *, display_id: bool) -> Handle:
        shown.append("display " + picture)
        return Handle()

    notebook = types.ModuleType("IPython")
    notebook.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    pictures = types.ModuleType("IPython.display")
    pictures.SVG = lambda data: data  # type: ignore[attr-defined]
    pictures.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", pictures)
    last = _status(3, LoopState.COMPLETED)
    ended = await watching.watch(Scripted([_status(1), _status(2), last]))  # type: ignore[arg-type]

    assert ended == last
    assert [entry.split(" ")[0] for entry in shown] == ["display", "update", "update"]
    assert all("<svg" in entry for entry in shown)


async def test_without_the_command_line_a_line_for_each_status_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wheel alone has no charts."""
    monkeypatch.setitem(sys.modules, "qurable.cli.show_loops", None)
    await watching.watch(Scripted([_status(1), _status(2, LoopState.COMPLETED)]))  # type: ignore[arg-type]

    assert capsys.readouterr().err.splitlines() == [
        "running, best 1 (1 iterations, 2 evaluations, 100 shots, 1.5 s)",
        "completed, best 0.5 (2 iterations, 4 evaluations, 200 shots, 1.5 s)",
    ]


async def test_a_connection_that_was_lost_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lid was closed, and the network is not there yet when it is opened."""
    monkeypatch.setitem(sys.modules, "qurable.cli.show_loops", None)
    monkeypatch.setattr(watching, "_LOOK_AGAIN_SECONDS", 0.0)
    last = _status(3, LoopState.COMPLETED)
    lost = Scripted([_status(1), ServiceUnreachable("no network")], [NoWorker("none yet")], [last])

    assert await watching.watch(lost) == last  # type: ignore[arg-type]
    assert "running, best 1: looking again: no network" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [ServiceUnreachable("wrong address"), JobNotFound("never was")])
async def test_a_loop_that_cannot_be_found_is_not_waited_for(failure: HybridError) -> None:
    """A wrong address is one for ever."""
    with pytest.raises(type(failure)):
        await watching.watch(Scripted([failure]))  # type: ignore[arg-type]


async def test_whoever_stops_watching_leaves_the_loop_running(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is told how to come back."""
    loop = await service.qurable.optimise(
        three_regular(6),
        "qaoa:1",
        shots=100,
        optimiser={"name": "spsa"},
        stop={"evaluations": 1_000_000, "tolerance": 1e-12},
        reference=None,
    )
    seen = asyncio.Event()

    class Told(type(loop)):  # type: ignore[misc]
        async def progress(self) -> AsyncIterator[OptimisationStatus]:
            async for status in super().progress():
                yield status
                if status.spent.iterations:
                    seen.set()

    watching_it = asyncio.create_task(Told(loop.id, loop._temporal, loop._read).watch())
    async with asyncio.timeout(_SECONDS):
        await seen.wait()
        watching_it.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching_it
        status = await loop.status()
        await loop.stop()
        await loop.report()

    assert status.state is LoopState.RUNNING
    assert f"loop {loop.id} goes on with its worker" in capsys.readouterr().err
