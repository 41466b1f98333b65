"""What a loop's log says: what it cost, its best point, its curve."""

from array import array
from collections.abc import Iterator, Sequence

from qurable.contracts.loop_places import Stretch
from qurable.contracts.optimisations import Best, CurvePoint, Spent
from qurable.contracts.problems import Sense
from store.loop_jobs import Cost
from store.optimisations import Block


def spent(log: Sequence[Block], groups: int, cost: Cost) -> Spent:
    """What a loop has used so far; each of so many groups of observables is measured with its own shots.

    Args:
        log: So far.
        groups: Of observables.
        cost: Of its jobs.
    """
    return Spent(
        iterations=log[-1].stop if log else 0,
        evaluations=sum(sum(block.sizes) for block in log),
        shots=sum((block.shots or 0) * groups * sum(block.sizes) for block in log),
        seconds=sum(block.seconds for block in log),
        jobs=cost.jobs,
        qpu_seconds=cost.qpu_seconds,
        prices=cost.prices,
    )


def stretches(log: Sequence[Block], groups: int, sense: Sense) -> tuple[Stretch, ...]:
    """Which iterations were where, in order."""
    choose = max if sense is Sense.MAXIMIZE else min
    found: list[Stretch] = []
    for block in log:
        evaluations, value = sum(block.sizes), choose(array("d", block.values))
        if not found or found[-1].backend != block.backend:
            found.append(
                Stretch(backend=block.backend, first=block.first, iterations=0, evaluations=0, best=value)
            )
        last = found[-1]
        found[-1] = last.model_copy(
            update={
                "iterations": last.iterations + len(block.sizes),
                "evaluations": last.evaluations + evaluations,
                "shots": last.shots + (block.shots or 0) * groups * evaluations,
                "best": choose(last.best, value),
            }
        )
    return tuple(found)


def best(log: Sequence[Block], sense: Sense) -> Best | None:
    """The best of the evaluations at the place of the last one, the first of several; None before there is one.

    Values of two places are not compared: the best of a simulator's would always be better than hardware's.
    """
    chosen = None
    for block in _of_last_place(log):
        values = array("d", block.values)
        value = (max if sense is Sense.MAXIMIZE else min)(values)
        if chosen is None or _better(value, chosen[0], sense):
            chosen = (value, block, values.index(value))
    if chosen is None:
        return None
    value, block, at = chosen
    x, width = array("d", block.x), len(block.x) // len(block.values)
    return Best(
        iteration=_iteration(block, at),
        value=value,
        error=array("d", block.errors)[at],
        x=tuple(x[at * width : (at + 1) * width]),
    )


def _of_last_place(log: Sequence[Block]) -> Sequence[Block]:
    """The blocks that follow the last change of place, or between exact values and shots."""
    begin = len(log)
    while begin and _place(log[begin - 1]) == _place(log[-1]):
        begin -= 1
    return log[begin:]


def _place(block: Block) -> tuple[str, bool]:
    return block.backend, block.shots is None


def _iteration(block: Block, at: int) -> int:
    """The iteration of the point at a position of a block."""
    for iteration, size in enumerate(block.sizes, start=block.first):
        if at < size:
            return iteration
        at -= size
    raise IndexError(at)


def _better(value: float, than: float, sense: Sense) -> bool:
    return value > than if sense is Sense.MAXIMIZE else value < than


def curve(log: Sequence[Block], sense: Sense, start: int, points: int) -> tuple[CurvePoint, ...]:
    """At most so many points of the iterations from one on, evenly, the last one among them."""
    every = [point for point in _curve(log, sense) if point.iteration >= start]
    if len(every) <= points:
        return tuple(every)
    step = len(every) / points
    return tuple(every[int((number + 1) * step) - 1] for number in range(points))


def _curve(log: Sequence[Block], sense: Sense) -> Iterator[CurvePoint]:
    choose = max if sense is Sense.MAXIMIZE else min
    best_yet: float | None = None
    place: tuple[str, bool] | None = None
    for block in log:
        if place != _place(block):
            best_yet, place = None, _place(block)
        values, at = array("d", block.values), 0
        for iteration, size in enumerate(block.sizes, start=block.first):
            value = choose(values[at : at + size])
            best_yet = value if best_yet is None else choose(best_yet, value)
            yield CurvePoint(iteration=iteration, value=value, best=best_yet)
            at += size
