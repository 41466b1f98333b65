"""Findings as lines for a terminal."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from emulator.rehearsal_findings import Findings, Range, Run

_BAR_WIDTH = 40
_BESIDE_THE_BAR = 30
"""Columns for the span, the count, the percentage and the gaps."""

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_EDGES = (
    *(0.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 40 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 16 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 8 * _DAY, float("inf")),
)
"""Of the histogram's spans, in seconds."""


def lines(found: Findings, width: int) -> Iterator[str]:
    """The findings, drawn.

    Args:
        found: What to draw.
        width: Columns of the terminal.
    """
    jobs = f", {found.jobs} jobs each" if found.jobs > 1 else ""
    yield (
        f"{len(found.runs)} runs{jobs} on {found.backend!r} in a month of {found.days} days, weather of seed {found.seed}; "
        "emulated, nothing was paid"
    )
    if found.price is not None:
        yield f"price     {_spread(found.price, lambda price: f'{price:.2f}')} {found.currency} a run"
    finish = Range.of(found.finish)
    if finish is not None:
        yield f"finished  {_spread(finish, span)} after the start"
        yield from _histogram(found.finish, width)
    yield "served by " + (_counts(found.rungs) or "nobody")
    yield "failures  " + (_counts(found.failures) or "none")
    provider = sum(answer.provider_attempts for answer in found.answers)
    stages = sum(answer.stage_attempts for answer in found.answers)
    yield f"retries   {provider} submissions sent again, {stages} stages tried again (waits for a turn among them)"
    billed = sum(duplicate.billed_seconds for duplicate in found.duplicates)
    yield (
        f"duplicates {len(found.duplicates)}, which cost {billed:.2f} QPU seconds, "
        f"{billed * found.price_per_second:.2f} {found.currency}"
    )
    for warning in found.warnings:
        yield f"warning   {warning}"


def progress(run: Run, runs: int) -> str:
    """One run as one line."""
    queue = ", ".join(f"{device} {span(seconds)}" for device, seconds in run.queue_seconds.items())
    errors = sorted({answer.error for answer in run.answers if answer.error})
    came = f"ended with {', '.join(errors)}" if run.seconds is None else f"answered after {span(run.seconds)}"
    return f"run {run.number} of {runs}  {run.began:.16}  queue {queue}: {came}, {run.price:.2f} USD"


def span(seconds: float) -> str:
    """A span of time in two of its units, rounded."""
    if (whole := round(seconds)) < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // 60} min {whole % 60:02} s"
    if (minutes := round(seconds / _MINUTE)) < _DAY / _MINUTE:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / _HOUR)
    return f"{hours // 24} d {hours % 24:02} h"


def _histogram(values: list[float], width: int) -> Iterator[str]:
    counts = [sum(low <= value < high for value in values) for low, high in pairwise(_EDGES)]
    filled = [number for number, count in enumerate(counts) if count]
    bars = max(1, min(_BAR_WIDTH, width - _BESIDE_THE_BAR))
    for number in range(filled[0], filled[-1] + 1):
        count, high = counts[number], _EDGES[number + 1]
        label = "longer" if high == float("inf") else f"up to {_short(high)}"
        bar = "█" * max(1, round(bars * count / max(counts))) if count else ""
        yield f"  {label:<13} {bar:<{bars}} {count:>4}  {count / len(values):6.1%}"


def _short(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / _MINUTE:.0f} min"


def _spread(spread: Range, written: Callable[[float], str]) -> str:
    return f"min {written(spread.min)}, median {written(spread.median)}, p90 {written(spread.p90)}, max {written(spread.max)}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
