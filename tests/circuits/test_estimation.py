"""Expectation values are those of the state, in virtual qubits, whatever the layout; error bars are honest."""

import random
from collections.abc import Mapping

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from circuits.estimation import estimate_from_shots, group_products, measured_in, on_busy_qubits
from qurable.contracts.jobs import Method
from qurable.contracts.observables import Observable
from tests.circuits.devices import perfect
from tests.circuits.running import Simulation


def entangling(draw: random.Random, width: int) -> QuantumCircuit:
    """Some rotations and CNOTs on some of the qubits; the others stay idle."""
    circuit = QuantumCircuit(width)
    used = draw.sample(range(width), draw.randint(2, width))
    for _ in range(draw.randint(2, 8)):
        if draw.random() < 0.5:
            circuit.u(*(draw.uniform(0.3, 2.5) for _ in range(3)), draw.choice(used))
        else:
            circuit.cx(*draw.sample(used, 2))
    return circuit


def labels(draw: random.Random, width: int, number: int) -> list[str]:
    return ["".join(draw.choice("IIXYZ") for _ in range(width)) for _ in range(number)]


@pytest.mark.parametrize("method", [Method.STATEVECTOR, Method.MATRIX_PRODUCT_STATE, Method.DENSITY_MATRIX])
@pytest.mark.parametrize("seed", range(30))
def test_exact_values_are_those_of_the_state(method: Method, seed: int) -> None:
    """Whatever part of it an observable looks at."""
    draw = random.Random(seed)
    circuit = entangling(draw, draw.randint(2, 5))
    asked = labels(draw, circuit.num_qubits, draw.choice([1, 1, 4]))

    found = Simulation(method=method).estimate(circuit, asked)

    state = Statevector(circuit)
    exact = [state.expectation_value(SparsePauliOp(label)).real for label in asked]
    assert found["evs"] == pytest.approx(exact, abs=1e-9)
    assert not found["stds"].any()


@pytest.mark.parametrize("method", [Method.STATEVECTOR, Method.MATRIX_PRODUCT_STATE, Method.DENSITY_MATRIX])
@pytest.mark.parametrize("spare", range(4))
def test_a_qubit_that_an_observable_does_not_depend_on_is_not_mixed_up(method: Method, spare: int) -> None:
    """Aer leaves such a qubit out and then looks at another one (its issue 2442)."""
    first, second, third = (qubit for qubit in range(4) if qubit != spare)
    circuit = QuantumCircuit(4)
    circuit.ry(0.3, first)
    circuit.cx(first, second)
    circuit.ry(0.5, third)
    circuit.rx(2.0, spare)

    for qubit, value in {first: np.cos(0.3), second: np.cos(0.3), third: np.cos(0.5)}.items():
        asked = "".join("Z" if at == qubit else "I" for at in reversed(range(4)))
        assert Simulation(method=method).estimate(circuit, asked)["evs"] == pytest.approx([value])


@pytest.mark.parametrize("shots", [0, 40_000])
def test_idle_qubits_cost_nothing(shots: int) -> None:
    """Thirty of them would take a statevector of 16 GiB; they are |0>."""
    circuit = QuantumCircuit(33)
    circuit.ry(0.3, 0)
    circuit.ry(1.1, 17)
    asked = ["Z" * 33, "X" + "I" * 32, {"I" * 15 + "Z" * 18: 2.0}]

    found = Simulation().estimate(circuit, asked, shots=shots)

    exact = [np.cos(0.3) * np.cos(1.1), 0.0, 2 * np.cos(0.3) * np.cos(1.1)]
    assert found["evs"] == pytest.approx(exact, abs=0.05 if shots else 1e-9)


def test_an_observable_is_reduced_to_busy_qubits() -> None:
    """Products that become equal add up."""
    observable = {((0, "X"), (2, "Z")): 1.0, ((0, "X"),): 0.5, ((0, "X"), (2, "Y")): 9.0, ((2, "Z"),): 3.0}

    assert on_busy_qubits(observable, {0}) == {((0, "X"),): 1.5, (): 3.0}


@pytest.mark.parametrize("name", ["FakeBrisbane", "FakeTorino"])
def test_observables_follow_the_layout_on_a_wide_device(name: str) -> None:
    """Asymmetric Z terms on five of 127 qubits, in places that are nowhere in order; both broadcasting shapes."""
    circuit = QuantumCircuit(5)
    theta = Parameter("theta")
    for qubit in range(5):
        circuit.ry(theta * (qubit + 1), qubit)
    circuit.cx(0, 3)
    circuit.cz(1, 4)
    layout = (41, 20, 33, 22, 39)
    observables = [["IIIIZ", "IIZIZ"], ["ZIIII", "IZIIZ"], [{"IIIZI": 2.0, "XIIII": -1.0}, "IIZII"]]
    angles = [[0.2], [0.5]]

    routed = Simulation(device=perfect(name), level=1, transpile={"layout": layout})
    found = routed.estimate(circuit, observables, angles)
    direct = Simulation().estimate(circuit, observables, angles)

    assert found["index"].tolist() == direct["index"].tolist()
    assert found["evs"] == pytest.approx(direct["evs"], abs=1e-9)


def test_groups_commute_qubit_by_qubit_and_hold_every_product() -> None:
    """Equal inputs in any order give equal groups, or the same seed would give other values."""
    draw = random.Random(1)
    products = [
        tuple((qubit, letter) for qubit, letter in enumerate(label) if letter != "I")
        for label in labels(draw, 5, 40)
    ]

    groups = group_products(products)

    assert {product for group in groups for product in group.products} == set(products) - {()}
    assert all(
        group.basis[qubit] == letter
        for group in groups
        for product in group.products
        for qubit, letter in product
    )
    assert group_products(reversed(products)) == groups


@pytest.mark.parametrize("letter", "XYZ")
@pytest.mark.parametrize(
    "native", [frozenset(), frozenset({"rz", "sx", "x", "ecr"}), frozenset({"h", "sdg"})]
)
def test_a_rotation_maps_a_pauli_to_z(letter: str, native: frozenset[str]) -> None:
    """In the device's own gates, as it is noisy too."""
    (group,) = group_products([((0, letter),)])
    measured = measured_in(QuantumCircuit(1), group, native)
    rotation = measured.remove_final_measurements(inplace=False)
    turn = Operator(rotation)

    assert Operator(turn.adjoint() @ Operator.from_label("Z") @ turn).equiv(Operator.from_label(letter))
    assert np.allclose(
        (turn.adjoint() @ Operator.from_label("Z") @ turn).data, Operator.from_label(letter).data
    )
    assert not native or {item.name for item in rotation.data} <= native


@pytest.mark.parametrize(
    "observable",
    [{"ZZ": 1.0, "XI": 0.5, "IX": -0.5}, {"XY": 1.0, "ZI": 2.0, "II": 3.0}, {"0I": 1.0, "+1": 1.0}],
)
def test_error_bars_cover_the_truth_as_often_as_they_say(observable: Mapping[str, float]) -> None:
    """One standard error should hold about two of three, three nearly all."""
    circuit = QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.rx(1.2, 1)
    circuit.cx(0, 1)
    simulation, contract = Simulation(), Observable.model_validate(dict(observable))
    (exact,) = simulation.estimate(circuit, contract)["evs"]

    runs = [simulation.estimate(circuit, contract, shots=200, seed=1000 * seed) for seed in range(60)]

    pulls = np.array([(run["evs"][0] - exact) / run["stds"][0] for run in runs])
    assert 28 <= (abs(pulls) < 1).sum() <= 54
    assert (abs(pulls) < 3.5).all()
    assert abs(pulls.mean()) < 0.5


def test_equal_outcomes_prove_no_certainty() -> None:
    """A standard error of 0 after ten shots would be a lie."""
    (group,) = group_products([((0, "Z"),)])

    value, error = estimate_from_shots({((0, "Z"),): 1.0}, [group], [np.zeros((10, 1), dtype=np.uint8)])

    assert value == 1.0
    assert 0.05 < error < 0.3


def test_final_measurements_do_not_disturb_the_value() -> None:
    """A Bell state measured at its end gave 0 for XX, truth 1."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()

    assert Simulation().estimate(circuit, ["XX"])["evs"] == pytest.approx([1.0])
