"""Who may share a provider job with whom."""

from datetime import timedelta
from typing import Any

import pytest

from activities.documents import ValidatedDocument
from activities.joining import Member, group_job, joined
from circuits.seeds import STRIDE
from qurable.contracts.approvals import Terms
from qurable.contracts.jobs import MAX_SEED, Limits
from qurable.contracts.routes import Rung
from qurable.contracts.sharing import Joined
from qurable.contracts.stages import StageCall
from qurable.requests import AnyJob, estimate, sample
from tests.circuits_at_hand import BELL
from tests.fallback.places import DEVICE, device, parsed

ROTATION = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nbit c;\nrx(theta) q;\nc = measure q;\n'
CALL = StageCall(job_id="lab-1", step="join_group-0", backend=DEVICE)
RUNG = Rung(target=device(), degraded=False, because="asked for")


def bell(**options: Any) -> AnyJob:
    """A job that is ready to share."""
    return sample(BELL, **{"shots": 100, "backend": DEVICE, "batch_window": "2s", **options})


def member(request: AnyJob, canonical: str = "bell") -> Member:
    """A job whose circuits are all of one canonical form."""
    pubs = getattr(request, "pubs", ())
    validated = ValidatedDocument(
        request="r",
        circuits=(parsed(canonical),),
        circuit_of=(0,) * len(pubs),
        seed=7,
        seed_minted=False,
    )
    return Member(request, validated)


def asked(request: AnyJob, canonical: str = "bell", rung: Rung = RUNG) -> Joined:
    """What comes of asking for others."""
    return joined(CALL, member(request, canonical), rung)


def where(request: AnyJob, canonical: str = "bell", rung: Rung = RUNG) -> str:
    """The collector that it waits in."""
    found = asked(request, canonical, rung)
    assert found.head is not None, found.alone
    return found.head.id


@pytest.mark.parametrize(
    "options",
    [
        {"key": "another"},
        {"labels": {"a": "b"}},
        {"seed": 7},
        {"batch_window": "5s"},
        {"limits": Limits(total=60)},
        {"fallback": {"policy": "none"}},
        {"mitigation": "readout"},
        {"hooks": {"after": {"activity": "judge", "task_queue": "q"}}},
    ],
    ids=str,
)
def test_what_is_a_jobs_own_affair_keeps_nobody_apart(options: dict[str, Any]) -> None:
    """It says nothing about what the provider runs."""
    assert where(bell(**options)) == where(bell())


@pytest.mark.parametrize(
    "options",
    [
        {"project": "other"},
        {"user": "ada"},
        {"data_class": "internal"},
        {"priority": 1},
        {"shots": 200},
        {"ibm": {"rep_delay": 0.001}},
        {"transpile": {"level": 3}},
        {"limits": Limits(queue=60)},
        {"limits": Limits(run=60)},
    ],
    ids=str,
)
def test_what_the_provider_or_the_books_see_keeps_jobs_apart(options: dict[str, Any]) -> None:
    """Another project, another account of users, another run."""
    assert where(bell(**options)) != where(bell())


def test_other_circuits_places_and_questions_are_kept_apart() -> None:
    """One topology, one device, one kind."""
    elsewhere = Rung(target=device("ibm:kyoto"), degraded=False, because="asked for")
    payer = Rung(target=device(account="lab"), degraded=False, because="asked for")
    z, x = (
        estimate((BELL, letters), precision=0.1, backend=DEVICE, batch_window="2s")
        for letters in ("ZZ", "XX")
    )

    found = [
        where(bell()),
        where(bell(), canonical="ghz"),
        where(bell(), rung=elsewhere),
        where(bell(), rung=payer),
        where(z),
        where(x),
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"ibm": {"mode": "session"}}, "session of its own"),
        ({"ibm": {"max_execution_time": 60}}, "max_execution_time"),
        ({"budget": {"qpu_seconds": 60}}, "budget of its own"),
        ({"checks": {"twin": {}}}, "twins"),
        ({"shots": 1_000_000, "pubs": 3}, "executions"),
    ],
    ids=str,
)
def test_options_that_are_about_one_job_send_it_alone(options: dict[str, Any], because: str) -> None:
    """With the reason, for the report."""
    pubs = options.pop("pubs", 1)
    request = sample(*[BELL] * pubs, **{"shots": 100, "backend": DEVICE, "batch_window": "2s", **options})

    assert because in asked(request).alone


def test_a_rung_that_needs_somebodys_word_sends_a_job_alone() -> None:
    """Somebody approves of this job, and not of those that it would meet."""
    terms = Terms(because="it is dear", timeout=timedelta(hours=1))
    rung = RUNG.model_copy(update={"approval": terms})

    assert "approve" in asked(bell(), rung=rung).alone


def test_the_groups_job_runs_the_pubs_of_all_and_nothing_else_of_theirs() -> None:
    """Budgets, hooks, checks and fallback are each member's own; the run may take as long as all of them together."""
    one = member(bell(limits=Limits(run=10, queue=20), labels={"whose": "ada"}, ibm={"rep_delay": 0.001}))
    two = member(sample(BELL, BELL, shots=100, backend=DEVICE, limits=Limits(run=10, queue=20)))
    job = group_job([one, two], "key", DEVICE)

    assert len(job.pubs) == 3
    assert (job.limits.run.total_seconds(), job.limits.queue.total_seconds()) == (20, 20)
    assert job.ibm.rep_delay == 0.001
    assert (job.labels, job.batch_window, job.fallback.policy) == ({}, None, "none")
    assert (job.backend, job.key) == (DEVICE, "key")


def test_a_binding_keeps_the_seed_that_it_has_in_a_job_of_its_own() -> None:
    """Where a place takes seeds, a group changes no answer: by the rule, or one named for each."""
    values = {"theta": [0.1, 0.2]}
    one = member(sample((ROTATION, values), shots=100, backend=DEVICE, seeds=(5, 3)))
    two = member(sample((ROTATION, values), shots=100, backend=DEVICE, seed=7))

    assert group_job([one, two], "key", DEVICE).seeds == (5, 3, 7, 7 + STRIDE)
    assert group_job([member(bell()), member(bell())], "key", DEVICE).seeds == ()


def test_a_sweep_whose_seeds_pass_what_can_be_said_has_the_groups_own() -> None:
    """Its last binding's seed is more than a request takes; the members are put together all the same."""
    most = sample((ROTATION, {"theta": [0.1, 0.2]}), shots=100, backend=DEVICE, seed=MAX_SEED)
    validated = member(most).validated.model_copy(update={"seed": MAX_SEED})

    assert group_job([Member(most, validated), member(bell(seed=7))], "key", DEVICE).seeds == ()
