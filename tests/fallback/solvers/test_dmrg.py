"""Chains: the operator entry by entry, known energies, and the refusal of what is no chain."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallback.solvers.dmrg import matrix_product_operator
from fallback.solvers.ground_state import sparse_matrix
from fallback.solvers.hamiltonians import products_of
from fallback.solvers.problems import SOLVERS
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.observables import PauliTerm
from qurable.contracts.problems import FermionicHamiltonian, LadderTerm, PauliHamiltonian, Sense
from qurable.errors import UnsupportedCircuit
from tests.fallback.solvers.problems_to_solve import chain_energy, ising_chain, solved


def contracted(sites: list[Any]) -> Any:
    """The matrix of a product operator; qubit 0 is the lowest bit."""
    whole = np.ones((1, 1, 1))
    for site in sites:
        _, right, up, down = site.shape
        step = np.einsum("lab,lrud->ruadb", whole, site)
        whole = step.reshape(right, up * whole.shape[1], down * whole.shape[2])
    return whole[0]


@given(
    st.lists(
        st.tuples(st.text("IXYZ", min_size=5, max_size=5), st.integers(-4, 4).map(lambda halves: halves / 2)),
        min_size=1,
        max_size=10,
    )
)
@settings(max_examples=80, deadline=None)
def test_the_product_operator_is_the_hamiltonian(labelled: list[tuple[str, float]]) -> None:
    """Constants, shared ends, real and complex products alike."""
    terms = tuple(PauliTerm.dense(label, factor) for label, factor in labelled)
    products = products_of(PauliHamiltonian(num_qubits=5, terms=terms)) or {(): 0.0}

    matrix = contracted(matrix_product_operator(products, 5))

    assert np.allclose(matrix, sparse_matrix(products, 5).toarray(), atol=1e-12)


def test_the_ising_chain_needs_three_states_of_the_bond() -> None:
    """What is shared keeps the operator narrow, and DMRG quick."""
    sites = matrix_product_operator(products_of(ising_chain(10)), 10)

    assert max(site.shape[1] for site in sites) == 3


def test_an_operator_that_is_too_wide_is_refused() -> None:
    """Whatever the reach of its terms."""
    draw = np.random.default_rng(1)
    terms = tuple(PauliTerm.dense("".join(draw.choice(list("XYZ"), 6))) for _ in range(60))

    with pytest.raises(UnsupportedCircuit, match="couples too many neighbours"):
        matrix_product_operator(products_of(PauliHamiltonian(num_qubits=6, terms=terms)), 6)


@pytest.mark.long
def test_a_chain_of_twenty_has_its_known_energy() -> None:
    """Within the deviation that is named, and from above; the same seed gives the same digits."""
    solution = solved("dmrg", ising_chain(20))

    assert solution.confidence is not None
    assert solution.answer.objective is not None
    assert solution.answer.objective == pytest.approx(chain_energy(20), abs=1e-7)
    assert solution.answer.objective >= chain_energy(20) - 1e-10
    assert solution.confidence.kind is ConfidenceKind.TRUNCATION_ESTIMATE
    assert abs(solution.answer.objective - chain_energy(20)) <= solution.confidence.value < 1e-2
    assert solution == solved("dmrg", ising_chain(20))


@pytest.mark.long
def test_the_deviation_is_the_states_own() -> None:
    """With complex terms, and for the highest energy: on eight qubits the state is exact, and so is its energy."""
    twisted = PauliHamiltonian(
        sense=Sense.MAXIMIZE,
        num_qubits=8,
        terms=(
            *(PauliTerm(pauli=pair, qubits=(at, at + 1)) for at in range(7) for pair in ("XX", "YY", "ZZ")),
            *(
                PauliTerm(pauli="XYZ", qubits=(at, at + 1, at + 2), coefficient=0.3 + at / 10)
                for at in range(6)
            ),
            PauliTerm(pauli="Y", qubits=(3,), coefficient=0.5),
        ),
    )

    solution = solved("dmrg", twisted)

    assert solution.confidence is not None
    assert solution.answer.objective == pytest.approx(
        solved("ground_state", twisted).answer.objective, abs=1e-8
    )
    assert solution.confidence.value < 1e-3


@pytest.mark.long
def test_a_chain_of_sixty_has_its_known_energy() -> None:
    """Far beyond any diagonalisation."""
    solution = solved("dmrg", ising_chain(60), seconds=280)

    assert solution.answer.objective == pytest.approx(chain_energy(60), abs=1e-7)


def ring(qubits: int) -> PauliHamiltonian:
    """A chain whose ends touch."""
    closing = PauliTerm(pauli="ZZ", qubits=(0, qubits - 1))
    return ising_chain(qubits).model_copy(update={"terms": (*ising_chain(qubits).terms, closing)})


@pytest.mark.parametrize(
    ("problem", "because"),
    [
        (ring(30), "is no chain: a term couples qubits 0 and 29"),
        (ising_chain(501), "has 501 qubits, DMRG takes chains of 2 to 500"),
        (
            FermionicHamiltonian(num_modes=30, terms=(LadderTerm(operators=((20, "+"),), coefficient=1.0),)),
            "is no chain: a term couples qubits 0 and 20",
        ),
    ],
)
def test_what_is_no_chain_is_refused(problem: PauliHamiltonian | FermionicHamiltonian, because: str) -> None:
    """DMRG would be slow there, and wrong without saying so."""
    fit = SOLVERS["classical:dmrg"].fits(problem)

    assert not fit.suits
    assert because in fit.because


def test_hopping_fermions_are_a_chain() -> None:
    """Neighbours stay neighbours; the string of signs between them is short."""
    terms = []
    for at in range(29):
        terms += [
            LadderTerm(operators=((at, "+"), (at + 1, "-")), coefficient=-1.0),
            LadderTerm(operators=((at + 1, "+"), (at, "-")), coefficient=-1.0),
        ]
    fit = SOLVERS["classical:dmrg"].fits(
        FermionicHamiltonian(num_modes=30, terms=tuple(terms), mapping="parity")
    )

    assert fit.suits
    assert "reach over 2" in fit.because
