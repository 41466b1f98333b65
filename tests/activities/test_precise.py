"""What comes after a round follows from the rounds alone: the same whenever it is asked, and never beyond a limit."""

import itertools

import pytest

from activities.precise import decided
from qurable.contracts.observables import Observable
from qurable.contracts.precise import Group, LostRound, Moments, PreciseEnd, PreciseState, Round
from qurable.errors import BudgetExceeded, TargetUnavailable
from qurable.precise import as_precise
from tests.circuits_at_hand import BELL

_TOO_DEAR = BudgetExceeded("the job, by its own budget, may take 3 QPU seconds").document()
_ASKED = as_precise(BELL, {"ZZ": 1.0, "XX": 0.5}, precision=0.001, max_qpu_seconds=60, key="k", seed=5)


def _after(*seconds: float, refused: int = 0, shots: int = 1_000) -> PreciseState:
    """So many rounds, each of which took so many QPU seconds."""
    rounds = tuple(
        Round(
            number=at,
            job_id=f"job-{at}",
            shots=(500, 500),
            qpu_seconds=spent,
            most_qpu_seconds=spent,
            paid=True,
        )
        for at, spent in enumerate(seconds)
    )
    moments = Moments(shots=shots if rounds else 0, mean=0.1, square=1.0)
    return PreciseState(
        id=_ASKED.id,
        groups=tuple(Group(observable=Observable.model_validate(label)) for label in ("ZZ", "XX")),
        moments=(moments, moments),
        rounds=rounds,
        copies=8 * len(rounds),
        refused=refused,
    )


def test_a_round_is_the_same_whenever_it_is_asked_for() -> None:
    """Same key, same body: a second attempt finds the first one's job. Every other round is another job."""
    first, again = (decided(_ASKED, _after(3.0), None) for _ in range(2))
    next_one = decided(_ASKED, _after(3.0, 4.0), None)
    smaller = decided(_ASKED, _after(3.0, refused=1), _TOO_DEAR)
    jobs = [step.job for step in (first, next_one, smaller)]

    assert first == again
    assert all(job is not None for job in jobs)
    assert len({job.job_id for job in jobs if job}) == 3
    assert sum(smaller.shots) < 0.6 * sum(first.shots)


def test_runs_of_a_round_share_no_random_numbers() -> None:
    """Nor do those of different rounds: shot j of noisy trajectories has its run's seed plus j."""
    seeds: list[int] = []
    for state in (_after(), _after(1.0), _after(1.0, 1.0)):
        job = decided(_ASKED, state, None).job
        assert job is not None
        shots = max(pub.shots or 0 for pub in job.pubs)
        seeds += job.seeds[:8]  # the state says that a round had eight

    assert all(abs(one - other) > shots for one, other in itertools.combinations(seeds, 2))


def test_each_round_has_what_is_left_as_its_budget() -> None:
    """Where nothing is left, or no budget lets the smallest pass, it ends with what there is."""
    rich = decided(_ASKED, _after(10.0, 20.0), None)
    spent = decided(_ASKED, _after(40.0, 20.0), None)
    refused = decided(_ASKED, _after(10.0, refused=7), _TOO_DEAR)

    assert rich.job is not None
    assert rich.job.budget.qpu_seconds == pytest.approx(30.0)
    for end in (spent, refused):
        assert end.report is not None
        assert (end.report.ended, end.report.reached) == (PreciseEnd.QPU_SECONDS, False)
        assert end.report.value == pytest.approx(0.2)
    assert refused.report is not None
    assert "may take 3 QPU seconds" in refused.report.because
    with pytest.raises(BudgetExceeded, match="not even a first round"):
        decided(_ASKED, _after(refused=7), _TOO_DEAR)


def test_a_round_that_fails_leaves_what_others_brought() -> None:
    """They were paid for."""
    step = decided(_ASKED, _after(10.0, refused=1), TargetUnavailable("gone").document())

    assert step.report is not None
    assert step.report.ended is PreciseEnd.FAILED
    assert "gone" in step.report.because
    assert step.report.shots == 2_000


def test_a_price_that_nobody_knows_ends_it() -> None:
    """What is left of the money is not known then."""
    asked = as_precise(BELL, "ZZ", precision=0.001, max_price=20, currency="USD", key="k")
    step = decided(asked, _after(1.0), None)

    assert step.report is not None
    assert step.report.ended is PreciseEnd.PRICE
    assert step.report.price is None


def test_what_a_round_without_an_answer_cost_is_gone_too() -> None:
    """Otherwise the round that is planned smaller would have all of it once more."""
    lost = LostRound(job_id="job-1", because="gone", qpu_seconds=15.0, most_qpu_seconds=20.0)
    state = _after(10.0, refused=1).model_copy(update={"lost": (lost,)})

    smaller, failed = (
        decided(_ASKED, state, _TOO_DEAR),
        decided(_ASKED, state, TargetUnavailable("g").document()),
    )

    assert smaller.job is not None
    assert smaller.job.budget.qpu_seconds == pytest.approx(30.0)
    assert failed.report is not None
    assert (failed.report.qpu_seconds, failed.report.lost) == (25.0, (lost,))


@pytest.mark.parametrize(
    ("limits", "seconds", "details", "ended"),
    [
        ({"max_price": 20, "max_qpu_seconds": 60}, 60.0, None, PreciseEnd.QPU_SECONDS),
        ({"max_price": 20, "max_qpu_seconds": 60}, 50.0, {"unit": "QPU seconds"}, PreciseEnd.QPU_SECONDS),
        ({"max_price": 20, "max_qpu_seconds": 60}, 50.0, {"unit": "USD"}, PreciseEnd.PRICE),
        ({}, 50.0, {"unit": "QPU seconds", "scope": "project"}, PreciseEnd.BUDGET),
    ],
)
def test_the_limit_that_ended_it_is_named(
    limits: dict[str, float], seconds: float, details: dict[str, str] | None, ended: PreciseEnd
) -> None:
    """Of two limits, and of budgets that are not its own, the one that would be passed."""
    asked = as_precise(BELL, "ZZ", precision=0.001, key="k", **limits)
    state = _after(seconds, refused=7 if details else 0)
    cheap = state.model_copy(
        update={"rounds": tuple(done.model_copy(update={"most_price": 1.0}) for done in state.rounds)}
    )
    refusal = None if details is None else BudgetExceeded("too dear", **details).document()

    step = decided(asked, cheap, refusal)

    assert step.report is not None
    assert step.report.ended is ended
