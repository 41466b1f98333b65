"""The jobs of a loop: one pub each, under a key that follows from the loop, the iteration and how often that has failed."""

from array import array
from collections.abc import Sequence
from typing import Any

from qurable.contracts.bindings import Bindings
from qurable.contracts.budgets import JobBudget
from qurable.contracts.circuits import Circuit, CircuitFormat
from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import EstimateJob, SampleJob
from qurable.contracts.observables import Observables
from qurable.contracts.optimisations import PreparedLoop
from qurable.contracts.problems import Ising, MaxCut, Qubo
from qurable.contracts.pubs import EstimatePub, SamplePub
from store.loop_jobs import Cost, Meant

ANSWER_SHOTS = 1024


def job_key(loop_id: str, purpose: str, iteration: int, ordinal: int) -> str:
    """The idempotency key of a loop's job."""
    return f"{loop_id}/{purpose}/{iteration}/{ordinal}"


def budget_left(budget: JobBudget, cost: Cost) -> JobBudget | None:
    """What is left of a loop's budget after its jobs so far; None where nothing is."""
    money = cost.prices.get(budget.currency, 0.0) if budget.currency else sum(cost.prices.values())
    seconds = None if budget.qpu_seconds is None else budget.qpu_seconds - cost.qpu_seconds
    price = None if budget.price is None else budget.price - money
    if (seconds is not None and seconds <= 0) or (price is not None and price <= 0):
        return None
    return budget.model_copy(update={"qpu_seconds": seconds, "price": price})


def _shared(prepared: PreparedLoop, meant: Meant, seed: int) -> dict[str, Any]:
    """What every job of a loop is told. One place answers, and no other: values of two cannot be compared."""
    loop, job = prepared.loop, meant.job
    return {
        "backend": job.backend,
        "seed": seed,
        "ibm": loop.ibm,
        "limits": loop.limits,
        "key": job_key(loop.id, job.purpose, job.iteration, job.ordinal),
        "project": loop.project,
        "user": loop.user,
        "data_class": loop.data_class,
        "budget": meant.budget,
        "fallback": Fallback(policy="none"),
        "labels": {"loop": loop.id, "iteration": str(job.iteration)},
    }


def _circuit(qpy: bytes) -> Circuit:
    return Circuit(format=CircuitFormat.QPY, qpy=qpy, name="ansatz")


def estimate_job(prepared: PreparedLoop, meant: Meant, points: "array[float]", seed: int) -> EstimateJob:
    """The job that evaluates points: one pub with an array of bindings, whose binding i runs with the seed + 2113 i."""
    width = len(prepared.parameters)
    pub = EstimatePub(
        circuit=_circuit(prepared.qpy),
        bindings=Bindings(
            parameters=prepared.parameters, shape=(len(points) // width,), values=tuple(points)
        ),
        observables=Observables(items=(prepared.observable,)),
        shots=meant.shots,
    )
    return EstimateJob(pubs=(pub,), **_shared(prepared, meant, seed))


def answer_job(
    prepared: PreparedLoop, meant: Meant, measured: bytes, x: Sequence[float], seed: int
) -> SampleJob:
    """The job that reads assignments at a point, with the problem that they answer.

    Args:
        prepared: The loop.
        meant: Which job it is.
        measured: The ansatz with all its qubits measured, as QPY; qubit 0 is the rightmost character of what is read.
        x: The point.
        seed: Of the simulator.
    """
    problem = prepared.problem
    assert isinstance(problem, Qubo | Ising | MaxCut)  # noqa: S101  others have no assignments
    pub = SamplePub(
        circuit=_circuit(measured),
        bindings=Bindings(parameters=prepared.parameters, values=tuple(x)),
        shots=meant.shots or ANSWER_SHOTS,
    )
    return SampleJob(pubs=(pub,), problem=problem, **_shared(prepared, meant, seed))
