"""Who judges rounds of weather: did each job end in time, is its answer what its label says, do the books add up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from qurable.contracts.budgets import JobBudget
from qurable.contracts.checks import Ruling
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.reports import JobReport, State
from qurable.contracts.targets import AnswerKind
from qurable.errors import BY_CODE
from qurable.names import CACHE
from store import incidents, provider_jobs
from store.schema import provider_jobs as rows
from store.schema import reservations
from tests.chaos.paid_books import until_booked, wrong_books
from tests.chaos.paid_house import ENDED, PaidHouse
from tests.chaos.paid_judge import shots_of
from tests.chaos.weather import POOR, THRIFTY
from tests.chaos.weather_answers import ROUNDING_SECONDS, Known, wrong_answer
from tests.chaos.weather_playing import Played

ALLOWANCE_SECONDS = 45.0
"""For the end to be noted, which may take a job half a minute beyond its deadline, and for a machine that is busy."""

_NEVER = frozenset(
    {"InternalError", "StageForgotten", "WorkerOutdated", "NoWorker", "JobNotFound", "KeyReused"}
)
"""Ends that no weather excuses."""


async def judge(home: PaidHouse, played: Sequence[Played]) -> list[str]:
    """Everything that is wrong, in words, round by round.

    Args:
        home: The house, whose provider has nothing to do any more.
        played: Every job.
    """
    await until_booked(home.database)
    state = await home.control.state()
    every = state["jobs"]
    shots = await shots_of(home, [one["id"] for one in every if one["status"] == "Completed"])
    wrong: list[str] = []
    for one in played:
        parts = await home.database.read(provider_jobs.of_job, one.id)
        tags = {part.tag for part in parts}
        there = [job for job in every if tags.intersection(job["tags"])]
        known = Known(parts, await home.database.read(incidents.of_job, one.id), there, shots)
        found = [*one.trouble, *_wrong_end(one), *_wrong_label(one), *wrong_answer(one, known)]
        found += [*_left_over(known), *await wrong_books(home.database, one.id, parts, there)]
        wrong += [f"{trouble} (job {one.id} of {one.round})" for trouble in found]
    return [*wrong, *await home.database.read(_wrong_in_all, every)]


def _wrong_in_all(connection: Connection, every: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether every job at the provider is somebody's, and the ledger adds up to what was billed."""
    tags = set(connection.execute(select(rows.c.tag)).scalars())
    strangers = [job["id"] for job in every if not tags.intersection(job["tags"])]
    wrong = [f"the provider has jobs that are nobody's: {strangers}"] if strangers else []
    known = {job["id"] for job in every}
    kept = connection.execute(select(rows.c.tag, rows.c.provider_id)).all()
    there = {
        tag for tag, provider_id in kept if provider_id is None or provider_id in known
    }  # what vanished there is on no bill
    booked = connection.execute(select(reservations.c.tag, reservations.c.spent)).all()
    spent = sum(seconds for tag, seconds in booked if tag in there)
    billed = sum(job["billed_seconds"] for job in every)
    if abs(spent - billed) > ROUNDING_SECONDS:
        wrong.append(f"{spent:.3f} QPU seconds are booked in all, and {billed:.3f} were billed")
    return wrong


def _wrong_end(one: Played) -> Iterator[str]:
    """Whether a job ended in time, and without an answer only in a class of error that its round can lead to."""
    total = one.asked.work.limits.total
    if one.report is not None and one.report.events and total is not None:
        took = one.report.events[-1].at - one.report.events[0].at
        if took.total_seconds() > total.total_seconds() + ALLOWANCE_SECONDS:
            yield f"it took {took} of {total}"
    if one.error is None:
        if one.report is None:
            yield "it never ended"
        return
    code = one.ended_as
    if code == "JobFailed" and one.asked.action == "terminated" and one.acted:
        return
    if code not in BY_CODE or code in _NEVER:
        yield f"it ended as {code}: {one.error}"
    elif not _may_end_as(one, code):
        yield f"nothing in its round leads to {code}: {one.error}"


def _may_end_as(one: Played, code: str) -> bool:
    """Whether something in a job's round leads to an error; what is wrong with its device may be of an earlier round."""
    work = one.asked.work
    alone = work.fallback.policy == "none" or bool(work.fallback.kinds) or work.fallback.floor is not None
    match code:
        case "JobCancelled":
            return one.asked.action == "cancelled" and one.acted
        case "DeadlineReached":
            return work.limits.total is not None
        case "QueueLimitReached":
            return alone and work.limits.queue.total_seconds() < 60
        case "BudgetExceeded":
            return alone and (work.project in (POOR, THRIFTY) or work.budget != JobBudget())
        case "ConfidenceTooLow":
            return work.fallback.floor is not None
        case "RouteExhausted":
            return alone and len(_attempts(one)) > 1
        case "AnswerRefused":
            return alone and bool(work.checks.items)
        case "UnsupportedCircuit" | "SurvivalTooLow" | "BreakerOpen" | "RetriesExhausted":
            return alone
    return alone and bool(one.round.kinds)


def _attempts(one: Played) -> Sequence[Any]:
    return () if one.report is None else one.report.tried


def _wrong_label(one: Played) -> Iterator[str]:
    """Whether a report says of what sort its answer is, and whether that is less than what was asked."""
    report = one.answer
    if report is None:
        return
    asked, by = str(one.asked.work.backend), report.served_by
    if report.answer_kind is not _kind_of(by):
        yield f"an answer of {by!r} is labelled {report.answer_kind}"
    below = asked.startswith("ibm:") and by != asked
    down_ranked = report.verdict is not None and report.verdict.ruling is Ruling.DOWN_RANK
    degraded = below or down_ranked
    if not asked.startswith("ibm:") and asked != "auto" and by != asked:
        yield f"{asked!r} was asked by name, and {by!r} answered"
    if report.degraded is not degraded or (report.state is State.DEGRADED) is not degraded:
        yield f"{asked!r} was asked, {by!r} answered, and it is labelled {report.state}, degraded={report.degraded}"
    if report.events[-1].state is not report.state:
        yield f"its last event is {report.events[-1].state}, its state {report.state}"
    told = report.because.startswith(f"asked was {asked!r}; ") and f"{by!r} answered" in report.because
    if told is not bool(below or report.tried):
        yield f"it is not said who was asked and who answered: {report.because!r}"
    yield from _wrong_way(report)


def _kind_of(backend: str) -> AnswerKind:
    """What a place of that name really is."""
    if backend.startswith("ibm:"):
        return AnswerKind.HARDWARE
    if backend.startswith("fake_"):
        return AnswerKind.NOISY_SIMULATOR
    if backend.startswith("classical:"):
        return AnswerKind.CLASSICAL
    return AnswerKind.CACHE if backend == CACHE else AnswerKind.SIMULATOR


def _wrong_way(report: JobReport) -> Iterator[str]:
    """Whether the rungs that were tried are those above the one that answered, each left for a reason that allows it."""
    names = [rung.name for rung in report.route.rungs]
    went = [*(attempt.backend for attempt in report.tried), report.served_by]
    if went != names[: len(went)]:
        yield f"of the route {names} it went {went}"
    verdicts = {entry.name: entry.taken for entry in report.route.considered}
    if not all(verdicts.get(name) for name in went):
        yield f"it went {went}, and the verdicts are {verdicts}"
    for attempt in report.tried:
        if not _next_rung(attempt.error):
            yield f"{attempt.backend!r} was left because of {attempt.error.code}, which ends a job"


def _next_rung(error: ErrorDocument) -> bool:
    return error.code in BY_CODE and BY_CODE[error.code].next_rung


def _left_over(known: Known) -> Iterator[str]:
    """Whether anything of a job still costs something, or was paid for twice without being told."""
    alive = [job["id"] for job in known.there if job["status"] not in ENDED]
    if alive:
        yield f"{alive} are alive at the provider"
    kept = {part.id for part in known.parts}
    told = {incident.id for incident in known.incidents}
    untold = [job["id"] for job in known.there if job["id"] not in kept | told]
    if untold:
        yield f"{untold} are jobs at the provider that nobody knows of"


def ends(played: Sequence[Played]) -> Counter[str]:
    """How often jobs ended so: the kind of answer, or the class of error."""
    return Counter(
        one.ended_as or (str(one.answer.answer_kind) if one.answer else "nothing") for one in played
    )


def weathers(played: Sequence[Played]) -> Counter[str]:
    """How many rounds had each kind of weather."""
    rounds = {one.round.number: set(one.round.kinds) for one in played}
    return Counter(kind for kinds in rounds.values() for kind in kinds)
