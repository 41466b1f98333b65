"""Submissions that a budget or the provider finds too large: how many shots there is room for, and smaller parts."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backends.ibm.split import DeviceLimits, parts
from qurable.contracts.executions import PartIntent, Submission
from qurable.errors import BudgetExceeded

_ROUNDING = 1e-6
"""QPU seconds or units of money by which sums of floats may be off, as when they are reserved."""


def divided_parts(submission: Submission, limits: DeviceLimits) -> tuple[PartIntent, ...]:
    """The parts of a submission, as small as it asks for: fewer bindings in each than there is room for.

    Raises:
        JobTooLarge: One binding alone is beyond a limit.
        RequestRejected: A pub asks for exact values.
    """
    whole = parts(submission, limits)
    if submission.divided == 1:
        return whole
    most = max((_bindings(part) for part in whole), default=1)
    return parts(submission, replace(limits, max_bindings=math.ceil(most / submission.divided)))


def _bindings(part: PartIntent) -> int:
    return sum(piece.stop - piece.start for piece in part.slices)


def with_shots_that_fit(
    refusal: BudgetExceeded, submission: Submission, limits: DeviceLimits, intents: Sequence[PartIntent]
) -> BudgetExceeded:
    """A refusal that says how many shots the budget has room for: the most that every pub can be cut to; 0 for none.

    Args:
        refusal: Of a budget, with what is left of it.
        submission: What was to be sent.
        limits: Of the device.
        intents: Its parts, with their prices.
    """
    told = refusal.details
    if told.get("asked") is None or not submission.pubs:
        return refusal
    room: float = told["limit"] - told["reserved"] - told["spent"]
    paid = intents[0]
    price = (paid.price_per_second or 0.0) if told["unit"] == paid.currency else 1.0
    most = max(pub.shots for pub in submission.pubs)

    def is_too_dear(shots: int) -> bool:
        return price * _reserved(divided_parts(_at_most(submission, shots), limits)) > room + _ROUNDING

    fitting = bisect_left(range(1, most), True, key=is_too_dear)
    would_fit = f"; with {fitting:,} shots a circuit it would fit" if fitting else ""
    return BudgetExceeded(f"{refusal.message}{would_fit}", **told, shots_that_fit=fitting)


def _at_most(submission: Submission, shots: int) -> Submission:
    pubs = tuple(pub.model_copy(update={"shots": min(pub.shots, shots)}) for pub in submission.pubs)
    return submission.model_copy(update={"pubs": pubs})


def _reserved(intents: Iterable[PartIntent]) -> float:
    """QPU seconds that are reserved for parts, as far as somebody can say."""
    return math.fsum(part.reserve or 0.0 for part in intents)
