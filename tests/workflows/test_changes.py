"""What fails on a rung is tried again there with something changed, and the report lists what."""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit

from fallback.changes import SEEDS, Failed, next_change
from isolation.pool import ChildPool
from qurable.contracts.budgets import BudgetChange, Guardrails, JobBudget
from qurable.contracts.changes import Altered, Change
from qurable.contracts.checks import Passed
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import SampleJob
from qurable.contracts.reports import JobReport, State
from qurable.errors import JobFailed, OutOfMemory
from qurable.requests import AnyJob, sample
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.paid import DEVICE, Paid

TWIN = "fake_manila"
SEED = 11


def tangled(gates: int) -> QuantumCircuit:
    """Gates between any two of five qubits, for a device whose couplings are a line: the seed decides on the swaps."""
    random = np.random.default_rng(gates)
    circuit = QuantumCircuit(5)
    for _ in range(gates):
        first, second = random.choice(5, 2, replace=False)
        circuit.rx(float(random.uniform(0.3, 2.8)), int(first))
        circuit.cx(int(first), int(second))
    circuit.measure_all()
    return circuit


def on_twin(gates: int, **options: Any) -> AnyJob:
    """A job with one shot, whose seeds of the transpiler are the same for every circuit."""
    return sample(tangled(gates), **{"shots": 1, "backend": TWIN, "seed": SEED, **options})


def other_seeds() -> list[int]:
    """Seeds of the transpiler that such a job tries, by the table."""
    changes: list[Change] = []
    for _ in range(SEEDS):
        error = ErrorDocument(code="SurvivalTooLow", message="")
        change = next_change(Failed(True, error, 0, TWIN, sample(BELL), SEED, 2, changes=changes))
        assert change is not None
        changes.append(change)
    return [int(change.after) for change in changes]


def survival(report: JobReport) -> float:
    """Of the only circuit."""
    assert report.provenance is not None
    found = report.provenance.circuits[0].survival
    assert found is not None
    return found.value


def floor(value: float) -> dict[str, Any]:
    """A job that takes no less, from nobody else."""
    return {"policy": "none", "floor": {"kind": "survival_estimate", "value": value}}


async def _seeds_that_help(service: Service) -> tuple[int, list[float]]:
    """A circuit that survives better with one of the other seeds, and with which value for each of them."""
    for gates in range(12, 40, 4):
        usual = survival(await service.run(on_twin(gates)))
        others = [
            survival(await service.run(on_twin(gates, transpile={"seed": seed}))) for seed in other_seeds()
        ]
        if max(others) > usual:
            return gates, others
    raise AssertionError("no circuit of the family depends on the seed")


async def test_a_circuit_that_does_not_survive_is_compiled_with_another_seed(service: Service) -> None:
    """Nothing is sent before it passes; where none does, those that were tried are listed all the same."""
    gates, values = await _seeds_that_help(service)
    tries = values.index(max(values)) + 1

    report = await service.run(on_twin(gates, fallback=floor(max(values))))
    with pytest.raises(JobFailed) as refused:
        await service.run(on_twin(gates, fallback=floor(1.0), key="out of reach"))
    named = on_twin(gates, fallback=floor(1.0), transpile={"seed": 4}, key="named")
    with pytest.raises(JobFailed):
        await service.run(named)

    seeds = other_seeds()
    assert report.state is State.COMPLETED
    assert [(change.what, change.after) for change in report.changes] == [
        (Altered.SEED, seed) for seed in seeds[:tries]
    ]
    assert {change.because for change in report.changes} == {"SurvivalTooLow"}
    assert report.provenance is not None
    assert report.provenance.circuits[0].transpile_seed == seeds[tries - 1]
    assert survival(report) == max(values)
    steps = service.journal.steps(report.id)
    assert [step for step in steps if step.startswith("submit")] == ["submit-0"]
    assert [step for step in steps if step.startswith("change")] == [
        f"change-0.{number}" for number in range(1, tries + 1)
    ]

    failed = await service.qurable.read_report(on_twin(gates, key="out of reach").job_id)
    assert refused.value.error.code == "SurvivalTooLow"
    assert [change.after for change in failed.changes] == seeds
    assert (await service.qurable.read_report(named.job_id)).changes == ()


async def test_a_level_that_takes_too_much_memory_is_lowered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the caller named is not, unless the job allows it."""
    call: Callable[..., Awaitable[Any]] = ChildPool.call

    async def short_of_memory(pool: ChildPool, task: str, payload: Any, *rest: Any, **options: Any) -> Any:
        if task.endswith(":compile_circuits") and payload["level"] > 1:
            raise OutOfMemory("transpiling needed more than its 4,096 MiB of memory")
        return await call(pool, task, payload, *rest, **options)

    monkeypatch.setattr(ChildPool, "call", short_of_memory)
    report = await service.run(on_twin(7))
    allowed = await service.run(on_twin(7, transpile={"level": 3}, fallback={"least_level": 1}))
    with pytest.raises(JobFailed) as refused:
        await service.run(on_twin(7, transpile={"level": 2}, key="two"))

    assert [(change.what, change.before, change.after) for change in report.changes] == [
        (Altered.LEVEL, 2, 1)
    ]
    assert [change.after for change in allowed.changes] == [2, 1]
    for answered in (report, allowed):
        assert answered.provenance is not None
        assert answered.provenance.circuits[0].transpile_level == 1
    assert refused.value.error.code == "OutOfMemory"


async def test_shots_go_down_to_what_the_budget_has_room_for(paid: Paid) -> None:
    """Before anything is sent; the answer has the fewer shots, and its check expects them."""
    work = sample(
        BELL,
        shots=20_000,
        backend=DEVICE,
        budget=JobBudget(qpu_seconds=7),
        fallback={"policy": "none", "least_shots": 1000},
    )
    report = await paid.service.run(work)
    sent = await paid.one()
    kept = work.model_copy(
        update={"key": "kept", "fallback": work.fallback.model_copy(update={"least_shots": 19_000})}
    )
    refused = await paid.refused(kept)

    (change,) = report.changes
    assert (change.what, change.before, change.because) == (Altered.SHOTS, 20_000, "BudgetExceeded")
    assert f"with {change.after:,} shots a circuit it would fit" in change.message
    assert 1000 <= int(change.after) < 20_000
    assert sum(report.counts().values()) == change.after
    assert sent["cost"] == 7
    assert [record.reserved for record in report.provider_jobs if record.id] == [7]
    assert report.verdict is not None
    (count,) = [check for check in report.verdict.checks if check.rule == "shot count"]
    assert (count.outcome, count.because) == (Passed.PASSED, f"{change.after:,} shots came, as asked")
    assert "may take 7 QPU seconds" in str(refused)
    assert (await paid.service.qurable.read_report(kept.job_id)).changes == ()


async def test_shots_go_down_to_what_the_projects_guardrail_lets_through(paid: Paid) -> None:
    """Over all pubs together; the one that asked for less keeps what it asked for."""
    rails = Guardrails(project="narrow", shots=130)
    pubs = (*sample(BELL, shots=100).pubs * 2, *sample(BELL, shots=10).pubs)
    await paid.service.qurable.set_budget(BudgetChange(guardrails=rails))
    report = await paid.service.run(
        SampleJob(
            pubs=pubs,
            project="narrow",
            backend=DEVICE,
            fallback=Fallback(policy="none", least_shots=50),
        )
    )
    await paid.service.qurable.set_budget(BudgetChange(guardrails=Guardrails(project="narrow")))

    (change,) = report.changes
    assert (change.before, change.after, change.because) == (100, 60, "GuardrailBroken")
    assert [sum(report.counts(pub).values()) for pub in range(3)] == [60, 60, 10]


async def test_a_request_that_is_too_large_is_sent_in_smaller_parts(paid: Paid) -> None:
    """The provider took nothing of the first; each binding is run once."""
    await paid.control.fault("POST /jobs", "status", status=413)
    work = SampleJob(pubs=sample(BELL, shots=100).pubs * 3, backend=DEVICE, fallback={"policy": "none"})
    report = await paid.service.run(work)
    taken = await paid.taken()

    (change,) = report.changes
    assert (change.what, change.before, change.after) == (Altered.PROVIDER_JOBS, 1, 2)
    assert change.because == "JobTooLarge"
    assert len(taken) == 2
    assert [sum(report.counts(pub).values()) for pub in range(3)] == [100, 100, 100]
    assert {record.state for record in report.provider_jobs if record.id} == {"done"}
