"""Whether the books are right when the rounds are over: nothing is held, and what is spent is what was billed."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from qurable.contracts.executions import Phase, ProviderJob
from store.database import Database
from store.schema import reservations
from tests.chaos.harness import until

_BOOKED_SECONDS = 60.0
"""Some periods of the reconciler, its grace, and the settling time, twice."""

_BILL_ROUNDING = 0.002


async def until_booked(database: Database) -> None:
    """Wait until nothing is held any more; whoever judges says what is."""

    async def nothing_is_held() -> bool:
        return await database.read(_held) == 0.0

    with contextlib.suppress(AssertionError):
        await until("nothing is held", nothing_is_held, _BOOKED_SECONDS)


def _held(connection: Connection, /) -> float:
    found: float | None = connection.execute(select(func.sum(reservations.c.held))).scalar()
    return found or 0.0


async def wrong_books(
    database: Database, job_id: str, parts: Sequence[ProviderJob], there: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What is wrong with a job's reservations, in words.

    Args:
        database: The store.
        job_id: Of the job.
        parts: Its rows.
        there: What the provider has of it, by its tags.
    """
    query = select(func.sum(reservations.c.held), func.sum(reservations.c.spent))
    mine = query.where(reservations.c.job_id == job_id)
    held, spent = await database.read(lambda connection: connection.execute(mine).one())
    if held:
        return [f"{held:g} QPU seconds are held for nobody"]
    if any(part.facts is not None and part.facts.phase is Phase.LOST for part in parts):
        return []  # what the provider has forgotten, it does not bill
    billed = sum(one["billed_seconds"] for one in there)
    if abs((spent or 0.0) - billed) > _BILL_ROUNDING * max(1, len(there)):
        return [f"{spent or 0.0:.3f} QPU seconds are booked, and {billed:.3f} were billed"]
    return []
