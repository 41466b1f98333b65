"""Problems without a circuit, and with one that is not needed: a durable job whose answer is a solver's."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from fallback.solvers import problems
from isolation.pool import Nursery
from qurable.client import Job
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.jobs import Limits
from qurable.contracts.problems import KernelData, LinearProgram, MaxCut, Problem, Qubo
from qurable.contracts.reports import State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobCancelled, JobFailed
from qurable.names import Activity, Queue
from qurable.requests import sample, solve
from tests.chaos.harness import family, is_alive, processor_seconds, until
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.fallback.solvers.problems_to_solve import (
    chain_energy,
    cubic_graph,
    dense_qubo,
    hydrogen,
    ising_chain,
)

TRIANGLE = MaxCut(num_nodes=3, edges=((0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)))
PROGRAM = "Maximize\n p: 3 x + 2 y\nSubject To\n w: x + y <= 1\nBinary\n x y\nEnd\n"


@pytest.mark.parametrize(
    ("problem", "solver", "objective"),
    [
        (TRIANGLE, "classical:exact", 2.0),
        (LinearProgram(format="lp", text=PROGRAM), "classical:exact", 3.0),
        (ising_chain(8), "classical:ground_state", chain_energy(8)),
        (hydrogen(), "classical:ground_state", -1.13727),
    ],
    ids=["maxcut", "program", "paulis", "fermions"],
)
async def test_a_problem_is_answered_by_the_solver_that_suits_best(
    service: Service, problem: Problem, solver: str, objective: float
) -> None:
    """In its own terms, with a confidence record, the method and the seed."""
    report = await service.run(solve(problem, backend="classical", seed=5))

    assert (report.state, report.served_by, report.degraded) == (State.COMPLETED, solver, False)
    assert report.answer_kind is AnswerKind.CLASSICAL
    assert report.results == ()
    assert report.answer is not None
    assert report.answer.objective == pytest.approx(objective, abs=1e-4)
    assert report.answer.kind == problem.kind
    assert len(report.confidence) == 1
    assert report.provenance is not None
    assert (report.provenance.seed, report.provenance.seed_minted) == (5, False)
    assert report.provenance.method
    assert report.route.rungs[0].name == solver


async def test_a_kernel_comes_back_as_a_matrix(service: Service) -> None:
    """A large one goes through its last stages one by one."""
    few = await service.run(solve(KernelData(train=[[0.0], [1.0]]), backend="classical"))
    many = await service.run(solve(KernelData(train=[[at / 7] for at in range(200)]), backend="classical"))

    assert few.answer is not None
    assert few.answer.matrix is not None
    assert few.answer.matrix.shape == (2, 2)
    assert many.answer is not None
    assert many.answer.matrix is not None
    assert len(many.answer.matrix.values) == 40_000
    assert (many.served_by, many.confidence) == ("classical:kernel", ())


async def test_what_is_too_large_for_a_proof_is_annealed(service: Service) -> None:
    """With the trivial bound, and its gap said as such."""
    report = await service.run(solve(cubic_graph(300), backend="classical", seed=1))

    assert report.served_by == "classical:annealing"
    assert report.answer is not None
    assert report.answer.bound == 450.0
    assert report.answer.objective is not None
    assert report.answer.objective > 390
    assert report.confidence[0].kind is ConfidenceKind.OPTIMALITY_GAP
    assert "trivial" in report.confidence[0].basis


async def test_a_solver_is_asked_by_its_name_and_repeats_itself(service: Service) -> None:
    """The same seed is the same answer, in a job of its own."""
    first, second = [
        await service.run(solve(cubic_graph(60), backend="classical:annealing", seed=11)) for _ in range(2)
    ]

    assert first.id != second.id
    assert first.served_by == "classical:annealing"
    assert first.because.startswith("asked for; ")
    assert first.answer == second.answer


async def test_a_problem_alone_needs_no_backend_to_be_named(service: Service) -> None:
    """`auto` is what suits; no circuit is asked for."""
    report = await service.run(solve(TRIANGLE))

    assert (report.asked, report.served_by) == ("auto", "classical:exact")


async def test_a_sampling_job_with_its_problem_is_answered_without_its_circuit(service: Service) -> None:
    """What the samples mean is known, so nobody has to draw them."""
    edge = MaxCut(num_nodes=2, edges=((0, 1, 1.0),))

    report = await service.run(sample(BELL, problem=edge, backend="classical", shots=100))

    assert report.served_by == "classical:exact"
    assert report.results == ()
    assert report.answer is not None
    assert report.answer.objective == 1.0


async def test_it_runs_on_the_queue_of_the_classical_solvers(service: Service) -> None:
    """So that no solver stands in the way of a simulation."""
    report = await service.run(solve(TRIANGLE, backend="classical:exact"))
    history = await service.temporal.get_workflow_handle(report.id).fetch_history()
    queues = {
        event.activity_task_scheduled_event_attributes.activity_type.name: (
            event.activity_task_scheduled_event_attributes.task_queue.name
        )
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }

    assert queues[Activity.AWAIT_DONE] == Queue.CLASSICAL
    assert [event.state for event in report.events][-2:] == [State.POST_PROCESSING, State.COMPLETED]


@pytest.mark.long
async def test_a_solver_whose_library_is_absent_is_skipped_by_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next that suits answers; asked for by name, the job says what to install."""
    await service.qurable.backends()  # which notes down that the library is here
    monkeypatch.setattr(problems, "absent", lambda needs: [name for name in needs if name == "highspy"])

    report = await service.run(solve(TRIANGLE, backend="classical", seed=1))
    with pytest.raises(JobFailed, match="needs highspy, which is not installed on this worker") as failure:
        await service.run(solve(TRIANGLE, backend="classical:exact"))

    assert report.served_by == "classical:annealing"
    (skipped,) = [entry for entry in report.route.considered if entry.name == "classical:exact"]
    assert not skipped.taken
    assert "needs highspy" in skipped.because
    assert failure.value.error.code == "BackendNotInstalled"


REFUSED: list[tuple[str, Any, str, str]] = [
    (
        "kernel",
        solve(TRIANGLE, backend="classical:kernel"),
        "UnsupportedCircuit",
        "takes points, and this is a maxcut",
    ),
    (
        "no problem",
        sample(BELL, backend="classical:exact"),
        "UnsupportedCircuit",
        "the job carries no problem",
    ),
    (
        "no circuit",
        solve(TRIANGLE, backend="aer"),
        "UnsupportedCircuit",
        "the problem comes without one: give `pub`",
    ),
    ("unknown", solve(TRIANGLE, backend="classical:magic"), "UnknownBackend", "classical:magic"),
    ("nothing fits", solve(Qubo(linear=())), "UnsupportedCircuit", "classical:annealing: .*has no variables"),
    (
        "prose",
        solve(LinearProgram(format="lp", text="once upon a time")),
        "RequestRejected",
        "is not a program",
    ),
]


@pytest.mark.parametrize(
    ("job", "code", "because"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
async def test_what_cannot_be_solved_is_refused(service: Service, job: Any, code: str, because: str) -> None:
    """By the thing, the limit and the way out."""
    with pytest.raises(JobFailed, match=because) as failure:
        await service.run(job)

    assert failure.value.error.code == code


@pytest.mark.long
async def test_the_jobs_limit_ends_the_search_with_the_best_so_far(service: Service) -> None:
    """A solver that may end with a bound is not killed at the limit but asked to answer before it."""
    limits = Limits(run=timedelta(seconds=20))

    report = await service.run(solve(dense_qubo(60, seed=3), backend="classical:exact", limits=limits))

    assert report.answer is not None
    assert report.answer.bound is not None
    assert report.answer.objective is not None
    assert report.answer.bound < report.answer.objective
    assert any("the clock stopped HiGHS" in warning for warning in report.warnings)


async def test_a_cancelled_job_stops_its_solver(service: Service, nursery: Nursery) -> None:
    """Its process is gone."""

    def used() -> dict[int, float]:
        assert nursery._zygote is not None
        zygote = nursery._zygote.process.pid
        return {pid: processor_seconds(pid) for pid in family(zygote) if pid != zygote}

    before = used()
    job: Job = await service.qurable.submit(solve(dense_qubo(60, seed=3), backend="classical:exact"))
    solving = await until(
        "it solves", lambda: [pid for pid, seconds in used().items() if seconds - before.get(pid, 0.0) > 2.0]
    )
    await job.cancel()

    await until("it is gone", lambda: not any(map(is_alive, solving)))
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 30)


@pytest.mark.long
async def test_a_chain_beyond_diagonalisation_goes_to_dmrg(service: Service) -> None:
    """Twenty qubits are too many for the one, and a chain for the other."""
    job = await service.qurable.submit(solve(ising_chain(20), backend="classical", seed=2))
    report = await asyncio.wait_for(job.result(), 240)

    assert report.served_by == "classical:dmrg"
    assert report.answer is not None
    assert report.answer.objective == pytest.approx(chain_energy(20), abs=1e-6)
