"""The survival estimate against the device's own numbers: by hand, by Qiskit's schedule, by Aer's noise."""

import itertools
import math
from collections.abc import Sequence

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SuperOp, average_gate_fidelity
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDelay
from qiskit_aer.noise import thermal_relaxation_error

from activities.documents import CompiledCircuit
from benchmarks.calibration_plot import Point
from benchmarks.survival import Correlation, Probe, correlation, measure_all, probes
from circuits.survival import Rates, rates_of, survival_of
from circuits.targets import build_target, describe_simulator
from qurable.contracts.confidence import Survival
from qurable.contracts.targets import QubitProperties, TargetDocument, TargetOperation
from tests.circuits.devices import device
from tests.circuits.running import compile_for, parse

_X, _CX, _READ = 3e-8, 2e-7, 1e-6
_T1, _T2 = 1e-4, 5e-5


def _document(*, cx: Sequence[float | None] = (0.01, 0.02), times: bool = True) -> TargetDocument:
    """Three qubits in a row."""
    pairs, single = ((0, 1), (1, 2)), ((0,), (1,), (2,))
    clock = {"cx": _CX, "x": _X, "rz": 0.0, "measure": _READ, "reset": _READ}

    def operation(
        name: str, qargs: Sequence[tuple[int, ...]], errors: Sequence[float | None]
    ) -> TargetOperation:
        durations = tuple(clock[name] if times else None for _ in qargs)
        return TargetOperation(name=name, qargs=tuple(qargs), errors=tuple(errors), durations=durations)

    return TargetDocument(
        num_qubits=3,
        dt=1e-9,
        operations=(
            operation("cx", pairs, cx),
            operation("x", single, (0.001, 0.002, 0.003)),
            operation("rz", single, (0.0, 0.0, 0.0)),
            operation("measure", single, (0.03, 0.04, 0.05)),
            operation("reset", single, (None, None, None)),
        ),
        qubits=tuple(QubitProperties(t1=_T1, t2=_T2) for _ in range(3)) if times else (),
        control_flow=("if_else", "while_loop", "for_loop", "switch_case"),
    )


def _survival(circuit: QuantumCircuit, document: TargetDocument | None = None) -> Survival:
    rates = rates_of(document or _document())
    assert rates is not None
    return survival_of(circuit, rates)


def _waits(*seconds: float) -> float:
    return math.prod(0.5 + math.exp(-t / _T1) / 6 + math.exp(-t / _T2) / 3 for t in seconds)


def test_each_gate_counts_where_it_is_and_each_reading_of_what_is_read() -> None:
    """Two couplings of one device may differ tenfold: a mean over the device says nothing of a circuit."""
    circuit = QuantumCircuit(3, 2)
    circuit.x(0)
    circuit.rz(0.3, 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.measure([0, 2], [0, 1])

    found = _survival(circuit)

    assert found.gates == pytest.approx(0.999 * 0.99 * 0.98)
    assert found.readout == pytest.approx(0.97 * 0.95)
    assert found.idle == pytest.approx(_waits(_CX)), "the first qubit waits for the second coupling"
    assert found.value == pytest.approx(found.gates * found.readout * (found.idle or 0.0))
    assert not found.at_most


def test_a_qubit_that_was_not_used_yet_loses_nothing() -> None:
    """Before its first gate, and after a reset, a qubit is in its ground state."""
    circuit = QuantumCircuit(3, 1)
    circuit.x(0)
    circuit.reset(0)
    circuit.delay(1e-5, 0, "s")
    circuit.x(1)
    circuit.delay(1e-5, 1, "s")
    circuit.cx(0, 1)
    circuit.barrier()
    circuit.measure(2, 0)

    assert _survival(circuit).idle == pytest.approx(_waits(1e-5))


def test_a_barrier_makes_the_others_wait() -> None:
    """Between two of them a qubit waits for as long as another is read."""
    circuit = QuantumCircuit(3, 1)
    circuit.x([0, 1])
    circuit.barrier()
    circuit.measure(1, 0)
    circuit.barrier()
    circuit.x(0)

    assert _survival(circuit).idle == pytest.approx(_waits(_READ))


def test_waiting_costs_what_aer_makes_of_it() -> None:
    """The same average fidelity as of the gates: that of Aer's own relaxation of an idle qubit."""
    for seconds in (1e-7, 1e-5, 1e-3):
        channel = SuperOp(thermal_relaxation_error(_T1, _T2, seconds))

        assert _waits(seconds) == pytest.approx(average_gate_fidelity(channel), rel=1e-9)


@pytest.mark.parametrize("name", ["FakeManilaV2", "FakeTorino"])
def test_the_windows_are_those_of_qiskits_schedule(name: str) -> None:
    """Circuits of the family that a device runs, with readings in their midst and resets."""
    document = device(name)
    rates = rates_of(document)
    assert rates is not None
    for seed in range(6):
        written = random_circuit(4, 6, max_operands=2, measure=True, reset=bool(seed % 2), seed=seed)
        isa = compile_for(parse(written)[1], document, seed % 3).circuit
        scheduled = PassManager(
            [ALAPScheduleAnalysis(target=build_target(document)), PadDelay(target=build_target(document))]
        ).run(isa)

        expected = math.prod(_waited(scheduled, rates))

        found = survival_of(isa, rates).idle
        assert found == pytest.approx(expected, rel=1e-6)
        assert seed or expected < 1, "a circuit without windows shows nothing"


def _waited(scheduled: QuantumCircuit, rates: Rates) -> list[float]:
    """What is left over each idle window of a circuit whose delays are written out."""
    kept = []
    for number, qubit in enumerate(scheduled.qubits):
        path = [item for item in scheduled.data if qubit in item.qubits]
        path = [item for item in path if item.name not in ("rz", "barrier")]
        for waits, group in itertools.groupby(enumerate(path), key=lambda entry: entry[1].name == "delay"):
            places = [at for at, _ in group]
            first, last = places[0], places[-1]
            if not waits or first == 0 or last == len(path) - 1 or path[first - 1].name == "reset":
                continue
            assert rates.dt is not None
            seconds = sum(path[at].operation.duration for at in places) * rates.dt
            t1, t2 = rates.relaxation[number]
            kept.append(0.5 + math.exp(-seconds / t1) / 6 + math.exp(-seconds / t2) / 3)
    return kept


def test_what_branches_is_judged_by_its_best_branch() -> None:
    """A bound that rules nothing out by mistake: the most that can survive."""
    circuit = QuantumCircuit(3, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.cx(0, 1)
        circuit.cx(0, 1)
    with otherwise:
        circuit.x(2)
    with circuit.for_loop(range(5)):
        circuit.x(1)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.cx(1, 2)

    found = _survival(circuit)

    assert found.at_most
    assert found.gates == pytest.approx(0.997 * 0.998**5)


def test_a_branch_that_may_not_run_counts_for_nothing() -> None:
    """Without an `else`, or leaving a loop early."""
    circuit = QuantumCircuit(3, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.cx(0, 1)
    with circuit.for_loop(range(5)):
        circuit.x(1)
        circuit.break_loop()

    assert _survival(circuit).gates == 1


@pytest.mark.parametrize("error", [None, math.nan, 1.0])
def test_nothing_survives_a_dead_coupling(error: float | None) -> None:
    """Snapshots mark it by an error of 1 or by none; the others of the device are not touched by it."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)

    assert _survival(circuit, _document(cx=(error, 0.02))).value == 0
    assert _survival(circuit, _document(cx=(0.01, error))).value == pytest.approx(0.99)


def test_what_a_device_does_not_say_is_left_out() -> None:
    """Without times there are no windows; a simulator without noise has nothing to survive."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)

    found = _survival(circuit, _document(times=False))

    assert found.idle is None
    assert found.value == found.gates
    assert rates_of(describe_simulator("statevector")) is None


def test_the_compiler_gives_it_along_and_older_rows_are_still_read() -> None:
    """It costs no second pass, and a cache that was filled before it was known stays good."""
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    compiled = compile_for(parse(bell)[1], device("FakeTorino"), 2)
    rates = rates_of(device("FakeTorino"))
    assert rates is not None

    assert Survival.model_validate(compiled.facts["survival"]) == survival_of(compiled.circuit, rates)
    assert compile_for(parse(bell)[1], describe_simulator("statevector")).facts["survival"] is None
    older = (
        '{"isa": "a", "layout": null, "depth": 1, "two_qubit_gates": 1, "size": 1, "active": 2, "level": 2, "seed": 0, '
        '"target": "t"}'
    )
    assert CompiledCircuit.read(older).survival is None


def _calibrated(chosen: Sequence[Probe], shots: int) -> tuple[Correlation, Correlation, list[Point]]:
    """Rank correlation of success with the estimate, and with its gates and readings alone."""
    points = list(measure_all(chosen, shots))
    successes = [point.success for point in points]
    whole = correlation([point.estimate for point in points], successes)
    return whole, correlation([point.without_idle for point in points], successes), points


def test_it_ranks_circuits_as_the_noisy_twin_does() -> None:
    """A dozen small ones; where they have nothing to do with each other, one in a thousand would rank so well."""
    small = [probe for probe in probes() if probe.circuit.num_qubits <= 4][::2]

    whole, without_idle, points = _calibrated(small, 1_000)

    assert len(points) >= 8
    assert whole.null < 1
    assert whole.rho > whole.null
    assert without_idle.rho < whole.rho, "what only waits is not seen by its gates"


@pytest.mark.long
def test_it_ranks_thirty_circuits_as_the_noisy_twin_does() -> None:
    """Of five families; what docs/survival.md says of them holds."""
    whole, without_idle, points = _calibrated(probes(), 4_000)

    assert len(points) == 30
    assert whole.interval[0] > max(0.9, whole.null)
    assert without_idle.interval[1] < whole.rho
    assert max(abs(point.success - point.estimate) for point in points) < 0.15
    assert min(point.estimate for point in points) < 0.25
