"""Shots for a precision: allotted to groups by their variances, in rounds that grow, and put together without bias by the end.

A group's variance sigma^2 of a single shot and n shots give the value a variance of sum sigma^2 / n. For a precision eps
that takes the fewest shots where n is sigma (sum of all sigma) / eps^2 (Neyman's allotment).

Rounds are pooled shot by shot, not weighted by their own estimated variances, which go with their values. Whether there
is another round depends on the standard error alone.

Source: J. Neyman, J. R. Stat. Soc. 97, 558 (1934).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qurable.contracts.precise import Moments

_GROWTH = 4
"""A round has at most so many times the shots before it: their variances are known only so well."""

_MORE = 1.05
"""Shots beyond what the estimated variances ask for, so that a last round is the last."""

LEAST_ROUND = 100
"""Shots of a group in a round, at least."""

_RUN_SHOTS = 250
_MOST_RUN_SHOTS = 100_000
"""What any place runs at once; a job's own limit is higher."""

_RUNS = 64
"""Of a round, about, or four of each group where that is more; each has enough shots for a variance of its own."""

_MOST_ROUND = 1024 * _MOST_RUN_SHOTS
"""Shots of a round, so that its runs are a thousand or so."""


@dataclass(frozen=True)
class Runs:
    """How a round is run: every run of it has the same shots, so that it is one job of a provider's.

    Attributes:
        each: Shots of a run.
        copies: Runs of each group.
    """

    each: int
    copies: tuple[int, ...]

    @property
    def shots(self) -> tuple[int, ...]:
        """Of each group."""
        return tuple(self.each * copies for copies in self.copies)


def standard_error(moments: Sequence[Moments]) -> float:
    """Of the sum over all groups; infinite where a group has no shots."""
    if not all(group.shots for group in moments):
        return math.inf
    return math.sqrt(sum(group.variance / group.shots for group in moments))


def value(constant: float, moments: Sequence[Moments]) -> float:
    """The sum over all groups."""
    return constant + sum(group.mean for group in moments)


def pooled(before: Moments, shots: int, evs: Sequence[float], stds: Sequence[float]) -> Moments:
    """Moments with the runs of another round, each of so many shots."""
    total = before.shots + shots * len(evs)
    mean = before.shots * before.mean + shots * math.fsum(evs)
    square = before.shots * before.square + shots * math.fsum(
        std**2 * shots + ev**2 for ev, std in zip(evs, stds, strict=True)
    )
    return Moments(shots=total, mean=mean / total, square=square / total)


def next_round(
    moments: Sequence[Moments], precision: float, pilot: int, halved: int, left: int
) -> Runs | None:
    """The next round; None where so few shots as it may have are not allowed any more.

    Args:
        moments: So far, of each group.
        precision: Standard error that is asked for.
        pilot: Shots of each group in the first round.
        halved: How many times what was planned was too dear.
        left: Shots that are still allowed.
    """
    had = sum(group.shots for group in moments)
    if had:
        sigmas = [math.sqrt(group.variance) for group in moments]
        due = [_MORE * sigma * sum(sigmas) / precision**2 for sigma in sigmas]
        missing = [max(0.0, wanted - group.shots) for wanted, group in zip(due, moments, strict=True)]
        if not any(missing):  # some groups have more than their part: the others make up for it
            missing = [wanted * 0.1 for wanted in due]
        most = min(_GROWTH * had, left, _MOST_ROUND)
    else:
        missing = [float(pilot)] * len(moments)
        most = min(left, _MOST_ROUND)
    scale = min(1.0, most / sum(missing)) if sum(missing) else 0.0
    wanted = [scale * shots / 2**halved for shots in missing]
    if max(wanted, default=0.0) < LEAST_ROUND and (halved or scale < 1):
        return None
    runs = _in_runs([max(shots, LEAST_ROUND) if shots else 0.0 for shots in wanted], left)
    return runs if had or runs is None or all(runs.copies) else None


def _in_runs(wanted: Sequence[float], left: int) -> Runs | None:
    total = sum(wanted)
    least = _RUN_SHOTS if max(wanted) >= _RUN_SHOTS else LEAST_ROUND
    each = min(max(least, math.ceil(total / max(_RUNS, 4 * len(wanted)))), _MOST_RUN_SHOTS)
    copies = [math.floor(shots / each + 0.5) for shots in wanted]
    if not any(copies):
        copies[max(range(len(wanted)), key=lambda at: wanted[at])] = 1
    while each * sum(copies) > left and sum(copies) > 1:
        copies[max(range(len(copies)), key=lambda at: copies[at])] -= 1
    return Runs(each, tuple(copies)) if each * sum(copies) <= left else None
