"""Lowest energies against dense diagonalisation, other libraries' matrices and known values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

from fallback.solvers.ground_state import sparse_matrix
from fallback.solvers.hamiltonians import count_flips, products_of
from fallback.solvers.problems import SOLVERS
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.observables import PauliTerm
from qurable.contracts.problems import FermionicHamiltonian, LadderTerm, PauliHamiltonian, Sense
from qurable.errors import RequestRejected
from tests.fallback.solvers.problems_to_solve import chain_energy, hydrogen, ising_chain, solved
from tests.fermions_at_hand import exact_spectrum

labels = st.lists(
    st.tuples(st.text("IXYZ", min_size=4, max_size=4), st.integers(-8, 8).map(lambda eighths: eighths / 4)),
    min_size=1,
    max_size=12,
)


def pauli_sum(labelled: list[tuple[str, float]], sense: Sense = Sense.MINIMIZE) -> PauliHamiltonian:
    """From labels whose rightmost letter acts on qubit 0."""
    terms = tuple(PauliTerm.dense(label, factor) for label, factor in labelled)
    return PauliHamiltonian(sense=sense, num_qubits=len(labelled[0][0]), terms=terms)


@given(labels)
@settings(max_examples=60, deadline=None)
def test_the_matrix_is_qiskits(labelled: list[tuple[str, float]]) -> None:
    """Entry by entry: signs, phases of Y, and the order of qubits."""
    problem = pauli_sum(labelled)
    matrix = sparse_matrix(products_of(problem) or {(): 0.0}, 4).toarray()

    assert np.allclose(matrix, SparsePauliOp.from_list(labelled).to_matrix(), atol=1e-12)
    assert (np.count_nonzero(matrix, axis=1) <= count_flips(problem)).all()


@pytest.mark.parametrize("sense", Sense)
def test_the_lowest_or_highest_energy_is_that_of_the_dense_matrix(sense: Sense) -> None:
    """Eight qubits go the iterative way."""
    draw = np.random.default_rng(3)
    labelled = [("".join(draw.choice(list("IXYZ"), 8)), float(draw.normal())) for _ in range(30)]
    energies = np.linalg.eigvalsh(SparsePauliOp.from_list(labelled).to_matrix())

    solution = solved("ground_state", pauli_sum(labelled, sense))

    assert solution.confidence is not None
    assert solution.answer.objective == pytest.approx(
        energies[0 if sense is Sense.MINIMIZE else -1], abs=1e-9
    )
    assert solution.confidence.kind is ConfidenceKind.TRUNCATION_BOUND
    assert solution.confidence.value < 1e-8


def test_the_ising_chain_of_fourteen_has_its_known_energy() -> None:
    """And the residual that is named bounds the error."""
    solution = solved("ground_state", ising_chain(14))

    assert solution.confidence is not None
    assert solution.answer.objective is not None
    assert solution.answer.objective == pytest.approx(-17.471004, abs=1e-6)
    assert abs(solution.answer.objective - chain_energy(14)) <= solution.confidence.value + 1e-12
    assert solution == solved("ground_state", ising_chain(14))


@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_hydrogen_has_its_energy(mapping: str) -> None:
    """In hartree, the repulsion of the nuclei included, whatever the mapping."""
    problem = hydrogen().model_copy(update={"mapping": mapping})
    occupied = exact_spectrum(problem)[0]

    energy = solved("ground_state", problem).answer.objective

    assert energy == pytest.approx(occupied, abs=1e-6)
    assert energy == pytest.approx(-1.13727, abs=1e-4)


@pytest.mark.parametrize("qubits", [2, 8])
def test_terms_that_cancel_each_other_have_no_energy(qubits: int) -> None:
    """There is nothing to iterate on, and zero is the answer."""
    letters = "Z" + "I" * (qubits - 1)

    found = solved("ground_state", pauli_sum([(letters, 0.5), (letters, -0.5)]))

    assert found.answer.objective == 0.0


def test_projectors_are_written_out() -> None:
    """0.5 (I + Z) on one qubit and 0.5 (I - X) on the other."""
    problem = PauliHamiltonian(num_qubits=2, terms=(PauliTerm(pauli="0-", qubits=(0, 1), coefficient=-3.0),))

    assert solved("ground_state", problem).answer.objective == pytest.approx(-3.0)


def test_terms_that_are_not_hermitian_are_refused() -> None:
    """An energy would be complex."""
    lonely = FermionicHamiltonian(
        num_modes=2, terms=(LadderTerm(operators=((0, "+"), (1, "-")), coefficient=1.0),)
    )

    with pytest.raises(RequestRejected, match="add the conjugates"):
        solved("ground_state", lonely)


@pytest.mark.parametrize(
    ("problem", "because"),
    [
        (ising_chain(19), "has 19 qubits, exact diagonalisation takes 18 at most"),
        (PauliHamiltonian(num_qubits=3, terms=()), "has no terms"),
        (
            PauliHamiltonian(num_qubits=40, terms=(PauliTerm(pauli="0" * 40, qubits=tuple(range(40))),)),
            "write out to 1,099,511,627,776 Pauli products",
        ),
        (
            FermionicHamiltonian(
                num_modes=10,
                terms=(LadderTerm(operators=tuple((m, "+") for m in range(10)), coefficient=1.0),),
            ),
            "has 10 ladder operators",
        ),
        (
            PauliHamiltonian(
                num_qubits=18,
                terms=tuple(
                    PauliTerm.dense("".join("IX"[at >> bit & 1] for bit in range(18))) for at in range(400)
                ),
            ),
            "matrix has about 104,857,600 entries",
        ),
    ],
)
def test_what_is_too_large_is_refused_at_once(
    problem: PauliHamiltonian | FermionicHamiltonian, because: str
) -> None:
    """A projector on forty qubits is one term and a million million Paulis."""
    fit = SOLVERS["classical:ground_state"].fits(problem)

    assert not fit.suits
    assert because in fit.because
