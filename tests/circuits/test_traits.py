"""What a planner is told of a circuit is true, and a bound on entanglement is never below it."""

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.library import UnitaryGate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.quantum_info import Clifford, Statevector

from circuits.traits import final_measurements, measure_traits
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.jobs import Method
from qurable.errors import CircuitRejected
from tests.circuits.running import Simulation


def traits(circuit: QuantumCircuit) -> CircuitTraits:
    """Of a circuit that is flat already."""
    return measure_traits(circuit, "circuit")


def test_sizes_count_operations_and_idle_qubits_do_not() -> None:
    """Barriers and delays touch no qubit; conditions count what is under them."""
    circuit = QuantumCircuit(5, 3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.barrier(3, 4)
    circuit.delay(10, 4)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.cz(1, 2)
        circuit.measure(1, 1)

    found = traits(circuit)

    assert (found.num_qubits, found.active_qubits, found.num_clbits) == (5, 3, 3)
    assert (found.two_qubit_gates, found.measurements, found.widest_gate) == (2, 2, 2)
    assert found.size == 8


STANDARD = get_standard_gate_name_mapping()


def _instance(name: str, angle: float) -> Gate:
    gate = STANDARD[name]
    return gate.base_class(*(angle for _ in gate.params)) if gate.params else gate


@pytest.mark.parametrize(
    "name", [name for name, gate in STANDARD.items() if isinstance(gate, Gate) and name != "global_phase"]
)
@pytest.mark.parametrize("quarters", [1, 2, 0.5])
def test_what_is_called_clifford_is(name: str, quarters: float) -> None:
    """Qiskit decides by the gate's matrix; a gate wrongly called Clifford would be run by a method that cannot."""
    gate = _instance(name, quarters * math.pi / 2)
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))

    if traits(circuit).is_clifford:
        Clifford.from_matrix(np.asarray(gate.to_matrix()))  # raises where it is none


@pytest.mark.parametrize("name", "cx cy cz swap iswap ecr dcx rxx ryy rzz rzx sxdg rx p u1".split())
@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_what_is_called_clifford_runs_as_such(name: str, quarters: int) -> None:
    """The stabilizer method knows few gates; the others are compiled to them and mean the same."""
    gate = _instance(name, quarters * math.pi / 2)
    circuit = QuantumCircuit(gate.num_qubits)
    for qubit in range(gate.num_qubits):
        circuit.h(qubit)
    circuit.s(0)
    circuit.append(gate, range(gate.num_qubits))
    assert traits(circuit).is_clifford
    observables = ["I" * (gate.num_qubits - 1) + letter for letter in "XYZ"] + ["Y" * gate.num_qubits]

    found = Simulation(method=Method.STABILIZER).estimate(circuit, observables)
    exact = Simulation(method=Method.STATEVECTOR).estimate(circuit, observables)

    assert found["evs"] == pytest.approx(exact["evs"], abs=1e-9)


def _measured_midway(circuit: QuantumCircuit) -> None:
    circuit.measure(0, 0)
    circuit.h(0)


def _reset(circuit: QuantumCircuit) -> None:
    circuit.reset(0)


def _conditional(circuit: QuantumCircuit) -> None:
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)


def _initialised_again(circuit: QuantumCircuit) -> None:
    circuit.h(0)
    circuit.initialize("1", 0)


def _measured_at_the_end(circuit: QuantumCircuit) -> None:
    circuit.measure(0, 0)
    circuit.h(1)
    circuit.barrier()
    circuit.measure(1, 1)


def _initialised(circuit: QuantumCircuit) -> None:
    circuit.initialize("1", 0)
    circuit.measure(0, 0)


@pytest.mark.parametrize(
    ("build", "dynamic"),
    [
        (_measured_midway, True),
        (_reset, True),
        (_conditional, True),
        (_initialised_again, True),
        (_measured_at_the_end, False),
        (_initialised, False),
    ],
)
def test_a_circuit_is_dynamic_where_every_shot_is_run_anew(
    build: Callable[[QuantumCircuit], None], dynamic: bool
) -> None:
    """It costs its time per shot, and has no exact value."""
    circuit = QuantumCircuit(2, 2)
    build(circuit)

    assert traits(circuit).is_dynamic == dynamic


def test_final_measurements_are_those_that_nothing_follows() -> None:
    """They tell which bit carries a variable of a problem."""
    circuit = QuantumCircuit(4, 4)
    circuit.measure(0, 3)
    circuit.measure(1, 2)
    circuit.x(1)
    circuit.measure(2, 0)
    circuit.barrier(2)

    assert final_measurements(circuit) == {0: 3, 2: 0}


_ENTANGLERS = "cx cy cz ch cs csdg csx crx cry crz cp cu cu1 cu3 rxx ryy rzz rzx ecr swap iswap dcx xx_plus_yy xx_minus_yy ccx ccz cswap rccx".split()


def _entangled(seed: int) -> QuantumCircuit:
    draw = random.Random(seed)
    width = draw.randint(4, 8)
    circuit = QuantumCircuit(width)
    for qubit in range(width):
        circuit.u(*(draw.uniform(0, 3) for _ in range(3)), qubit)
    for _ in range(draw.randint(1, 2 * width)):
        gate = _instance(draw.choice(_ENTANGLERS), draw.uniform(0.3, 2))
        circuit.append(gate, draw.sample(range(width), gate.num_qubits))
    return circuit


@pytest.mark.parametrize("seed", range(60))
def test_the_bound_on_entanglement_is_never_below_the_truth(seed: int) -> None:
    """A matrix product state planned on too small a bond would take memory that nobody granted."""
    circuit = _entangled(seed)
    state = np.asarray(Statevector(circuit).data)

    for cut, bound in enumerate(traits(circuit).schmidt_ranks_log2, start=1):
        singular = np.linalg.svd(state.reshape(-1, 2**cut), compute_uv=False)
        assert np.log2((singular > 1e-9).sum()) <= bound + 1e-9, f"cut {cut} of\n{circuit}"


def test_the_bound_is_tight_where_it_is_easy() -> None:
    """A GHZ chain of 100 qubits needs a bond of 2, and must not be taken for more."""
    circuit = QuantumCircuit(100)
    for qubit in range(99):
        circuit.cx(qubit, qubit + 1)

    assert traits(circuit).max_bond == 2


def test_a_loop_has_no_bound() -> None:
    """Its body may run any number of times."""
    circuit = QuantumCircuit(2, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.cx(0, 1)
        circuit.measure(0, 0)

    assert traits(circuit).max_bond is None


@pytest.mark.parametrize(
    "matrix", [[[np.nan, 0], [0, 1]], [[3, 0], [0, 1]], [[0, 0], [0, 0]], [[np.inf, 0], [0, 1]]]
)
def test_a_matrix_that_keeps_no_norm_is_refused(matrix: list[list[float]]) -> None:
    """Aer runs it, and its counts are wrong without a word."""
    circuit = QuantumCircuit(1, 1)
    circuit.append(UnitaryGate(np.array(matrix), check_input=False), [0])
    circuit.measure(0, 0)

    with pytest.raises(
        CircuitRejected, match="circuit 'circuit': the matrix of a gate 'unitary' is not unitary"
    ):
        traits(circuit)


@pytest.mark.parametrize("phase", [math.inf, -math.inf, math.nan])
def test_a_phase_that_overflows_is_refused(phase: float) -> None:
    """It is an angle like any other."""
    circuit = QuantumCircuit(1)
    circuit.global_phase = phase

    with pytest.raises(CircuitRejected, match=r"its global phase has the angle .*; angles must be finite"):
        traits(circuit)


def test_free_parameters_are_no_quarter_turns() -> None:
    """What they will be bound to is not known yet."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)

    assert not traits(circuit).is_clifford
    assert traits(circuit).parameters == 1
