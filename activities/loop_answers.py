"""What the jobs of a loop found."""

from collections.abc import Sequence
from dataclasses import dataclass

from activities.reporting import results_of
from qurable.contracts.jobs import EstimateJob, read_request
from qurable.contracts.optimisations import PreparedLoop
from qurable.contracts.problems import ProblemAnswer, Sense
from qurable.contracts.results import EstimateResult
from qurable.errors import InternalError
from store import jobs, loop_jobs
from store.database import Database
from store.shelf import StoreShelf


@dataclass(frozen=True)
class Estimated:
    """What a job found, point by point.

    Attributes:
        x: Parameters of all points in turn (radians).
        values: Of the objective.
        errors: Their standard errors.
        seed: Of the first point.
        seconds: That the job ran.
    """

    x: Sequence[float]
    values: Sequence[float]
    errors: Sequence[float]
    seed: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """The point that a loop ends with, evaluated anew.

    Attributes:
        x: Parameters (radians).
        value: Of the objective.
        error: Its standard error.
        seed: Of the first of the points that were evaluated.
        shots: Of each measured group.
        evaluations: Points that were.
    """

    x: tuple[float, ...]
    value: float
    error: float
    seed: int
    shots: int | None
    evaluations: int


async def estimated(database: Database, shelf: StoreShelf, job_id: str) -> Estimated:
    """What a job found.

    Raises:
        InternalError: It found nothing.
    """
    report = await database.read(jobs.find_report, job_id)
    results = await results_of(database, shelf, job_id)
    if (
        report is None
        or report.error is not None
        or not results
        or not isinstance(results[0], EstimateResult)
    ):
        raise InternalError(f"job {job_id!r} has no values")
    row = await database.read(jobs.need, job_id)
    request = read_request(await shelf.artifact(row.request))
    assert isinstance(request, EstimateJob)  # noqa: S101  its results are estimates
    return Estimated(
        x=request.pubs[0].bindings.values,
        values=results[0].evs.values,
        errors=results[0].stds.values,
        seed=request.seed or 0,
        seconds=report.durations.run,
    )


async def ended_with(database: Database, shelf: StoreShelf, prepared: PreparedLoop) -> Ended | None:
    """The better of the last points, where a job has evaluated them."""
    meant = await database.read(loop_jobs.last, prepared.loop.id, "value")
    if meant is None or not await _answered(database, meant.job.id):
        return None
    found = await estimated(database, shelf, meant.job.id)
    choose = max if prepared.sense is Sense.MAXIMIZE else min
    at = found.values.index(choose(found.values))
    width = len(prepared.parameters)
    return Ended(
        x=tuple(found.x[at * width : (at + 1) * width]),
        value=found.values[at],
        error=found.errors[at],
        seed=found.seed,
        shots=meant.shots,
        evaluations=len(found.values),
    )


async def answer_read(database: Database, loop_id: str) -> ProblemAnswer | None:
    """The best assignment that a job read at the last point, where one did."""
    meant = await database.read(loop_jobs.last, loop_id, "answer")
    report = None if meant is None else await database.read(jobs.find_report, meant.job.id)
    return None if report is None else report.answer


async def _answered(database: Database, job_id: str) -> bool:
    report = await database.read(jobs.find_report, job_id)
    return report is not None and report.error is None
