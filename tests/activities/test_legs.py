"""The jobs that a comparison makes of its request, and the rows that it makes of their reports."""

from datetime import timedelta
from typing import Any

import pytest

from activities.leg_reports import ballot_of, judged, leg_report
from activities.leg_requests import LABEL, leg_job
from qurable.comparing import as_comparison
from qurable.contracts.checks import Ruling, Verdict
from qurable.contracts.comparisons import Leg, LegEnd
from qurable.contracts.confidence import Confidence, ConfidenceKind, Survival
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import CircuitProvenance, JobReport, Provenance, ProviderRecord, State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobCancelled
from qurable.requests import sample
from tests.circuits.test_comparison import sampled
from tests.circuits_at_hand import BELL

PLACES = ["aer", "fake_manila"]


def test_each_place_has_a_key_and_a_seed_of_its_own() -> None:
    """They follow from the comparison's, so that whoever makes them again makes the same."""
    comparison = as_comparison(sample(BELL, seed=7, key="k"), PLACES)
    here, there = (leg_job(comparison, place, ()) for place in PLACES)
    again = leg_job(as_comparison(sample(BELL, seed=7, key="k"), PLACES), "aer", ())

    assert here == again
    assert here.job_id != there.job_id
    assert None not in (here.seed, there.seed)
    assert len({here.seed, there.seed, 7}) == 3
    assert leg_job(as_comparison(sample(BELL, key="k"), PLACES), "aer", ()).seed is None


def test_a_hedged_run_keeps_the_seed_of_its_request() -> None:
    """One answer is kept, and it is the one that was asked for."""
    hedged = as_comparison(sample(BELL, seed=7), PLACES, after=timedelta(seconds=1))

    assert {leg_job(hedged, place, ()).seed for place in PLACES} == {7}


def test_a_sweep_of_seeds_is_each_place_s_own_too() -> None:
    """As many as there were."""
    job = sample(BELL, seeds=(3,))
    (seed,) = leg_job(as_comparison(job, PLACES), "aer", ()).seeds

    assert seed != 3


@pytest.mark.parametrize(
    ("paid", "granted"), [((), (60.0, 9.0)), (("ibm:a",), (60.0, 9.0)), (("ibm:a", "ibm:b"), (30.0, 4.5))]
)
def test_a_budget_is_shared_out_among_those_that_cost(
    paid: tuple[str, ...], granted: tuple[float, float]
) -> None:
    """What all cost together stays within it."""
    job = sample(BELL, budget={"qpu_seconds": 60.0, "price": 9.0})
    budget = leg_job(as_comparison(job, ["ibm:a", "ibm:b", "aer"]), "ibm:a", paid).budget

    assert (budget.qpu_seconds, budget.price) == granted


def test_nobody_stands_in_for_a_place_unless_that_is_asked() -> None:
    """What else the request says of other places holds all the same."""
    job = sample(BELL, fallback={"leave_house": False}, labels={f"n{number}": "" for number in range(32)})
    alone = leg_job(as_comparison(job, PLACES), "aer", ())
    with_others = leg_job(as_comparison(job, PLACES, fallback=True), "aer", ())

    assert (alone.fallback.policy, alone.fallback.leave_house) == ("none", False)
    assert with_others.fallback == job.fallback
    assert len(alone.labels) == 32
    assert alone.labels[LABEL] == as_comparison(job, PLACES).comparison_id


LEG = Leg(place="ibm:a", head=JobHead.of(sample(BELL, backend="ibm:a", key="leg")), request="")


def report_of(state: State, *phases: Phase, **fields: Any) -> JobReport:
    records = tuple(
        ProviderRecord(id=f"p{number}", backend="ibm:a", state=phase) for number, phase in enumerate(phases)
    )
    if state is State.CANCELLED:
        fields["error"] = JobCancelled("cancelled").document()
    return JobReport(
        id=LEG.head.id,
        project="default",
        kind="sample",
        state=state,
        asked="ibm:a",
        provider_jobs=records,
        **fields,
    )


@pytest.mark.parametrize(
    ("report", "confirmed", "finished", "because"),
    [
        (report_of(State.CANCELLED, Phase.CANCELLED), True, False, "confirms that p0 is cancelled"),
        (report_of(State.CANCELLED), True, False, "nothing was sent"),
        (report_of(State.CANCELLED, Phase.CANCELLED, Phase.RUNNING), False, False, "end of p1"),
        (report_of(State.CANCELLED, Phase.DONE), True, True, "finished p0"),
        (report_of(State.COMPLETED, Phase.DONE), True, True, "had its answer"),
        (report_of(State.FAILED), True, False, "had failed"),
    ],
)
def test_what_became_of_a_loser(report: JobReport, confirmed: bool, finished: bool, because: str) -> None:
    """Only the provider's word is an end; what it had finished is kept."""
    row = leg_report(LEG, LegEnd(place="ibm:a", withdrawn=True), report)

    assert row.withdrawal is not None
    assert (row.withdrawal.confirmed, row.withdrawal.finished) == (confirmed, finished)
    assert because in row.withdrawal.because
    assert row.error is None


def test_a_leg_without_a_report_says_what_is_known_of_it() -> None:
    """Not asked, stopped before it was taken in, or lost."""
    unasked = leg_report(LEG, LegEnd(place="ibm:a", started=False), None)
    stopped = leg_report(LEG, LegEnd(place="ibm:a", withdrawn=True), None)
    lost = leg_report(LEG, LegEnd(place="ibm:a"), None)

    assert (unasked.state, unasked.job_id) == (None, "")
    assert (stopped.state, stopped.withdrawal and stopped.withdrawal.confirmed) == (State.CANCELLED, True)
    assert lost.error is not None
    assert lost.error.code == "InternalError"


def test_a_down_ranked_answer_is_not_good() -> None:
    """And the rule that down-ranked it is named."""
    verdict = Verdict(ruling=Ruling.DOWN_RANK, rule="r", because="r: too far off")

    assert judged("aer", report_of(State.COMPLETED)).good
    assert not judged("aer", report_of(State.DEGRADED, verdict=verdict)).good
    assert "too far off" in judged("aer", report_of(State.DEGRADED, verdict=verdict)).because
    assert not judged("aer", None).good


def _circuit(survival: float | None) -> CircuitProvenance:
    return CircuitProvenance(
        name="c",
        source="",
        canonical="",
        isa="",
        depth=1,
        isa_depth=1,
        two_qubit_gates=0,
        isa_two_qubit_gates=0,
        transpile_level=0,
        transpile_seed=0,
        cache="off",
        survival=None if survival is None else Survival(value=survival, gates=survival, readout=1.0),
    )


@pytest.mark.parametrize(
    ("kind", "noise", "survival", "truncated", "weight"),
    [
        (AnswerKind.SIMULATOR, None, None, False, 1.0),
        (AnswerKind.CLASSICAL, None, None, True, None),
        (AnswerKind.NOISY_SIMULATOR, "hash", 0.8, False, 0.8),
        (AnswerKind.HARDWARE, None, None, False, None),
    ],
)
def test_the_weight_of_a_place_is_its_survival_estimate(
    kind: AnswerKind, noise: str | None, survival: float | None, truncated: bool, weight: float | None
) -> None:
    """Other records of confidence are of another kind, and are never put in its place."""
    estimate = Confidence(kind=ConfidenceKind.TRUNCATION_ESTIMATE, value=0.1, basis="", pub=0)
    report = report_of(
        State.COMPLETED,
        answer_kind=kind,
        provenance=Provenance(request="", noise=noise, circuits=(_circuit(survival),)),
        confidence=(estimate,) if truncated else (),
    )
    row = leg_report(LEG, LegEnd(place="ibm:a"), report)

    assert ballot_of(row, report, [sampled([0], 1)]).survival == (weight,)
