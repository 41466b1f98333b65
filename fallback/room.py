"""Whether budgets have room for a job at a place that costs money, as far as that is known before it is compiled.

What is ruled out here would be refused when it is reserved. What is not may be refused then all the same: only then is
it known what the compiled circuits take, and others have reserved meanwhile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from circuits.qpu_time import seconds_to_reserve
from qurable.contracts.budgets import Standing
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.routes import Estimate
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import BudgetExceeded

_ROUNDING = 1e-6
"""QPU seconds or units of money by which sums of floats may be off."""

_SECONDS = "QPU seconds"


@dataclass(frozen=True)
class _Limit:
    """One limit of a budget, and what is taken of it."""

    unit: str
    most: float
    reserved: float
    spent: float


def check_room(
    target: TargetSnapshot, estimate: Estimate, options: IbmOptions, standings: Sequence[Standing]
) -> None:
    """Whether every budget has room for the least that would be reserved for the job at a place.

    Args:
        target: The place.
        estimate: Of the job there.
        options: The caller's.
        standings: What is left of every budget that bounds the job.

    Raises:
        BudgetExceeded: One has not; naming the limit, what is reserved and spent of it, and the way out.
    """
    if not target.paid or estimate.qpu_seconds is None:
        return
    least = seconds_to_reserve(estimate.qpu_seconds.low, options.max_execution_time)
    for standing in standings:
        for limit in _limits(standing):
            _check(target, standing, limit, _asked(target, limit.unit, least, options), options)


def _limits(standing: Standing) -> Iterator[_Limit]:
    budget = standing.budget
    if budget.qpu_seconds is not None:
        yield _Limit(_SECONDS, budget.qpu_seconds, standing.reserved_seconds, standing.spent_seconds)
    if budget.money is not None:
        yield _Limit(budget.currency, budget.money, standing.reserved_money, standing.spent_money)


def _asked(target: TargetSnapshot, unit: str, seconds: int, options: IbmOptions) -> float | None:
    """The least that is reserved, in a unit; None where nobody can say."""
    if options.mode == "session":
        return None
    if unit == _SECONDS:
        return float(seconds)
    if target.price_per_second is None or target.currency != unit:
        return None
    return target.price_per_second * seconds


def _check(
    target: TargetSnapshot, standing: Standing, limit: _Limit, asked: float | None, options: IbmOptions
) -> None:
    if asked is not None and limit.reserved + limit.spent + asked <= limit.most + _ROUNDING:
        return
    budget = standing.budget
    limited = f"{budget} may take {limit.most:g} {limit.unit}"
    details = {
        "scope": str(budget.scope),
        "name": budget.name,
        "limit": limit.most,
        "unit": limit.unit,
        "reserved": limit.reserved,
        "spent": limit.spent,
        "asked": asked,
    }
    if asked is not None:
        raise BudgetExceeded(
            f"{limited}, of which {limit.reserved:g} are reserved and {limit.spent:g} spent; on {target.name!r} the job "
            f"reserves {asked:g} at least: {budget.way_out}",
            **details,
        )
    way_out = (
        "a dedicated session costs for as long as it is active, use ibm.mode batch or job"
        if options.mode == "session"
        else f"give the account a price_per_second in {limit.unit}, or use another backend"
    )
    raise BudgetExceeded(
        f"{limited}, and what the job may take of them on {target.name!r} is not known: {way_out}", **details
    )
