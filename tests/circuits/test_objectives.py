"""Problems as operators, and circuits built for them."""

import itertools
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator as Matrix
from qiskit.quantum_info import SparsePauliOp, Statevector

from circuits.ansatz import build
from circuits.objectives import Operator, operator_of
from circuits.problems import score
from qurable.contracts.observables import PauliTerm
from qurable.contracts.optimisations import Ansatz, AnsatzFamily
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    KernelData,
    LadderTerm,
    MaxCut,
    PauliHamiltonian,
    Qubo,
)
from qurable.errors import RequestRejected
from tests.variational_at_hand import chain, three_regular

WIDTH = 4


def _matrix(operator: Operator, qubits: int) -> Any:
    terms = [
        ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
        for product, factor in operator.items()
    ]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=qubits).to_matrix()


@pytest.mark.parametrize(
    "problem",
    [
        Qubo(linear=(1.0, -2.0, 0.5, 3.0), quadratic=((0, 1, 2.0), (3, 1, -1.5), (2, 2, 0.25)), offset=0.75),
        Ising(h=(0.5, 0.0, -1.0, 2.0), couplings=((0, 3, 1.0), (2, 1, -2.0), (1, 1, 0.5)), offset=-1.0),
        MaxCut(num_nodes=4, edges=((0, 1, 1.0), (2, 1, 2.5), (3, 0, -1.0), (1, 0, 0.5))),
    ],
    ids=lambda problem: problem.kind,
)
def test_an_operator_has_the_problem_s_own_value_on_every_assignment(problem: Qubo | Ising | MaxCut) -> None:
    """Signs, offsets, squares and doubled pairs: each would shift the objective unnoticed."""
    diagonal = np.diag(_matrix(operator_of(problem), WIDTH))

    for bits in itertools.product((0, 1), repeat=WIDTH):
        state = sum(bit << qubit for qubit, bit in enumerate(bits))
        assert diagonal[state] == pytest.approx(score(problem, bits).objective)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (KernelData(train=[[0.0]]), "kernel"),
        (Qubo(linear=(0.0, 0.0)), "constant"),
        (PauliHamiltonian(num_qubits=2, terms=()), "constant"),
        (
            FermionicHamiltonian(
                num_modes=2, terms=(LadderTerm(operators=((0, "+"), (1, "-")), coefficient=1.0),)
            ),
            "Hermitian",
        ),
    ],
)
def test_a_problem_that_no_loop_can_take_is_refused_by_its_reason(problem: Any, words: str) -> None:
    """A Hamiltonian that is not Hermitian has no energies, and a constant no slope."""
    with pytest.raises(RequestRejected, match=words):
        operator_of(problem)


def _state(circuit: QuantumCircuit, values: list[float]) -> Any:
    return Statevector(circuit.assign_parameters(values))


def test_a_layer_of_the_hamiltonian_s_ansatz_is_the_exponential_of_its_terms() -> None:
    """Whatever the letters: a wrong basis change would still be some ansatz, and a worse one."""
    terms = (
        PauliTerm(pauli="XYZ", qubits=(0, 2, 3), coefficient=0.7),
        PauliTerm(pauli="Y", qubits=(1,), coefficient=-0.4),
    )
    operator = operator_of(PauliHamiltonian(num_qubits=4, terms=terms))
    circuit = build(Ansatz(family=AnsatzFamily.HAMILTONIAN), operator, 4)
    angles = [0.3] * circuit.num_parameters

    found = Matrix(circuit.assign_parameters(angles)).data
    start = Matrix(circuit.assign_parameters([0.0] * len(angles))).data
    values, vectors = np.linalg.eigh(_matrix(operator, 4))
    expected = vectors @ np.diag(np.exp(-0.3j * values)) @ vectors.conj().T @ start

    assert found == pytest.approx(expected)


def test_the_hamiltonian_s_ansatz_begins_in_the_best_state_of_its_fields() -> None:
    """At zero angles the chain's energy is that of its transverse field alone."""
    operator = operator_of(chain(4))
    circuit = build(Ansatz(family=AnsatzFamily.HAMILTONIAN, depth=2), operator, 4)
    state = _state(circuit, [0.0] * circuit.num_parameters)

    assert circuit.num_parameters == 4
    assert np.vdot(state.data, _matrix(operator, 4) @ state.data).real == pytest.approx(-4.0)


def test_qaoa_of_one_layer_cuts_what_its_formula_says() -> None:
    """On graphs of degree 3 without triangles: 1/2 + 1/3 sqrt(3) per edge (Wang and others, Phys. Rev. A 97, 022304 (2018))."""
    problem = three_regular(6)  # without triangles
    operator = operator_of(problem)
    circuit = build(Ansatz(family=AnsatzFamily.QAOA), operator, 6)
    best = max(
        np.vdot(state.data, _matrix(operator, 6) @ state.data).real
        for gamma in np.linspace(0.4, 0.8, 9)
        for state in [_state(circuit, [gamma, np.pi / 8])]
    )

    assert best == pytest.approx(9 * (0.5 + 1 / (3 * np.sqrt(3))), abs=0.02)


def test_qaoa_refuses_an_operator_that_has_no_assignments() -> None:
    """Its phases would not be the problem's."""
    with pytest.raises(RequestRejected, match="hamiltonian"):
        build(Ansatz(family=AnsatzFamily.QAOA), operator_of(chain(3)), 3)
