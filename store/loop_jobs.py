"""Jobs that evaluate for variational loops: written down before they start, and what they cost together."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, func, select

from qurable.contracts.budgets import JobBudget
from qurable.contracts.loop_places import LoopJob
from store.database import insert_once
from store.schema import loop_jobs, reservations


@dataclass(frozen=True)
class Meant:
    """A job that a loop is to run.

    Attributes:
        job: Which it is.
        loop_id: Of the loop.
        shots: Of each measured group, or of each assignment read.
        budget: What it may cost: what was left of the loop's.
    """

    job: LoopJob
    loop_id: str
    shots: int | None
    budget: JobBudget


@dataclass(frozen=True)
class Cost:
    """What a loop's jobs cost so far, as reserved and not settled, and as billed.

    Attributes:
        qpu_seconds: In the provider's seconds.
        prices: In money, by currency.
        jobs: How many there are.
    """

    qpu_seconds: float
    prices: dict[str, float]
    jobs: int


def intend(connection: Connection, meant: Meant) -> Meant:
    """Write down a job before it is started; the first word about it stands and is given back."""
    job = meant.job
    row = {
        "job_id": job.id,
        "loop_id": meant.loop_id,
        "purpose": job.purpose,
        "iteration": job.iteration,
        "ordinal": job.ordinal,
        "backend": job.backend,
        "shots": meant.shots,
        "budget": meant.budget.model_dump_json(),
    }
    insert_once(connection, loop_jobs, row)
    kept = find(connection, job.id)
    return meant if kept is None else kept


def find(connection: Connection, job_id: str) -> Meant | None:
    """What a job is to evaluate; None for a job that belongs to no loop."""
    row = connection.execute(select(loop_jobs).where(loop_jobs.c.job_id == job_id)).one_or_none()
    return None if row is None else _meant(row)


def last(connection: Connection, loop_id: str, purpose: str) -> Meant | None:
    """The job that a loop meant last for a purpose."""
    query = select(loop_jobs).where(loop_jobs.c.loop_id == loop_id, loop_jobs.c.purpose == purpose)
    order = (loop_jobs.c.iteration.desc(), loop_jobs.c.ordinal.desc())
    row = connection.execute(query.order_by(*order).limit(1)).one_or_none()
    return None if row is None else _meant(row)


def _meant(row: Row[tuple[object, ...]]) -> Meant:
    job = LoopJob(
        id=row.job_id, backend=row.backend, purpose=row.purpose, iteration=row.iteration, ordinal=row.ordinal
    )
    return Meant(job, row.loop_id, row.shots, JobBudget.read(row.budget))


def of_loop(connection: Connection, loop_id: str) -> tuple[LoopJob, ...]:
    """Every job of a loop in order, with what it took."""
    query = select(loop_jobs).where(loop_jobs.c.loop_id == loop_id)
    order = (loop_jobs.c.iteration, loop_jobs.c.purpose, loop_jobs.c.ordinal)
    used = (
        select(reservations.c.job_id, func.sum(reservations.c.held + reservations.c.spent))
        .where(reservations.c.job_id.in_(_ids(loop_id)))
        .group_by(reservations.c.job_id)
    )
    taken = {job_id: seconds for job_id, seconds in connection.execute(used)}  # noqa: C416  rows are no pairs to a type checker
    return tuple(
        _meant(row).job.model_copy(update={"qpu_seconds": taken.get(row.job_id) or 0.0})
        for row in connection.execute(query.order_by(*order))
    )


def cost(connection: Connection, loop_id: str) -> Cost:
    """What the jobs of a loop cost so far."""
    used = reservations.c.held + reservations.c.spent
    query = (
        select(reservations.c.currency, func.sum(used), func.sum(used * reservations.c.price_per_second))
        .where(reservations.c.job_id.in_(_ids(loop_id)))
        .group_by(reservations.c.currency)
    )
    rows = connection.execute(query).all()
    jobs = connection.execute(
        select(func.count()).select_from(loop_jobs).where(loop_jobs.c.loop_id == loop_id)
    ).scalar_one()
    return Cost(
        qpu_seconds=sum(seconds or 0.0 for _, seconds, _ in rows),
        prices={currency: money for currency, _, money in rows if money is not None},
        jobs=jobs,
    )


def _ids(loop_id: str) -> Select[tuple[str]]:
    return select(loop_jobs.c.job_id).where(loop_jobs.c.loop_id == loop_id)
