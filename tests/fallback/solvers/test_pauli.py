"""Expectation values by Pauli propagation: the bound holds, always."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import efficient_su2

from fallback.solvers.pauli import PauliSolver
from fallback.solvers.tasks import pauli
from fallback.solvers.tasks.pauli import simulate
from qurable.contracts.confidence import ConfidenceKind
from qurable.errors import UnsupportedCircuit
from tests.circuits.running import Simulation
from tests.fallback.solvers.circuits_to_solve import ansatz, brick, exact, measured, random_clifford

PROPAGATION = Simulation(task=simulate, target=PauliSolver.target)


def _family() -> list[tuple[str, QuantumCircuit]]:
    free = efficient_su2(8, reps=3)
    generator = np.random.default_rng(5)
    bound = free.assign_parameters(generator.uniform(-math.pi, math.pi, free.num_parameters))
    toffoli = QuantumCircuit(8)
    for qubit in range(8):
        toffoli.ry(0.3 + qubit, qubit)
    toffoli.ccx(0, 1, 2)
    toffoli.cswap(3, 4, 5)
    toffoli.cp(0.7, 6, 7)
    toffoli.u(0.1, 0.2, 0.3, 4)
    toffoli.t(2)
    return [
        ("brick", brick(8, 6, 1)),
        ("weak", brick(8, 6, 2, strength=0.1)),
        ("su2", bound),
        ("clifford", random_clifford(8, 3)),
        ("toffoli", toffoli),
    ]


TERMS = {"ZIIIIIIZ": 1.0, "IXXIIIII": -0.5, "IIIIYYII": 0.25, "IIIIIIII": 2.0}


@pytest.mark.parametrize(("name", "circuit"), _family(), ids=[name for name, _ in _family()])
@pytest.mark.parametrize("terms", [20, 200, 100_000])
def test_the_truth_lies_within_the_bound(
    name: str, circuit: QuantumCircuit, terms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few terms are kept; with many, the value is the exact one."""
    monkeypatch.setattr(pauli, "_TERMS", (terms,))

    arrays, notes = PROPAGATION.answer(measured(circuit), None, [TERMS], shots=0)

    truth, record = exact(circuit, TERMS), notes["confidence"]
    assert record["kind"] == ConfidenceKind.TRUNCATION_BOUND
    assert abs(arrays["evs"][0] - truth) <= record["value"]
    assert record["interval"][0] <= truth <= record["interval"][1]
    if terms == 100_000:
        assert record["value"] < 1e-8, name
    assert notes["error_origin"] == "truncation"
    assert arrays["stds"].tolist() == [0.0]


def test_few_terms_are_told_from_many() -> None:
    """A bound that were always 0 would hold for the exact cases and be a lie for the others."""
    _, notes = PROPAGATION.answer(brick(8, 6, 1), None, [TERMS], shots=1)

    assert notes["terms"] <= 1_000
    assert notes["confidence"]["value"] > 0


def test_more_terms_are_kept_until_the_precision_is_reached() -> None:
    """What is asked decides the effort."""
    circuit = brick(10, 8, 1)
    rough = PROPAGATION.answer(circuit, None, ["IIIIZIIIII"], shots=1)[1]
    fine = PROPAGATION.answer(circuit, None, ["IIIIZIIIII"], shots=1_000_000)[1]

    assert rough["confidence"]["value"] <= 1.0
    assert fine["confidence"]["value"] <= 1e-3
    assert fine["terms"] > rough["terms"]


def test_bindings_and_observables_are_broadcast_against_each_other() -> None:
    """Two bindings as a column against a row of three observables; the record names its element."""
    circuit = ansatz(4)
    values = np.array([[[0.1, 0.2, 0.3]], [[0.4, 0.5, 0.6]]])
    labels = ["XXXX", "IZZI", "ZIII"]

    arrays, notes = PROPAGATION.answer(circuit, values, [labels], shots=0)

    table = np.full((2, 3), np.nan)
    table.ravel()[arrays["index"]] = arrays["evs"]
    for row, angles in enumerate(values[:, 0]):
        state = circuit.assign_parameters(dict(zip(circuit.parameters, angles, strict=True)))
        assert table[row] == pytest.approx([exact(state, {label: 1.0}) for label in labels], abs=1e-9)
    assert notes["confidence"]["element"] in range(6)


def test_an_observable_of_idle_qubits_alone_has_its_value() -> None:
    """Nothing is propagated where nothing happens."""
    circuit = QuantumCircuit(3)
    circuit.rx(0.3, 0)
    empty = QuantumCircuit(2)

    assert PROPAGATION.estimate(circuit, ["ZII", "IXI"])["evs"].tolist() == [1.0, 0.0]
    assert PROPAGATION.estimate(empty, ["ZZ", "XI"])["evs"].tolist() == [1.0, 0.0]


def test_fifty_qubits_that_no_statevector_holds() -> None:
    """A weakly coupled chain: every value within its bound of the matrix product state's."""
    circuit = brick(50, 6, 3, strength=0.2)
    label = "I" * 25 + "Z" + "I" * 24

    arrays, notes = PROPAGATION.answer(circuit, None, [label], shots=1_000_000)
    chain = Simulation().estimate(circuit, [label])["evs"][0]

    assert abs(arrays["evs"][0] - chain) <= notes["confidence"]["value"] + 1e-9


def test_what_is_no_expectation_value_of_a_unitary_is_refused() -> None:
    """Samples, and circuits that measure on their way."""
    dynamic = QuantumCircuit(2, 1)
    dynamic.h(0)
    dynamic.measure(0, 0)
    dynamic.cx(0, 1)
    with pytest.raises(UnsupportedCircuit, match="expectation values alone"):
        PROPAGATION.sample(measured(brick(2, 1, 1)), shots=10)
    with pytest.raises(UnsupportedCircuit, match="'measure' on the way"):
        PROPAGATION.estimate(dynamic, ["ZZ"], shots=10)
