"""ISA circuits: in the target's gates, on its couplings, of the meaning they had, by the options that were asked."""

import math
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Operator

from circuits.squeeze import squeeze
from circuits.targets import build_target, describe_simulator
from qurable.contracts.targets import TargetDocument
from qurable.errors import UnsupportedCircuit
from tests.circuits.devices import device, perfect
from tests.circuits.running import Simulation, compile_for, parse

DEVICES = ("FakeManilaV2", "FakeBrisbane", "FakeTorino")


def canonical(circuit: QuantumCircuit) -> QuantumCircuit:
    """As the compiler gets it."""
    return parse(circuit)[1]


def qft(width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.append(QFTGate(width), range(width))
    circuit.measure_all()
    return canonical(circuit.decompose(gates_to_decompose="qft"))


def is_isa(circuit: QuantumCircuit, target: TargetDocument) -> bool:
    """Whether every operation is one of the target's, where it has it; inside conditions too."""
    rebuilt = build_target(target)

    def native(body: QuantumCircuit, places: list[int]) -> bool:
        for item in body.data:
            at = tuple(places[body.find_bit(qubit).index] for qubit in item.qubits)
            if item.is_control_flow():
                if item.name not in target.control_flow:
                    return False
                if not all(native(block, list(at)) for block in item.operation.blocks):
                    return False
            elif item.name != "barrier" and not rebuilt.instruction_supported(item.name, at):
                return False
        return True

    return native(circuit, list(range(circuit.num_qubits)))


def test_a_device_with_operations_of_its_own_can_be_compiled_for() -> None:
    """Newer devices have a second measurement and reset, which nothing is compiled to."""
    target = device("FakeBoston")

    assert is_isa(compile_for(qft(3), target, 2).circuit, target)
    assert not {operation.name for operation in target.operations} & {"measure_2", "reset_2"}


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_what_comes_out_is_in_the_targets_gates_and_on_its_couplings(name: str, level: int) -> None:
    """And depth and two-qubit gates are those of what comes out."""
    compiled = compile_for(qft(5), device(name), level)

    assert is_isa(compiled.circuit, device(name))
    assert compiled.facts["depth"] == compiled.circuit.depth()
    assert compiled.facts["size"] == compiled.circuit.size()
    assert compiled.facts["two_qubit_gates"] == sum(
        compiled.circuit.count_ops().get(gate, 0) for gate in ("cx", "ecr", "cz")
    )
    assert compiled.facts["busy"] == list(squeeze(compiled.circuit)[1])


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_what_comes_out_means_what_went_in(level: int) -> None:
    """Layout and routing only move qubits."""
    circuit = QuantumCircuit(4, 4)
    for qubit in range(4):
        circuit.ry(0.4 * (qubit + 1), qubit)
    for qubit in (3, 1, 2):
        circuit.cx(0, qubit)
    circuit.measure(range(4), (2, 0, 3, 1))

    routed = Simulation(device=perfect("FakeManilaV2"), level=level).sample(circuit, shots=20_000)
    direct = Simulation().sample(circuit, shots=20_000)

    first, second = (np.bincount(bits.ravel(), minlength=16) / 20_000 for bits in (routed, direct))
    assert np.abs(first - second).max() < 0.02


def test_the_layout_that_was_asked_for_is_taken() -> None:
    """Virtual qubit i begins on physical qubit layout[i]; on a line of neighbours nothing moves it."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)

    compiled = compile_for(canonical(circuit), device("FakeManilaV2"), 1, layout=(3, 2, 1))

    assert compiled.layout == [3, 2, 1]


@pytest.mark.parametrize(
    ("layout", "problem"),
    [((0, 1), "does not place the 3 qubits"), ((0, 1, 5), "on 5"), ((-1, 0, 1), "does not place")],
)
def test_a_layout_that_does_not_fit_is_refused(layout: tuple[int, ...], problem: str) -> None:
    """The transpiler itself would speak of internals."""
    with pytest.raises(UnsupportedCircuit, match=problem):
        compile_for(canonical(QuantumCircuit(3)), device("FakeManilaV2"), layout=layout)


@pytest.mark.parametrize("method", ["basic", "sabre", "lookahead"])
def test_the_routing_that_was_asked_for_is_used(method: str) -> None:
    """Each finds its own way, and all of them stay on the couplings."""
    compiled = compile_for(qft(5), device("FakeManilaV2"), 1, routing_method=method, layout=(0, 1, 2, 3, 4))

    assert is_isa(compiled.circuit, device("FakeManilaV2"))


def test_routing_that_may_not_happen_is_refused_where_it_must() -> None:
    """`none` is a promise that the circuit fits as it is."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 2)

    with pytest.raises(UnsupportedCircuit, match="circuit 'circuit' cannot be compiled for this target"):
        compile_for(canonical(circuit), device("FakeManilaV2"), 1, routing_method="none", layout=(0, 1, 2))


def test_a_trivial_layout_is_the_identity() -> None:
    """Another method may place the circuit on better qubits."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.cx(1, 2)

    compiled = compile_for(canonical(circuit), device("FakeManilaV2"), 0, layout_method="trivial")

    assert compiled.layout == [0, 1, 2]


def test_equal_circuits_compile_equally_and_other_seeds_otherwise() -> None:
    """Without a seed nothing could be cached or repeated."""
    target = device("FakeBrisbane")

    again = {compile_for(qft(8), target, 2).facts["isa"] for _ in range(5)}
    others = {compile_for(qft(8), target, 2, seed=seed).facts["isa"] for seed in range(4)}

    assert len(again) == 1
    assert len(others) > 1


def test_parameters_survive_and_are_bound_after() -> None:
    """One transpilation serves a sweep of a thousand bindings."""
    circuit = QuantumCircuit(3)
    theta, phi = Parameter("theta"), Parameter("phi")
    circuit.ry(theta, 0)
    circuit.rzz(2 * phi + theta, 0, 2)
    circuit.rx(phi, 1)

    compiled = compile_for(canonical(circuit), perfect("FakeManilaV2"), 2)

    small, active = squeeze(compiled.circuit, keep=compiled.layout or ())
    bound = small.assign_parameters({"p0": 0.3, "p1": 0.8})
    truth = circuit.assign_parameters({theta: 0.3, phi: 0.8})
    assert {parameter.name for parameter in compiled.circuit.parameters} == {"p0", "p1"}
    assert compiled.layout is not None
    places = [active.index(qubit) for qubit in compiled.layout]
    state = Operator(bound).data[:, 0].reshape((2,) * len(active))
    moved = np.moveaxis(state, [len(active) - 1 - place for place in places], [2, 1, 0]).reshape(8, -1)[:, 0]
    assert abs(np.vdot(moved, Operator(truth).data[:, 0])) == pytest.approx(1.0)


def idling() -> QuantumCircuit:
    """One qubit works while another, in superposition, waits for it."""
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    for _ in range(6):
        circuit.cx(0, 1)
        circuit.rx(0.3, 1)
    circuit.cx(1, 2)
    circuit.measure_all()
    return canonical(circuit)


@pytest.mark.parametrize(("sequence", "period"), [("XX", 2), ("XpXm", 2), ("XY4", 4)])
def test_decoupling_fills_idle_windows_and_changes_no_meaning(sequence: str, period: int) -> None:
    """More pulses in the device's own gates, a whole number of sequences, and the same counts without noise."""
    target = perfect("FakeManilaV2")
    plain = compile_for(idling(), target, 1, layout=(0, 1, 2))

    decoupled = compile_for(idling(), target, 1, layout=(0, 1, 2), dynamical_decoupling=sequence)

    pulses = decoupled.circuit.count_ops()["x"] - plain.circuit.count_ops().get("x", 0)
    assert pulses > 0
    assert pulses % period == 0
    assert decoupled.circuit.count_ops()["delay"] > 0
    assert is_isa(decoupled.circuit, target)
    assert decoupled.facts["two_qubit_gates"] == plain.facts["two_qubit_gates"]
    bare = [
        squeeze(compiled.circuit)[0].remove_final_measurements(inplace=False)
        for compiled in (plain, decoupled)
    ]
    assert Operator(bare[0]).equiv(Operator(bare[1]))


def test_decoupling_without_durations_is_refused() -> None:
    """A simulator has no idle time."""
    with pytest.raises(UnsupportedCircuit, match="dynamical decoupling needs a target with gate durations"):
        compile_for(idling(), describe_simulator("statevector"), dynamical_decoupling="XX")


def branching() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(2)
    with otherwise:
        circuit.cx(1, 2)
    circuit.reset(1)
    with circuit.switch(circuit.cregs[0]) as case:
        with case(1):
            circuit.h(1)
        with case(case.DEFAULT):
            circuit.x(1)
    circuit.measure([1, 2], [1, 2])
    return circuit


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_dynamic_circuits_stay_dynamic(level: int) -> None:
    """Never flattened in silence, and their blocks are in the device's gates too."""
    target = perfect("FakeBrisbane")

    compiled = compile_for(canonical(branching()), target, level)

    assert {"if_else", "switch_case", "reset"} <= set(compiled.circuit.count_ops())
    assert is_isa(compiled.circuit, target)


@pytest.mark.parametrize("method", ["statevector", "stabilizer", "matrix_product_state"])
def test_every_kind_of_branch_compiles_for_a_simulator(method: str) -> None:
    """And needs no layout there."""
    compiled = compile_for(canonical(branching()), describe_simulator(method))

    assert {"if_else", "switch_case", "reset"} <= set(compiled.circuit.count_ops())
    assert compiled.layout is None


def _too_wide() -> QuantumCircuit:
    return QuantumCircuit(6)


def _with_variable() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.add_var("flag", expr.lift(False, types.Bool()))
    return circuit


def _looping() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_too_wide, "circuit 'circuit' needs 6 qubits; the target has 5: choose a wider target"),
        (_with_variable, "declares real-time variables, which the target cannot hold: use classical bits"),
        (_looping, "cannot be compiled for this target"),
    ],
)
def test_what_the_target_cannot_hold_is_refused(make: Any, problem: str) -> None:
    """Named with its limit; Manila knows no `while`."""
    with pytest.raises(UnsupportedCircuit, match=problem):
        compile_for(canonical(make()), device("FakeManilaV2"), 1)


def test_a_delay_between_two_ticks_is_refused_with_the_tick() -> None:
    """Qiskit speaks of a pass that was not run."""
    circuit = QuantumCircuit(1)
    circuit.delay(200, 0)

    with pytest.raises(UnsupportedCircuit, match=r"its delays must be multiples of 16 dt \(dt is 2.2"):
        compile_for(canonical(circuit), device("FakeManilaV2"), 1)


@pytest.mark.parametrize(("delay", "unit", "ticks"), [(200, "ns", 50), (1.5, "us", 375), (208, "dt", 208)])
def test_a_delay_is_as_long_as_it_was_asked_for(delay: float, unit: str, ticks: int) -> None:
    """On a device with ticks of 4 ns."""
    circuit = QuantumCircuit(1)
    circuit.delay(delay, 0, unit=unit)

    compiled = compile_for(canonical(circuit), device("FakeTorino"), 1)

    assert [item.operation.duration for item in compiled.circuit.data if item.name == "delay"] == [ticks]


def test_dead_couplings_are_named() -> None:
    """27 of 68 snapshots hold errors of 0.5 or more; all 144 couplings of Kyoto do."""
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)

    dead = compile_for(canonical(circuit), device("FakeKyoto"), 0)
    alive = compile_for(canonical(circuit), device("FakeManilaV2"), 1)

    assert len(dead.facts["unusable"]) == 1
    assert alive.facts["unusable"] == []


@pytest.mark.parametrize("level", [2, 3])
def test_diagonal_gates_before_a_measurement_are_kept(level: int) -> None:
    """An estimate removes the measurement, and then they matter."""
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.s(0)
    circuit.measure(0, 0)

    found = Simulation(level=level).estimate(circuit, ["Y", "X"])

    assert found["evs"] == pytest.approx([1.0, 0.0], abs=1e-9)


def test_a_target_survives_its_document() -> None:
    """Rebuilt from the document, it compiles to the same circuit."""
    document = device("FakeTorino")

    again = TargetDocument.read(document.model_dump_json())

    assert again == document
    assert compile_for(qft(4), again, 2).facts["isa"] == compile_for(qft(4), document, 2).facts["isa"]
    assert math.isclose(build_target(again).dt, document.dt or 0.0)
