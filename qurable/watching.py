"""A loop as it goes: a chart that is drawn again in a notebook, in a terminal, or line by line.

Watching holds nothing: whoever stops, or whose machine sleeps, leaves the loop to its worker and may attach again.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from html import escape
from typing import TYPE_CHECKING, Any

from qurable.contracts.optimisations import CurvePoint, OptimisationStatus, Reference, Spent
from qurable.errors import NoWorker, ServiceUnreachable

if TYPE_CHECKING:
    from qurable.optimising import Loop

Show = Callable[[OptimisationStatus], None]

_LOOK_AGAIN_SECONDS = 2.0
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 338, 84, 72, 30
_SHOWN_PARAMETERS = 8


async def watch(loop: "Loop") -> OptimisationStatus:
    """Draw a loop until it ends; where it stood last.

    A service that cannot be reached any more is asked again until it can.

    Raises:
        JobNotFound: Nobody knows it.
        ServiceUnreachable: It cannot be reached to begin with.
    """
    try:
        with _showing() as show:
            async for status in _seen(loop):
                show(status)
    except (asyncio.CancelledError, KeyboardInterrupt):
        _write(
            f"loop {loop.id} goes on with its worker: `client.attach_loop({loop.id!r}).watch()` attaches to it"
        )
        raise
    return status


async def _seen(loop: "Loop") -> AsyncIterator[OptimisationStatus]:
    """Where the loop stands, each time that changes."""
    last: OptimisationStatus | None = None
    while True:
        try:
            async for last in loop.progress():
                yield last
        except (ServiceUnreachable, NoWorker) as failure:
            if last is None:
                raise
            yield last.model_copy(update={"message": f"looking again: {failure}"})
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _showing() -> AbstractContextManager[Show]:
    """What suits the place: a notebook, a terminal with the command line's chart, or a plain line for each status."""
    ipython = sys.modules.get("IPython")  # a notebook has loaded it
    if ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None:
        return nullcontext(_in_notebook())
    try:
        from qurable.cli.show_loops import showing
    except ImportError:
        return nullcontext(lambda status: _write(f"{_title(status)} ({_cost(status)})"))
    return showing()


def _in_notebook() -> Show:
    """Draws a status below the cell, in the place of the one before."""
    from IPython.display import SVG, display

    handle: Any = None

    def show(status: OptimisationStatus) -> None:
        nonlocal handle
        picture = SVG(data=chart(status))  # type: ignore[no-untyped-call]  # it has no types
        if handle is None:
            handle = display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            handle.update(picture)

    return show


def _write(line: str) -> None:
    sys.stderr.write(line + "\n")


def _title(status: OptimisationStatus) -> str:
    best = "" if status.best is None else f", best {status.best.value:.8g}"
    return f"{status.state}{best}{f': {status.message}' if status.message else ''}"


def _cost(status: OptimisationStatus) -> str:
    spent = status.spent
    shots = "exact values" if not spent.shots else f"{spent.shots:,} shots"
    return (
        f"{spent.iterations:,} iterations, {spent.evaluations:,} evaluations, {shots}, {spent.seconds:.1f} s"
        + paid(spent)
    )


def paid(spent: Spent) -> str:
    """What jobs at places that cost money took, to follow other words; empty where there are none."""
    parts = [f"{spent.qpu_seconds:g} QPU seconds"] if spent.qpu_seconds else []
    parts += [
        f"{amount:.2f} {currency}".rstrip() for currency, amount in sorted(spent.prices.items()) if amount
    ]
    return "".join(f", {part}" for part in parts)


def numbers(x: Sequence[float]) -> str:
    """The first parameters of a point (radians)."""
    shown = " ".join(f"{value:.4f}" for value in x[:_SHOWN_PARAMETERS])
    return f"{shown} ..." if len(x) > _SHOWN_PARAMETERS else shown


def chart(status: OptimisationStatus) -> str:
    """Value by iteration, best so far with its parameters, the classical value, and what it cost so far, as an SVG."""
    return drawn(
        status.curve,
        status.reference,
        f"{status.id} \u00b7 {_title(status)}",
        f"cost so far: {_cost(status)}",
        "" if status.best is None else f"best at: {numbers(status.best.x)}",
    )


def drawn(
    curve: Sequence[CurvePoint], reference: Reference | None, title: str, below: str, last_line: str = ""
) -> str:
    """A loop's curve as an SVG.

    Args:
        curve: In the order of its iterations.
        reference: What it is compared with.
        title: Its first line.
        below: Its second.
        last_line: Its third.
    """
    values = [number for point in curve for number in (point.value, point.best)]
    values += [] if reference is None else [reference.value]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = high - low or 1.0
    last = max((point.iteration for point in curve), default=0) or 1

    def across(iteration: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 16) * iteration / last

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / span

    def line(which: str, colour: str, width: float) -> str:
        points = " ".join(
            f"{across(point.iteration):.1f},{down(getattr(point, which)):.1f}" for point in curve
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="18" font-size="13">{escape(title)}</text><text x="8" y="36" fill="#555">{escape(below)}</text>',
        f'<text x="8" y="54" fill="#555">{escape(last_line)}</text>',
        *(
            f'<text x="{_LEFT - 8}" y="{down(value) + 4:.1f}" text-anchor="end">{value:.6g}</text>'
            for value in ([low, high] if values else [])
        ),
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">iteration 0</text>',
        f'<text x="{_WIDTH - 16}" y="{_HEIGHT - 8}" text-anchor="end">{last:,}</text>',
    ]
    if reference is not None:
        at = down(reference.value)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 16}" y1="{at:.1f}" y2="{at:.1f}" stroke="#888" stroke-dasharray="5"/>'
            f'<text x="{_WIDTH - 20}" y="{at + (14 if at < _TOP + 20 else -5):.1f}" text-anchor="end" fill="#555">'
            f"{escape(reference.solver)} {reference.value:.6g}</text>"
        )
    parts += [line("value", "#9bc", 1), line("best", "#0b5", 2)] if curve else []
    return "".join([*parts, "</svg>\n"])
