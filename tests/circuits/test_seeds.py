"""However a job is cut, its shots are those of one Aer call over everything."""

import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator

from circuits.seeds import GROUP_STRIDE, STRIDE, base_at, stretches
from qurable.contracts.jobs import MAX_SEED, Method
from qurable.contracts.pubs import MAX_SHOTS
from tests.circuits.devices import device
from tests.circuits.running import Simulation

ANGLES = [[0.3], [1.1], [2.0], [0.7], [2.9]]


def turning(*, dynamic: bool = False) -> QuantumCircuit:
    """Three qubits that depend on an angle; some of them measured on the way, if asked."""
    circuit = QuantumCircuit(3, 3)
    theta = Parameter("theta")
    for qubit in range(3):
        circuit.ry(theta, qubit)
    circuit.cx(0, 1)
    if dynamic:
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.h(2)
    circuit.measure(range(3), range(3))
    return circuit


def directly(circuits: list[QuantumCircuit], seed: int, shots: int, method: str) -> list[list[int]]:
    """Outcomes in shot order of each circuit of one Aer call."""
    simulator = AerSimulator(method=method)
    ready = [transpile(circuit, simulator, optimization_level=0) for circuit in circuits]
    result = simulator.run(ready, shots=shots, seed_simulator=seed, memory=True).result()
    return [[int(word, 2) for word in result.get_memory(at)] for at in range(len(circuits))]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("method", ["statevector", "matrix_product_state"])
def test_binding_i_runs_with_the_seed_of_experiment_i(dynamic: bool, method: str) -> None:
    """So that a job's counts are those of a direct call, to the shot."""
    circuit = turning(dynamic=dynamic)

    ours = Simulation(method=Method(method)).sample(circuit, ANGLES, shots=200, seed=11)
    theirs = directly([circuit.assign_parameters(row) for row in ANGLES], 11, 200, method)

    assert ours[..., 0].tolist() == theirs


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("cuts", [(0, 5), (0, 1, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)])
def test_pieces_are_the_whole(dynamic: bool, cuts: tuple[int, ...]) -> None:
    """Resumed after a crash, or shared among children, the shots stay the same."""
    simulation, circuit = Simulation(), turning(dynamic=dynamic)

    whole = simulation.sample(circuit, ANGLES, seed=5)
    pieces = [simulation.sample(circuit, ANGLES, seed=5, part=part) for part in itertools.pairwise(cuts)]

    assert np.array_equal(np.concatenate(pieces), whole)


def test_pieces_of_an_estimate_are_the_whole() -> None:
    """Every group of observables has seeds of its own."""
    circuit = turning()
    observables = [["ZZZ"], ["XXI"], [{"IYI": 0.5, "ZIZ": 1.0}]]

    whole = Simulation().estimate(circuit, observables, ANGLES, shots=300)
    pieces = [
        Simulation().estimate(circuit, observables, ANGLES, shots=300, part=part) for part in [(0, 2), (2, 5)]
    ]

    values = np.full(15, np.nan)
    for piece in pieces:
        values[piece["index"]] = piece["evs"]
    assert np.array_equal(values, whole["evs"][np.argsort(whole["index"])])


def test_groups_of_a_noisy_estimate_share_no_shot() -> None:
    """Aer gives trajectory j its run's seed plus j: with neighbouring seeds, two groups would be one sample."""
    circuit = QuantumCircuit(1)
    circuit.x(0)
    noisy = Simulation(device=device("FakeManilaV2"), method=Method.STATEVECTOR)

    values = [noisy.estimate(circuit, ["X", "Y"], shots=1000, seed=seed)["evs"] for seed in range(20)]

    first, second = np.array(values).T
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.7


def test_no_group_comes_near_the_seeds_of_another() -> None:
    """The widest job has a million bindings and a million shots."""
    assert GROUP_STRIDE > MAX_SEED + STRIDE * 1_000_000 + MAX_SHOTS
    assert STRIDE == 2113


def test_seeds_of_their_own_cut_a_pub_where_one_call_would_not_give_them() -> None:
    """Each stretch is a call whose base gives binding j the base + 2113 j."""
    seeds = [5, 5 + STRIDE, 5 + 2 * STRIDE, 9, 9 + STRIDE, 9]

    found = list(stretches(seeds, len(seeds)))

    assert found == [(0, 3), (3, 5), (5, 6)]
    assert [
        base_at(0, seeds, first) + STRIDE * at for first, end in found for at in range(first, end)
    ] == seeds
    assert list(stretches((), 4)) == [(0, 4)]
    assert list(stretches((), 0)) == []
    assert base_at(7, (), 3) == 7
