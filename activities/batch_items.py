"""What a batch's clients read: where it stands, and its items in the order in which they ended."""

from collections.abc import Sequence

from sqlalchemy import Connection

from activities.reporting import results_of
from qurable.contracts.batches import BatchReport, BatchStatus, ItemPage, ItemReport, element
from qurable.contracts.reports import State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.errors import JobNotFound
from store import batches
from store.database import Database
from store.shelf import StoreShelf

_ANSWERED = (State.COMPLETED, State.DEGRADED)


async def status(database: Database, identity: str) -> BatchStatus:
    """Where a batch stands.

    Raises:
        JobNotFound: The store has no such batch.
    """
    found = await database.read(batches.status, identity)
    if found is None:
        raise JobNotFound(f"no batch {identity!r} is in the store", job_id=identity)
    return found


async def report(database: Database, identity: str) -> BatchReport:
    """The report of a batch.

    Raises:
        JobNotFound: The store has no such batch, or it has not ended.
    """
    await status(database, identity)
    found = await database.read(batches.report, identity)
    if found is None:
        raise JobNotFound(f"batch {identity!r} has not ended yet", job_id=identity)
    return found


async def page(database: Database, shelf: StoreShelf, identity: str, after: int, limit: int) -> ItemPage:
    """The items that ended next, with their results: those of each job are read once."""
    rows = await database.read(batches.ended_items, identity, after, limit)
    named = await database.read(batches.register_names, identity, [row.item for _, row in rows])
    of_job: dict[str, list[SampleResult | EstimateResult]] = {}
    items = []
    for _, row in rows:
        if row.state in _ANSWERED and row.job_id not in of_job:
            found = await results_of(database, shelf, row.job_id)
            of_job[row.job_id] = [result for result in found if result is not None]
        items.append(_with_results(row, of_job.get(row.job_id, []), named.get(row.item, [])))
    if not rows:
        return ItemPage(after=after, known=await database.read(_was_taken_in, identity))
    return ItemPage(items=tuple(items), after=rows[-1][0])


def _was_taken_in(connection: Connection, identity: str) -> bool:
    """Whether a batch has items: one that was cancelled before has a row and nothing else."""
    row = batches.find(connection, identity)
    return row is not None and row.item_count > 0


def _with_results(
    row: ItemReport, results: list[SampleResult | EstimateResult], names: Sequence[str]
) -> ItemReport:
    if row.state not in _ANSWERED:
        return row
    own = results if row.index is None else [_named(element(result, row.index), names) for result in results]
    return row.model_copy(update={"results": tuple(own)})


def _named(result: SampleResult | EstimateResult, names: Sequence[str]) -> SampleResult | EstimateResult:
    """A result with the item's own names of registers, where its group's circuit has others."""
    if not names or isinstance(result, EstimateResult):
        return result
    registers = tuple(
        register.model_copy(update={"name": name})
        for register, name in zip(result.registers, names, strict=True)
    )
    return result.model_copy(update={"registers": registers})
