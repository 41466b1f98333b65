"""Lowest energies of chains, by the density-matrix renormalisation group (quimb).

A chain is a Hamiltonian whose every term lies within a few neighbouring qubits, so that its matrix product operator
stays narrow. Source: White, Phys. Rev. Lett. 69, 2863 (1992); Schollwoeck, Ann. Phys. 326, 96 (2011).
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from circuits.fermions import Product
from fallback.solvers.hamiltonians import (
    is_real,
    noise,
    products_of,
    supports,
    too_large,
    width,
    written_out,
)
from fallback.solvers.protocol import Fit, ProblemPayload, Solution, unfit, versions_of
from isolation.limits import MIB
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.problems import FermionicHamiltonian, PauliHamiltonian, Problem, ProblemAnswer, Sense
from qurable.errors import UnsupportedCircuit

_MAX_QUBITS = 500
_MAX_REACH = 6
_MAX_OPERATOR_BOND = 32
_BONDS = (16, 32, 64, 128)
_SWEEPS = 30
_CUTOFF = 1e-12
_PRECISION = 1e-9
_FIRST_CALL_SECONDS = 20.0
"""What compiling quimb's kernels takes, once per child."""

_FACTORS = {"I": np.eye(2), "X": np.array([[0.0, 1.0], [1.0, 0.0]]), "Z": np.diag([1.0, -1.0])}
_I_TIMES_Y = np.array([[0.0, 1.0], [-1.0, 0.0]])
"""Real, so that products with an even number of Ys are: Y Y = -(iY)(iY)."""


class Dmrg:
    """The solver."""

    name = "dmrg"
    needs: Sequence[str] = ("quimb",)
    distributions: Sequence[str] = ("quimb", "numpy")
    description = (
        "lowest energies of chains up to 500 qubits, with the variance as estimate of the truncation"
    )

    def fits(self, problem: Problem) -> Fit:
        """Hamiltonians of 2 to 500 qubits whose terms reach over at most 6 neighbours."""
        refused = too_large(problem, "DMRG")
        if refused is not None:
            return refused
        assert isinstance(problem, PauliHamiltonian | FermionicHamiltonian)  # noqa: S101  as just seen
        qubits = width(problem)
        if not 2 <= qubits <= _MAX_QUBITS:
            return unfit(f"the Hamiltonian has {qubits} qubits, DMRG takes chains of 2 to {_MAX_QUBITS}")
        reach = 0
        for first, last in supports(problem):
            if last - first >= _MAX_REACH:
                return unfit(
                    f"the Hamiltonian is no chain: a term couples qubits {first} and {last}, DMRG takes terms within "
                    f"{_MAX_REACH} neighbouring qubits: number the qubits along the chain"
                )
            reach = max(reach, last - first + 1)
        return Fit(
            suits=True,
            because=f"a chain of {qubits} qubits whose terms reach over {reach}",
            memory_bytes=1024 * MIB + qubits * 8 * MIB,
            seconds=_FIRST_CALL_SECONDS + 0.15 * qubits * reach + 1e-4 * written_out(problem),
        )

    def solve(self, task: ProblemPayload) -> Solution:
        """The energy, with the square root of its variance.

        Raises:
            RequestRejected: The terms do not add up to a Hermitian operator.
            UnsupportedCircuit: The matrix product operator is too wide.
        """
        import quimb.tensor as qtn

        problem = task.problem
        assert isinstance(problem, PauliHamiltonian | FermionicHamiltonian)  # noqa: S101  `fits` has seen to it
        end = time.monotonic() + task.seconds
        sign = -1.0 if problem.sense is Sense.MAXIMIZE else 1.0
        products = {product: sign * factor for product, factor in products_of(problem).items()}
        constant = products.pop((), 0.0)
        qubits = width(problem)
        operator = _as_quimb(matrix_product_operator(products, qubits), "lrdu")
        kind = "float64" if is_real(products) else "complex128"
        start = qtn.MPS_rand_state(qubits, _BONDS[0] // 2, dtype=kind, seed=task.seed)
        search = qtn.DMRG2(operator, bond_dims=list(_BONDS), cutoffs=_CUTOFF, p0=start)
        converged = False
        for _ in range(_SWEEPS):
            converged = search.solve(tol=_PRECISION, max_sweeps=1, verbosity=0, suppress_warnings=True)
            if converged or time.monotonic() > end:
                break
        energy = float(np.real(search.energy))
        deviation = math.sqrt(max(0.0, _variance(search.state, products, energy, qubits)))
        deviation = max(deviation, noise(products))
        bond = search.state.max_bond()
        confidence = Confidence(
            kind=ConfidenceKind.TRUNCATION_ESTIMATE,
            value=deviation,
            basis="square root of the energy's variance: an energy level lies within it, and the lowest is not above the "
            f"value; bond dimension {bond}",
        )
        unfinished = "the sweeps did not converge: the energy is an upper bound of the lowest"
        return Solution(
            answer=ProblemAnswer(
                kind=problem.kind, sense=problem.sense, objective=sign * (energy + constant)
            ),
            confidence=confidence,
            method="DMRG",
            because=f"two-site sweeps up to bond dimension {bond}",
            warnings=() if converged else (unfinished,),
            versions=versions_of(self.distributions),
        )


def _variance(state: Any, products: dict[Product, float], energy: float, qubits: int) -> float:
    """<(H - E)^2>, with E inside the operator: the difference of two large numbers would lose its digits."""
    shifted = _as_quimb(matrix_product_operator({**products, (): -energy}, qubits), "lrud")
    moved = shifted.apply(state)
    return float(np.real(moved.H @ moved))


def _as_quimb(sites: Sequence[npt.NDArray[Any]], axes: str) -> Any:
    """For quimb: its `apply` takes "lrud" and its DMRG, which puts the state to the upper indices, "lrdu"."""
    import quimb.tensor as qtn

    trimmed = [sites[0][0], *sites[1:-1], sites[-1][:, 0]]
    return qtn.MatrixProductOperator(trimmed, shape=axes)


def matrix_product_operator(products: dict[Product, float], qubits: int) -> list[npt.NDArray[Any]]:
    """The sum of products as one tensor for each qubit, of shape (left, right, up, down).

    A state of the bond between two qubits is what a product has still to its right, so that products which end
    alike share it; beside these there are "nothing begun" and, for what has ended, the empty rest.

    Raises:
        UnsupportedCircuit: A bond has more than 32 states.
    """
    real = is_real(products)
    kind = np.float64 if real else np.complex128
    between: list[dict[Product | None, int]] = [{None: 0, (): 1} for _ in range(qubits - 1)]
    bonds: list[dict[Product | None, int]] = [{None: 0}, *between, {(): 0}]
    begins: list[list[tuple[Product, float]]] = [[] for _ in range(qubits)]
    for product, factor in sorted(products.items()):
        if not product:
            begins[0].append(((), factor))
            continue
        flipped = (-1) ** (sum(letter == "Y" for _, letter in product) // 2) if real else 1
        begins[product[0][0]].append((product, factor * flipped))
        for at in range(product[0][0], product[-1][0]):
            rest = tuple((qubit, letter) for qubit, letter in product if qubit > at)
            bonds[at + 1].setdefault(rest, len(bonds[at + 1]))
    widest = max(map(len, bonds))
    if widest > _MAX_OPERATOR_BOND:
        raise UnsupportedCircuit(
            f"the Hamiltonian's matrix product operator is {widest} wide, DMRG takes {_MAX_OPERATOR_BOND}: it couples too many "
            "neighbours",
            needed=widest,
            limit=_MAX_OPERATOR_BOND,
        )
    sites = []
    for qubit in range(qubits):
        left, right = bonds[qubit], bonds[qubit + 1]
        tensor = np.zeros((len(left), len(right), 2, 2), dtype=kind)
        for carried, row in left.items():
            if carried is not None:
                _step(tensor, row, right, carried, qubit, 1.0, real=real)
                continue
            if None in right:
                tensor[row, right[None]] += _FACTORS["I"]
            for product, factor in begins[qubit]:
                _step(tensor, row, right, product, qubit, factor, real=real)
        sites.append(tensor)
    return sites


def _step(
    tensor: npt.NDArray[Any],
    row: int,
    right: dict[Product | None, int],
    product: Product,
    qubit: int,
    factor: float,
    *,
    real: bool,
) -> None:
    """Put in what a product, begun in a row, does to one qubit, and go to what is left of it."""
    here, rest = "I", product
    if product and product[0][0] == qubit:
        here, rest = product[0][1], product[1:]
    if here == "Y":
        tensor[row, right[rest]] += factor * (_I_TIMES_Y if real else -1j * _I_TIMES_Y)
    else:
        tensor[row, right[rest]] += factor * _FACTORS[here]
