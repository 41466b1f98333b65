"""One place's row of a comparison, and what a decision is given of it, from its job's report."""

from collections.abc import Sequence

from qurable.contracts.checks import Ruling
from qurable.contracts.comparisons import (
    Ballot,
    Decided,
    Judged,
    Leg,
    LegEnd,
    LegReport,
    ProviderBill,
    Withdrawal,
)
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.executions import Phase
from qurable.contracts.problems import Sense
from qurable.contracts.reports import CircuitProvenance, JobReport, State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.targets import AnswerKind
from qurable.errors import InternalError

_CONFIDENCES = 8
_OVER = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.LOST})
_TRUNCATED = frozenset({ConfidenceKind.TRUNCATION_ESTIMATE, ConfidenceKind.TRUNCATION_BOUND})


def judged(place: str, report: JobReport | None) -> Judged:
    """Whether an answer passed its checks."""
    if report is None:
        return Judged(good=False, because=f"{place} has no report")
    if report.error is not None:
        return Judged(good=False, because=report.error.message)
    if report.verdict is not None and report.verdict.ruling is not Ruling.ACCEPT:
        return Judged(good=False, because=f"its answer is down-ranked by its check {report.verdict.because}")
    return Judged(good=True, because="its answer passed its checks")


def leg_report(leg: Leg, end: LegEnd, report: JobReport | None) -> LegReport:
    """A row.

    Args:
        leg: The place and its job.
        end: How the job's workflow ended, as its parent saw it.
        report: Of the job; None where the store has none.
    """
    if report is None:
        return _without_report(leg, end)
    answer, withdrawal = report.answer, _withdrawal(report) if end.withdrawn else None
    return LegReport(
        place=leg.place,
        job_id=report.id,
        state=report.state,
        served_by=report.served_by,
        answer_kind=report.answer_kind,
        because=end.because or report.because,
        degraded=report.degraded,
        ruling=None if report.verdict is None else report.verdict.ruling,
        good=end.good,
        objective=None if answer is None else answer.objective,
        standard_error=None if answer is None else answer.standard_error,
        feasible=None if answer is None else answer.feasible,
        gap=None if answer is None else answer.gap,
        confidence=report.confidence[:_CONFIDENCES],
        durations=report.durations,
        qpu_seconds=report.qpu_seconds,
        price=report.price,
        currency=report.currency,
        provider_jobs=tuple(
            ProviderBill(
                id=record.id, backend=record.backend, state=record.state, qpu_seconds=record.qpu_seconds
            )
            for record in report.provider_jobs
        ),
        withdrawal=withdrawal,
        error=None if withdrawal is not None and report.state is State.CANCELLED else report.error,
    )


def _without_report(leg: Leg, end: LegEnd) -> LegReport:
    if not end.started:
        return LegReport(
            place=leg.place, because=end.because or "it was not asked: another place had answered"
        )
    withdrawn = (
        Withdrawal(confirmed=True, because="it was stopped before it was taken in") if end.withdrawn else None
    )
    error = end.error or InternalError(f"job {leg.head.id!r} ended without a report").document()
    return LegReport(
        place=leg.place,
        job_id=leg.head.id,
        state=State.CANCELLED if withdrawn else State.FAILED,
        withdrawal=withdrawn,
        error=None if withdrawn else error,
    )


def _withdrawal(report: JobReport) -> Withdrawal:
    """What became of a job that was told to stop."""
    if report.state in (State.COMPLETED, State.DEGRADED):
        return Withdrawal(
            confirmed=True,
            finished=True,
            because="it had its answer before it could be stopped, and that is kept",
        )
    if report.state is State.FAILED:
        return Withdrawal(confirmed=True, because="it had failed before it could be stopped")
    open_still = [record.id for record in report.provider_jobs if record.id and record.state not in _OVER]
    if open_still:
        return Withdrawal(
            confirmed=False,
            because=f"the provider has not confirmed the end of {', '.join(open_still)}: the reconciler looks after it",
        )
    done = [record.id for record in report.provider_jobs if record.state is Phase.DONE]
    if done:
        return Withdrawal(
            confirmed=True,
            finished=True,
            because=f"the provider had finished {', '.join(done)} before it could be withdrawn; its result is kept, and billed",
        )
    sent = [record.id for record in report.provider_jobs if record.id]
    because = (
        f"the provider confirms that {', '.join(sent)} is cancelled"
        if sent
        else "it was stopped, and nothing was sent"
    )
    return Withdrawal(confirmed=True, because=because)


def ballot_of(leg: LegReport, report: JobReport, results: Sequence[SampleResult | EstimateResult]) -> Ballot:
    """What a decision is given of a place that has answered."""
    return Ballot(
        leg=leg, answer=report.answer, survival=_survivals(report, len(results)), results=tuple(results)
    )


def _survivals(report: JobReport, pubs: int) -> tuple[float | None, ...]:
    """For each pub, how likely its circuit ran without an error; 1 at a place without errors, None where nobody knows."""
    provenance = report.provenance
    if provenance is None or provenance.earlier is not None:
        return (None,) * pubs
    truncated = {record.pub for record in report.confidence if record.kind in _TRUNCATED}
    noisy = bool(provenance.noise) or report.answer_kind in (AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR)

    def of(pub: int, circuit: CircuitProvenance | None) -> float | None:
        if circuit is not None and circuit.survival is not None:
            return circuit.survival.value
        return None if noisy or pub in truncated or None in truncated else 1.0

    circuits = [*provenance.circuits, *([None] * pubs)]
    return tuple(of(pub, circuits[pub]) for pub in range(pubs))


def with_weights(
    legs: Sequence[LegReport], decided: Decided | None, sense: Sense | None = None
) -> tuple[LegReport, ...]:
    """The rows with what each had to say in the answer, and how much worse than the best each objective is."""
    weights = {} if decided is None else decided.weights
    able = [leg.objective for leg in legs if leg.objective is not None and leg.feasible is not False]
    best = None if not able or sense is None else (max(able) if sense is Sense.MAXIMIZE else min(able))
    return tuple(
        leg.model_copy(
            update={
                "weight": weights.get(leg.place),
                "behind": None if best is None or leg.objective is None else abs(best - leg.objective),
            }
        )
        for leg in legs
    )
