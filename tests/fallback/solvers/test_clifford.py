"""Clifford circuits on stim, against exact states, exact unitaries and Aer."""

import io
import math
from typing import Any

import numpy as np
import pytest
import stim
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliGate, U1Gate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from circuits.parse import dump_qpy
from circuits.statistics import bound, g_test, permutation_test
from fallback.solvers.clifford import FIXED, TURNS, CliffordSolver
from fallback.solvers.tasks.clifford import simulate, translated
from qurable.contracts.confidence import ConfidenceKind
from qurable.errors import UnsupportedCircuit
from tests.circuits.running import Simulation
from tests.fallback.solvers.circuits_to_solve import (
    ansatz,
    counted,
    exact,
    measured,
    probabilities,
    random_clifford,
)

STIM = Simulation(task=simulate, target=CliffordSolver.target)
CASES = [(qubits, seed) for qubits in (2, 3, 5, 6) for seed in range(3)]
SHOTS = 4000


def _gates() -> list[tuple[str, int | None]]:
    turns: list[tuple[str, int | None]] = [(name, turn) for name in sorted(TURNS) for turn in range(-3, 5)]
    return [*((name, None) for name in sorted(FIXED)), *turns, ("pauli", None)]


def _gate(name: str, turns: int | None) -> QuantumCircuit:
    library = get_standard_gate_name_mapping()
    if name == "pauli":
        gate = PauliGate("XYZ")
    elif turns is None:
        gate = library[name]
    else:
        gate = (U1Gate if name == "u1" else type(library[name]))(turns * math.pi / 2)
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    return circuit


@pytest.mark.parametrize(("name", "turns"), _gates())
def test_every_gate_is_the_same_in_stim(name: str, turns: int | None) -> None:
    """One wrong sign in the table would be a wrong answer without an error."""
    circuit = _gate(name, turns)
    program, _ = translated(circuit)
    program.append("I", range(circuit.num_qubits))

    assert Operator(circuit).equiv(
        Operator(np.array(program.to_tableau().to_unitary_matrix(endian="little"))), atol=1e-5
    )


@pytest.mark.parametrize(("qubits", "seed"), CASES)
def test_samples_follow_the_exact_distribution(qubits: int, seed: int) -> None:
    """By the G-test, family-wise 1e-3."""
    circuit = random_clifford(qubits, seed)
    bits = STIM.sample(measured(circuit), shots=SHOTS, seed=100 + seed)

    verdict = g_test(counted(bits[0], qubits), probabilities(circuit))

    assert verdict.p_value > bound(len(CASES))


@pytest.mark.parametrize(("qubits", "seed"), CASES)
def test_samples_of_a_broken_circuit_do_not(qubits: int, seed: int) -> None:
    """The same test has the power to find a single wrong gate."""
    circuit = random_clifford(qubits, seed)
    circuit.h(0)
    broken = circuit.copy()
    broken.h(0)
    broken.ry(math.pi / 2, qubits - 1)
    if np.allclose(probabilities(circuit), probabilities(broken)):
        pytest.skip("this gate changes nothing here")
    bits = STIM.sample(measured(broken), shots=SHOTS, seed=100 + seed)

    assert g_test(counted(bits[0], qubits), probabilities(circuit)).p_value < bound(len(CASES))


def _dynamic() -> QuantumCircuit:
    """Measures twice into one bit, resets, and reads a qubit again, out of order."""
    circuit = QuantumCircuit(3, 9)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 8)
    circuit.h(0)
    circuit.measure(0, 8)
    circuit.measure(1, 0)
    circuit.reset(1)
    circuit.cx(0, 1)
    circuit.h(2)
    circuit.measure(2, 5)
    circuit.cx(2, 0)
    circuit.measure([0, 1, 2], [3, 1, 6])
    return circuit


def test_measuring_on_the_way_and_resetting_are_as_on_aer() -> None:
    """Nine bits in two bytes, one of them written twice and two never."""
    ours = counted(STIM.sample(_dynamic(), shots=SHOTS, seed=3)[0], 9)
    aer = counted(Simulation().sample(_dynamic(), shots=SHOTS, seed=5)[0], 9)
    other = _dynamic()
    other.x(1)
    other.measure(1, 1)
    broken = counted(STIM.sample(other, shots=SHOTS, seed=3)[0], 9)

    assert permutation_test(ours, aer, seed=1).p_value > bound(1)
    assert permutation_test(broken, aer, seed=1).p_value < bound(1)


def test_a_ghz_state_of_a_thousand_qubits() -> None:
    """All shots read all zeros or all ones, at a width where no statevector would fit."""
    circuit = QuantumCircuit(1000)
    circuit.h(0)
    for qubit in range(999):
        circuit.cx(qubit, qubit + 1)

    bits = STIM.sample(measured(circuit), shots=500, seed=11)[0]

    words = {row.tobytes() for row in bits}
    assert words == {bytes(125), b"\xff" * 125}
    zeros = sum(not row.any() for row in bits)
    assert g_test(np.array([zeros, 500 - zeros]), np.array([0.5, 0.5])).p_value > bound(1)


def test_the_same_seed_gives_the_same_shots_and_a_part_is_what_it_is_in_the_whole() -> None:
    """Binding j runs with the seed of the pub plus 2113 j, wherever the work is cut."""
    circuit = measured(ansatz(3))
    values = [[0, math.pi / 2, 0], [math.pi, 0, math.pi / 4], [0, 0, 0]]
    whole = STIM.sample(circuit, values, shots=100, seed=9)

    assert (whole == STIM.sample(circuit, values, shots=100, seed=9)).all()
    assert (whole[1:] == STIM.sample(circuit, values, shots=100, seed=9, part=(1, 3))).all()
    assert (whole != STIM.sample(circuit, values, shots=100, seed=10)).any()


def test_bound_quarter_turns_are_clifford() -> None:
    """Free angles are no obstacle where what they are bound to is Clifford, also after arithmetic."""
    circuit = ansatz(3)
    values = [[math.pi / 2, math.pi, math.pi / 4], [math.pi, -math.pi / 2, math.pi / 2]]
    bits = STIM.sample(measured(circuit), values, shots=SHOTS, seed=2)

    for row, angles in zip(bits, values, strict=True):
        bound_circuit = circuit.assign_parameters(dict(zip(circuit.parameters, angles, strict=True)))
        assert g_test(counted(row, 3), probabilities(bound_circuit)).p_value > bound(2)


@pytest.mark.parametrize("angle", [0.1, math.pi / 4])
def test_other_angles_are_refused_with_the_way_out(angle: float) -> None:
    """Never a wrong answer: what is not Clifford is named."""
    with pytest.raises(UnsupportedCircuit, match=r"rx.*not Clifford.*classical:mps"):
        STIM.sample(measured(ansatz(3)), [[angle, 0, 0]], shots=10)


OBSERVABLES = [["XXX", "ZZI", "IZZ"], ["YYX", "ZIZ", "III"]]


@pytest.mark.parametrize("seed", range(8))
def test_expectation_values_are_exact(seed: int) -> None:
    """Signs included; a sum of many Paulis, one of them the identity."""
    circuit = random_clifford(4, seed)
    labels = ["".join(letters) for letters in zip("XYZI", "ZZYX", "IXYZ", "YIXZ", strict=True)]
    terms = {label: 0.5 + at for at, label in enumerate([*labels, "IIII", "ZZZZ"])}

    arrays, notes = STIM.answer(measured(circuit), None, [terms], shots=100)

    assert arrays["evs"][0] == pytest.approx(exact(circuit, terms), abs=1e-12)
    assert arrays["stds"].tolist() == [0.0]
    assert notes["error_origin"] == "exact"
    assert notes["confidence"]["kind"] == ConfidenceKind.STANDARD_ERROR
    assert notes["confidence"]["value"] == 0.0


def test_bindings_and_observables_are_broadcast_against_each_other() -> None:
    """Two bindings as a column against a row of three observables."""
    circuit = ansatz(3)
    values = np.array([[[0, math.pi / 2, 0]], [[math.pi / 2, 0, math.pi / 4]]])
    labels = OBSERVABLES[0]

    arrays = STIM.estimate(circuit, [labels], values)

    table = np.full((2, 3), np.nan)
    table.ravel()[arrays["index"]] = arrays["evs"]
    for row, angles in enumerate(values[:, 0]):
        state = circuit.assign_parameters(dict(zip(circuit.parameters, angles, strict=True)))
        assert table[row] == pytest.approx([exact(state, {label: 1.0}) for label in labels], abs=1e-12)


def test_what_a_measurement_on_the_way_leaves_of_an_observable_is_exact() -> None:
    """Measuring half of a Bell pair kills <XX> and leaves <ZZ>; a reset qubit is 0."""
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)
    circuit.barrier()
    circuit.reset(1)
    circuit.x(1)
    circuit.cx(0, 1)

    arrays = STIM.estimate(circuit, ["ZI", "IZ", "ZZ", "XX"], shots=100)

    assert arrays["evs"].tolist() == [0.0, 0.0, -1.0, 0.0]


def test_asymmetric_observables_stay_with_their_qubits_under_a_layout() -> None:
    """Virtual qubit 0 sits on place 3; idle qubits and classical registers do not matter."""
    isa = QuantumCircuit(5)
    isa.x(3)
    isa.h(1)
    events: list[dict[str, Any]] = []
    piece = {
        "pub": 0,
        "isa": "isa",
        "layout": [3, 1, 4],
        "shape": [],
        "parameters": [],
        "values": b"",
        "shots": 0,
        "dynamic": False,
        "seed": 1,
        "start": 0,
        "stop": 1,
        "observables": '{"shape":[4],"items":[{"terms":[{"pauli":"Z","qubits":[0]}]},{"terms":[{"pauli":"X","qubits":[1]}]},'
        '{"terms":[{"pauli":"ZZ","qubits":[0,2]}]},{"terms":[{"pauli":"Z","qubits":[1]}]}]}',
    }
    payload = {"kind": "estimate", "circuits": {"isa": dump_qpy(isa)}, "options": {}, "work": [piece]}

    simulate(payload, events.append)

    arrays = np.load(io.BytesIO(events[0]["data"]))
    assert arrays["evs"].tolist() == [-1.0, 1.0, -1.0, 0.0]


def test_stims_packing_is_what_is_assumed() -> None:
    """Record 0 in the lowest bit of the first byte; if that changed, every bitstring would be wrong."""
    packed = stim.Circuit("X 0 9\nM 0 1 2 3 4 5 6 7 8 9").compile_sampler(seed=1).sample(1, bit_packed=True)

    assert packed.tolist() == [[1, 2]]
