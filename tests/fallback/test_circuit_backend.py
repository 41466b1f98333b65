"""The classical solvers as backends: the same questions as for every other, and whole jobs through a worker."""

import importlib.util
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister

from circuits.statistics import bound, g_test
from fallback.circuit_backend import CircuitBackend, circuit_backends
from fallback.solvers.circuits import CIRCUIT_SOLVERS
from isolation.admission import Admission
from isolation.pool import ChildPool
from isolation.runs import Engine
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.jobs import Requirements
from qurable.contracts.reports import State
from qurable.contracts.results import ErrorOrigin, EstimateResult
from qurable.contracts.targets import AnswerKind
from qurable.errors import BackendNotInstalled, JobFailed
from qurable.names import Activity, Queue
from qurable.requests import estimate, sample
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from tests.circuits_at_hand import BELL, ENDLESS
from tests.conftest import MEMORY_MIB, Service
from tests.fakes.scripted import ScriptedBackend
from tests.fallback.solvers.circuits_to_solve import exact

QUESTIONS = [question.__name__ for question in Conformance(ScriptedBackend("x"), MemoryShelf()).questions]
NAMES = sorted(CIRCUIT_SOLVERS)


@pytest.fixture
def engine(pool: ChildPool, tmp_path: Path) -> Engine:
    """What solvers run on, without a store."""
    return Engine(pool, Admission(MEMORY_MIB * 2**20, tmp_path), MemoryShelf(), cores=2)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", NAMES)
async def test_every_solver_conforms(engine: Engine, name: str, question: str) -> None:
    """Whoever runs a job need not know that no quantum computer does."""
    solver = CIRCUIT_SOLVERS[name]
    conformance = Conformance(
        circuit_backends(engine)[name],
        engine.shelf,
        method=solver.method,
        samples=name != "classical:pauli",
    )
    ask: Callable[[], Awaitable[None]] = getattr(conformance, question)
    await ask()


@pytest.mark.parametrize("name", NAMES)
async def test_a_solver_without_its_library_is_named(
    engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rung that cannot run here is skipped, and the report can say what is missing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    backend = CircuitBackend(name, engine, CIRCUIT_SOLVERS[name])

    with pytest.raises(BackendNotInstalled, match=CIRCUIT_SOLVERS[name].needs[0]):
        await backend.target()


async def test_a_bell_pair_is_answered_without_a_quantum_computer(service: Service) -> None:
    """Through every stage: the label, the record of confidence, the versions and the queue it ran on."""
    report = await service.run(BELL, shots=4000, seed=3, backend="classical:clifford")

    counts = report.counts()
    assert set(counts) <= {"00", "11"}
    assert g_test(np.array([counts["00"], counts["11"]]), np.array([0.5, 0.5])).p_value > bound(1)
    assert report.state is State.COMPLETED
    assert (report.served_by, report.answer_kind) == ("classical:clifford", AnswerKind.CLASSICAL)
    (record,) = report.confidence
    assert (record.kind, record.pub) == (ConfidenceKind.STANDARD_ERROR, 0)
    assert record.value == pytest.approx(0.5 / math.sqrt(4000))
    assert report.provenance is not None
    assert report.provenance.method == "stim"
    assert report.provenance.target_version.startswith("stim ")
    assert "Clifford" in report.because
    assert await _queue_of(service, report.id) == Queue.CLASSICAL


async def _queue_of(service: Service, job_id: str) -> str:
    """The task queue that ran the job."""
    history = await service.temporal.get_workflow_handle(job_id).fetch_history()
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == Activity.AWAIT_DONE:
            return str(scheduled.task_queue.name)
    raise AssertionError(f"job {job_id} ran nowhere")


async def test_the_same_seed_gives_the_same_answer(service: Service) -> None:
    """Whichever solver: two jobs are one."""
    for name in ("classical:clifford", "classical:mps"):
        first = await service.run(BELL, shots=500, seed=3, backend=name)
        second = await service.run(BELL, shots=500, seed=3, backend=name)

        assert first.id != second.id
        assert first.results == second.results


async def test_registers_and_bindings_come_back_in_their_places(service: Service) -> None:
    """Three registers, one written in part, and a grid of bindings."""
    angle = Parameter("angle")
    low, none, high = ClassicalRegister(2, "low"), ClassicalRegister(1, "none"), ClassicalRegister(9, "high")
    circuit = QuantumCircuit(QuantumRegister(3), low, none, high)
    circuit.x(0)
    circuit.rx(angle, 1)
    circuit.measure(0, low[1])
    circuit.measure(1, high[8])
    job = sample((circuit, [[0.0], [math.pi]], 50), seed=1, backend="classical:clifford")

    report = await service.run(job)

    assert report.counts(0, 0) == {"000000000 0 10": 50}
    assert report.counts(0, 1) == {"100000000 0 10": 50}


async def test_two_thousand_qubits(service: Service) -> None:
    """As wide as a circuit may be."""
    circuit = QuantumCircuit(2000)
    circuit.h(0)
    for qubit in range(1999):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()

    report = await service.run(circuit, shots=50, seed=5, backend="classical:clifford")

    assert set(report.counts()) == {"0" * 2000, "1" * 2000}


def _rotated(angle: float = 0.3) -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.rx(angle, 2)
    circuit.rzz(0.4, 1, 2)
    return circuit


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("classical:pauli", ConfidenceKind.TRUNCATION_BOUND),
        ("classical:mps", ConfidenceKind.TRUNCATION_ESTIMATE),
    ],
)
async def test_expectation_values_come_with_what_they_may_be_off_by(
    service: Service, name: str, kind: ConfidenceKind
) -> None:
    """No shots, no standard error: the record of confidence says the rest."""
    report = await service.run(estimate((_rotated(), ["ZII", "IZZ"]), backend=name))

    (result,) = report.results
    assert isinstance(result, EstimateResult)
    assert result.evs.values == pytest.approx(
        [exact(_rotated(), {label: 1.0}) for label in ("ZII", "IZZ")], abs=1e-9
    )
    assert (result.error_origin, result.shots) == (ErrorOrigin.TRUNCATION, 0)
    (record,) = report.confidence
    assert record.kind is kind
    assert record.value < 1e-9
    assert (record.interval is None) == (kind is ConfidenceKind.TRUNCATION_ESTIMATE)


def _looping() -> QuantumCircuit:
    """How often it entangles two qubits only the run can tell."""
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.ry(0.3, 0)
        circuit.cx(0, 1)
        circuit.measure(0, 0)
    circuit.measure(1, 1)
    return circuit


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (sample(_rotated().measure_all(inplace=False), backend="classical:clifford"), "not Clifford"),
        (sample(BELL, backend="classical:pauli"), "expectation values alone"),
        (sample(ENDLESS, backend="classical:clifford"), "branches or loops"),
        (sample(_looping(), backend="classical:mps"), "shot by shot"),
    ],
    ids=["clifford", "pauli", "loop", "mps"],
)
async def test_what_does_not_suit_is_refused_with_the_reason(
    service: Service, job: Any, message: str
) -> None:
    """Before anything is compiled or run, and naming what to ask for instead."""
    with pytest.raises(JobFailed, match=message) as failed:
        await service.run(job)

    assert failed.value.error.code == "UnsupportedCircuit"
    assert "ask for" in failed.value.error.message


async def test_nobody_gets_a_classical_answer_who_asked_for_a_simulator(service: Service) -> None:
    """Requirements name a kind of machine; a solver is asked for by name."""
    report = await service.run(BELL, backend=Requirements(simulator=True), shots=10)

    assert report.answer_kind is AnswerKind.SIMULATOR
    assert report.confidence == ()


async def test_the_list_of_backends_shows_them(service: Service) -> None:
    """With what they answer, and the version of the library that does."""
    listed = {snapshot.name: snapshot for snapshot in await service.qurable.backends()}

    assert set(NAMES) <= set(listed)
    for name in NAMES:
        assert listed[name].answer_kind is AnswerKind.CLASSICAL
        assert listed[name].available
        assert listed[name].version
