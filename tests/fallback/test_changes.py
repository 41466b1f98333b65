"""What may be changed after something has failed: only what the job allows, bounded, and the same every time."""

from typing import Any

import pytest

from fallback.changes import (
    CUTS,
    DIVISIONS,
    SEEDS,
    TABLE,
    Failed,
    as_changed,
    divided,
    least_share,
    next_change,
)
from qurable.contracts.changes import COMPILING, RUNNING, Altered, Change, may_be_changed
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.problems import MaxCut
from qurable.contracts.pubs import shots_for
from qurable.errors import BY_CODE
from qurable.names import Activity
from qurable.requests import estimate, sample, solve
from tests.circuits_at_hand import BELL


def failed(request: Any, code: str, *changes: Change, compiling: bool = False, **details: Any) -> Failed:
    """A try of a job with seed 5, on a device."""
    return Failed(
        compiling=compiling,
        error=ErrorDocument(code=code, message="it went wrong", details=details),
        rung=1,
        backend="ibm:manila",
        request=request,
        seed=5,
        level=2,
        sent="s-1",
        changes=changes,
    )


def every_change(request: Any, code: str, *, compiling: bool = False, **details: Any) -> list[Change]:
    """All changes until nothing may be changed any more, where each try fails in the same way."""
    changes: list[Change] = []
    while (
        change := next_change(failed(request, code, *changes, compiling=compiling, **details))
    ) is not None:
        changes.append(change)
        assert len(changes) < 30
    return changes


def values(changes: list[Change]) -> list[Any]:
    """What each change goes to."""
    return [change.after for change in changes]


def shots(request: Any) -> list[int]:
    """Of every pub."""
    return [shots_for(pub) for pub in request.pubs]


def test_the_table_knows_every_code_that_it_is_asked_about() -> None:
    """A code without a way would ask the store for nothing; a way that no class admits would be a secret."""
    asked = {*((True, code) for code in COMPILING), *((False, code) for code in RUNNING)}

    assert set(TABLE) == asked
    assert all(BY_CODE[code].retry_changed for _, code in TABLE)


def test_only_stages_of_a_try_are_changed() -> None:
    """What a withdrawal or a fetch ends with says nothing of what was asked."""
    assert may_be_changed(Activity.TRANSPILE, "SurvivalTooLow")
    assert may_be_changed(Activity.SUBMIT, "BudgetExceeded")
    assert not may_be_changed(Activity.TRANSPILE, "BudgetExceeded")
    assert not may_be_changed(Activity.WITHDRAW, "OutOfTime")
    assert not may_be_changed(Activity.SUBMIT, "RequestRejected")
    assert next_change(failed(sample(BELL), "RequestRejected")) is None


def test_another_seed_follows_from_the_jobs_seed_and_the_number_of_the_try() -> None:
    """A stage that runs again finds the same; another job looks elsewhere."""
    changes = every_change(sample(BELL), "SurvivalTooLow", compiling=True)
    seeds = values(changes)
    other = next_change(Failed(**{**vars(failed(sample(BELL), "SurvivalTooLow", compiling=True)), "seed": 6}))

    assert len(set(seeds)) == len(seeds) == SEEDS
    assert [change.before for change in changes] == [0, *seeds[:-1]]
    assert [(change.rung, change.number) for change in changes] == [(1, 1), (1, 2), (1, 3)]
    assert seeds == values(every_change(sample(BELL, shots=7), "SurvivalTooLow", compiling=True))
    assert other is not None
    assert other.after not in seeds
    assert as_changed(sample(BELL), changes).transpile.seed == seeds[-1]


def test_a_seed_of_the_callers_own_stands() -> None:
    """It was named to be used."""
    named = sample(BELL, transpile={"seed": 3})

    assert next_change(failed(named, "SurvivalTooLow", compiling=True)) is None


@pytest.mark.parametrize("code", ["OutOfTime", "OutOfMemory", "ChildCrashed"])
def test_a_level_that_was_not_named_is_lowered_to_its_end(code: str) -> None:
    """From the one that devices have, step by step."""
    changes = every_change(sample(BELL), code, compiling=True)

    assert [(change.what, change.before, change.after) for change in changes] == [
        (Altered.LEVEL, 2, 1),
        (Altered.LEVEL, 1, 0),
    ]
    assert as_changed(sample(BELL), changes).transpile.level == 0


def test_a_named_level_is_lowered_as_far_as_the_job_allows() -> None:
    """Without a word it stays."""
    named = sample(BELL, transpile={"level": 3})
    allowed = sample(BELL, transpile={"level": 3}, fallback={"least_level": 1})

    assert every_change(named, "OutOfTime", compiling=True) == []
    assert values(every_change(allowed, "OutOfTime", compiling=True)) == [2, 1]


@pytest.mark.parametrize("code", ["OutOfTime", "OutOfMemory", "JobTooLarge", "BudgetExceeded"])
def test_shots_are_never_changed_without_a_word(code: str) -> None:
    """An answer of fewer shots is another answer."""
    room: dict[str, Any] = {"asked": 9.0, "shots_that_fit": 10}

    assert next_change(failed(sample(BELL, shots=4000), code, **room)) is None
    assert next_change(failed(estimate((BELL, "ZZ")), code, **room)) is None
    assert least_share(sample(BELL, shots=4000)) == 1


def test_shots_are_halved_down_to_the_floor_and_not_for_ever() -> None:
    """Where nobody says what fits."""
    job = sample(BELL, shots=4000, fallback={"least_shots": 600})
    long = sample(BELL, shots=1_000_000, fallback={"least_shots": 1})

    assert values(every_change(job, "OutOfTime")) == [2000, 1000, 600]
    assert len(every_change(long, "OutOfTime")) == CUTS
    assert least_share(job) == pytest.approx(0.15)


def test_shots_go_down_to_what_fits() -> None:
    """At once, where it is known; and not at all where that is below the floor, or where nothing is known to fit."""
    job = sample(BELL, shots=4000, fallback={"least_shots": 1000})

    (change,) = every_change(job, "BudgetExceeded", asked=9.0, shots_that_fit=1700)
    assert (change.what, change.before, change.after) == (Altered.SHOTS, 4000, 1700)
    assert every_change(job, "BudgetExceeded", asked=9.0, shots_that_fit=999) == []
    assert every_change(job, "BudgetExceeded", asked=9.0, shots_that_fit=0) == []
    assert every_change(job, "BudgetExceeded", asked=None) == []
    assert every_change(job, "GuardrailBroken", guardrail="depth") == []
    assert values(every_change(job, "GuardrailBroken", guardrail="shots", shots_that_fit=2000)) == [2000]


def test_pubs_that_asked_for_less_keep_what_they_asked_for() -> None:
    """The floor holds for those that are cut."""
    job = SampleJob(
        pubs=tuple(sample(BELL, shots=number).pubs[0] for number in (4000, 100, 1500)),
        fallback={"least_shots": 500},
    )
    changes = every_change(job, "OutOfTime")

    assert values(changes) == [2000, 1000, 500]
    assert shots(as_changed(job, changes[:1])) == [2000, 100, 1500]
    assert shots(as_changed(job, changes)) == [500, 100, 500]


def test_a_precision_gets_coarser_as_far_as_the_job_allows() -> None:
    """Half of the shots is a standard error larger by the root of two."""
    job = estimate((BELL, "ZZ"), precision=0.01, fallback={"coarsest_precision": 0.02})
    changes = every_change(job, "OutOfTime")
    coarser = as_changed(job, changes)

    assert isinstance(coarser, EstimateJob)
    assert [change.what for change in changes] == [Altered.PRECISION, Altered.PRECISION]
    assert values(changes) == [pytest.approx(0.01 * 2**0.5), pytest.approx(0.02)]
    assert coarser.pubs[0].precision == pytest.approx(0.02)
    assert shots(coarser) == [2500]


def test_what_the_job_says_of_shots_says_nothing_of_precisions() -> None:
    """Each pub by the word for what it asks in; one that may not be cut is a floor for the others."""
    precise = estimate((BELL, "ZZ"), precision=0.01, fallback={"least_shots": 10})
    pub = precise.pubs[0].model_copy(update={"precision": None, "shots": 4000})
    by_shots = EstimateJob(pubs=(pub,), fallback={"least_shots": 1000})
    exact = estimate((BELL, "ZZ"), precision=0, fallback={"coarsest_precision": 1})
    mixed = EstimateJob(
        pubs=(*by_shots.pubs, *estimate((BELL, "ZZ"), precision=0.02).pubs), fallback={"least_shots": 10}
    )

    assert every_change(precise, "OutOfTime") == []
    assert values(every_change(by_shots, "OutOfTime")) == [2000, 1000]
    assert every_change(exact, "OutOfTime") == []
    assert values(every_change(mixed, "OutOfTime")) == [2500]


def test_the_circuit_of_a_problem_has_fewer_shots_too() -> None:
    """A problem without one has none to lose."""
    ring = MaxCut(num_nodes=2, edges=((0, 1, 1.0),))
    job = solve(ring, fallback={"least_shots": 100})
    with_circuit = SolveJob(problem=ring, pub=sample(BELL, shots=800).pubs[0], fallback={"least_shots": 100})
    (first, *_) = every_change(with_circuit, "OutOfTime")
    fewer = as_changed(with_circuit, [first])

    assert every_change(job, "OutOfTime") == []
    assert isinstance(fewer, SolveJob)
    assert fewer.pub is not None
    assert fewer.pub.shots == first.after == 400


def test_a_request_that_is_too_large_is_divided_as_far_as_there_are_bindings() -> None:
    """Fewer shots make no circuit smaller, and one binding is never parted."""
    three = SampleJob(pubs=sample(BELL).pubs * 3, fallback={"least_shots": 1})
    many = SampleJob(pubs=sample(BELL).pubs * 100)

    assert values(every_change(three, "JobTooLarge", status=413)) == [2, 3]
    assert len(every_change(many, "JobTooLarge", status=413)) == DIVISIONS
    assert divided(every_change(many, "JobTooLarge", status=413)) == 8
    assert every_change(three.model_copy(update={"pubs": three.pubs[:1]}), "JobTooLarge", status=413) == []
    assert every_change(three, "JobTooLarge", needed_bytes=1, limit_bytes=0) == []


def test_what_was_lost_or_shut_out_is_sent_once_more() -> None:
    """One of the two, once: a provider that loses jobs may have been paid for each."""
    (again,) = every_change(sample(BELL), "JobLost")
    (session,) = every_change(sample(BELL), "SessionClosed")

    assert (again.what, again.before) == (Altered.SUBMISSION, "s-1")
    assert (session.what, session.before) == (Altered.SESSION, "s-1")
    assert next_change(failed(sample(BELL), "JobLost", session)) is None


def test_changes_add_up() -> None:
    """A seed found while compiling stays when the shots are cut later, and the counts start where they are."""
    job = sample(BELL, shots=4000, fallback={"least_shots": 500})
    (seed, *_) = every_change(job, "SurvivalTooLow", compiling=True)
    cut = next_change(failed(job, "OutOfTime", seed))
    assert cut is not None
    changed = as_changed(job, [seed, cut])

    assert cut.number == 2
    assert (changed.transpile.seed, shots(changed)) == (seed.after, [2000])
    assert str(cut) == "shots 4000 -> 2000 on 'ibm:manila'"


def test_a_job_that_allows_nothing_more_has_the_digest_that_it_had() -> None:
    """Or the same key would be another job after an update of the client."""
    job = sample(BELL, fallback="none", key="k")

    assert "least_shots" not in job.model_dump_json()
    assert sample(BELL, fallback={"policy": "none", "least_shots": 9}, key="k").body_hash != job.body_hash
