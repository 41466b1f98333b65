"""Reservations within what somebody has approved for a place."""

import math
from collections.abc import Sequence

from sqlalchemy import Connection

from qurable.contracts.budgets import JobBudget, Payer, Scope
from qurable.contracts.executions import PartIntent, SubmissionKey
from store.schema import reservations
from store.spending import concerned, seconds_taken

_ROUNDING = 1e-6


def within_cap(
    connection: Connection, key: SubmissionKey, payer: Payer, parts: Sequence[PartIntent]
) -> Sequence[PartIntent]:
    """The parts of a submission, each with as much less reserved as an approval's cap asks for.

    None gets less than the least that it is expected to take; where the cap has no room for that, the parts are given
    back as they came, and are refused. What is reserved is the provider's limit too: a job that takes more is ended.

    Args:
        connection: Of the transaction that reserves.
        key: Of the submission.
        payer: With what was approved.
        parts: As they would be reserved without it.
    """
    left = _left(connection, key, payer.approved, parts)
    wanted = [part.reserve for part in parts if part.reserve is not None and not part.open_ended]
    least = [math.ceil(part.estimate.low) for part in parts if part.estimate is not None]
    if left is None or not len(wanted) == len(least) == len(parts) or sum(wanted) <= left:
        return parts
    spare = math.floor(left) - sum(least)
    flexible = sum(most - need for most, need in zip(wanted, least, strict=True) if most > need)
    if spare < 0 or not flexible:
        return parts
    reserves = [
        need + spare * max(0, most - need) // flexible for most, need in zip(wanted, least, strict=True)
    ]
    return [
        part.model_copy(update={"reserve": reserve}) for part, reserve in zip(parts, reserves, strict=True)
    ]


def _left(
    connection: Connection, key: SubmissionKey, approved: JobBudget, parts: Sequence[PartIntent]
) -> float | None:
    """QPU seconds that are left of what was approved for a place; None where it limits none."""
    caps = [] if approved.qpu_seconds is None else [approved.qpu_seconds]
    dearest = max((part.price_per_second or 0.0 for part in parts), default=0.0)
    if approved.price is not None and dearest:
        caps.append(approved.price / dearest)
    if not caps:
        return None
    there = [*concerned(Scope.JOB, key.job_id, ""), reservations.c.backend == key.backend]
    taken = seconds_taken(connection, there)
    return min(caps) - taken.reserved - taken.spent + _ROUNDING
