"""Timings and how they are shown."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Several timings of one thing, in seconds."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{self.name:<58} {_human(self.median):>10}   ({_human(low)} to {_human(high)}, n={len(self.seconds)})"


def _human(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


async def alternate(rounds: int, **contenders: Callable[[], Awaitable[object]]) -> dict[str, Figure]:
    """Time contenders in turn, A B A B ..., so that a machine that drifts is unfair to none."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            await contender()
            seconds[name].append(time.perf_counter() - began)
    return {name: Figure(name.replace("_", " "), tuple(values)) for name, values in seconds.items()}


def heading(text: str) -> None:
    """A section of the report."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def ratio(what: str, value: float, reach: float | None = None, *, at_least: bool = False) -> None:
    """A ratio, with what was to be reached."""
    goal = ""
    if reach is not None:
        reached = value >= reach if at_least else value <= reach
        goal = f"   ({'reached' if reached else 'MISSED'}: {'at least' if at_least else 'at most'} {reach:g})"
    print(f"{what:<58} {value:>10.2f}{goal}", flush=True)
