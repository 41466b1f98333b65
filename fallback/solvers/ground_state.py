"""Lowest energies of up to 18 qubits, by Lanczos iteration on the sparse matrix (scipy's eigsh)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from circuits.fermions import Product
from fallback.solvers.hamiltonians import (
    count_flips,
    is_real,
    noise,
    products_of,
    too_large,
    width,
    written_out,
)
from fallback.solvers.protocol import Fit, ProblemPayload, Solution, unfit, versions_of
from isolation.limits import MIB
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.problems import FermionicHamiltonian, PauliHamiltonian, Problem, ProblemAnswer, Sense
from qurable.errors import ExecutionFailed

_MAX_QUBITS = 18
_MAX_ENTRIES = 80_000_000
_DENSE_QUBITS = 6
_BYTES_PER_ENTRY = 20
_VECTORS = 24
_SECONDS_PER_ENTRY = 4e-7
_SECONDS_PER_PRODUCT = 1e-4


class GroundState:
    """The solver."""

    name = "ground_state"
    needs: Sequence[str] = ("scipy",)
    distributions: Sequence[str] = ("numpy", "scipy")
    description = "exact lowest energies of Pauli and fermionic Hamiltonians up to 18 qubits"

    def fits(self, problem: Problem) -> Fit:
        """Hamiltonians of up to 18 qubits whose matrix has at most 80 million entries."""
        refused = too_large(problem, "exact diagonalisation")
        if refused is not None:
            return refused
        assert isinstance(problem, PauliHamiltonian | FermionicHamiltonian)  # noqa: S101  as just seen
        qubits = width(problem)
        if qubits > _MAX_QUBITS:
            return unfit(
                f"the Hamiltonian has {qubits} qubits, exact diagonalisation takes {_MAX_QUBITS} at most: "
                "a chain goes to classical:dmrg"
            )
        entries = 2**qubits * count_flips(problem)
        if entries > _MAX_ENTRIES:
            return unfit(
                f"the Hamiltonian's matrix has about {entries:,} entries, exact diagonalisation takes {_MAX_ENTRIES:,} at most: "
                "leave out small terms or freeze orbitals"
            )
        return Fit(
            suits=True,
            because=f"its matrix has 2^{qubits} rows and at most {entries:,} entries",
            memory_bytes=256 * MIB + entries * _BYTES_PER_ENTRY + _VECTORS * 16 * 2**qubits,
            seconds=0.5 + _SECONDS_PER_ENTRY * entries + _SECONDS_PER_PRODUCT * written_out(problem),
            certain=True,
        )

    def solve(self, task: ProblemPayload) -> Solution:
        """The energy, with the norm of its residual.

        Raises:
            RequestRejected: The terms do not add up to a Hermitian operator.
            ExecutionFailed: The iteration did not converge.
        """
        problem = task.problem
        assert isinstance(problem, PauliHamiltonian | FermionicHamiltonian)  # noqa: S101  `fits` has seen to it
        products = products_of(problem) or {(): 0.0}
        sign = -1.0 if problem.sense is Sense.MAXIMIZE else 1.0
        matrix = sign * sparse_matrix(products, width(problem))
        energy, residual = _lowest(matrix, task.seed)
        residual = max(residual, noise(products))
        confidence = Confidence(
            kind=ConfidenceKind.TRUNCATION_BOUND,
            value=residual,
            interval=(sign * energy - residual, sign * energy + residual),
            basis="the norm of (H - E) v: an eigenvalue lies within it of the energy; that it is the lowest one is "
            "Lanczos's doing, from a random start",
        )
        return Solution(
            answer=ProblemAnswer(kind=problem.kind, sense=problem.sense, objective=sign * energy),
            confidence=confidence,
            method="exact diagonalisation",
            because=f"Lanczos on a matrix of 2^{width(problem)} rows and {matrix.nnz:,} entries",
            versions=versions_of(self.distributions),
        )


def sparse_matrix(products: dict[Product, float], qubits: int) -> Any:
    """The Hamiltonian as scipy's compressed rows; row and column k hold the state whose bit q is qubit q.

    Products that flip the same qubits share their entries, and their signs over all states are one Walsh-Hadamard
    transform: P = i^(number of Ys) X^flips Z^signs.
    """
    from scipy.sparse import csr_array

    real = is_real(products)
    kind = np.float64 if real else np.complex128
    by_flips: dict[int, dict[int, complex]] = {}
    for product, factor in products.items():
        flips = sum(1 << qubit for qubit, letter in product if letter in "XY")
        signs = sum(1 << qubit for qubit, letter in product if letter in "YZ")
        ys = sum(letter == "Y" for _, letter in product)
        by_flips.setdefault(flips, {})[signs] = factor * 1j**ys
    size, columns = 2**qubits, len(by_flips)
    states = np.arange(size, dtype=np.int32)
    data = np.empty((size, columns), dtype=kind)
    indices = np.empty((size, columns), dtype=np.int32)
    for at, (flips, factors) in enumerate(sorted(by_flips.items())):
        weights = np.zeros(size, dtype=kind)
        for signs, phased in factors.items():
            weights[signs] = phased.real if real else phased
        _transform(weights)
        indices[:, at] = states ^ flips
        data[:, at] = weights[indices[:, at]]
    starts = np.arange(0, size * columns + 1, columns, dtype=np.int32)
    return csr_array((data.ravel(), indices.ravel(), starts), shape=(size, size))


def _transform(values: npt.NDArray[Any]) -> None:
    """Walsh-Hadamard transform in place: entry k becomes the sum of entries z with the sign (-1)^(ones in k and z)."""
    length = 1
    while length < len(values):
        pairs = values.reshape(-1, 2, length)
        lower, upper = pairs[:, 0].copy(), pairs[:, 1].copy()
        pairs[:, 0], pairs[:, 1] = lower + upper, lower - upper
        length *= 2


def _lowest(matrix: Any, seed: int) -> tuple[float, float]:
    """The lowest eigenvalue, and the norm of its vector's residual."""
    from scipy.sparse.linalg import ArpackError, eigsh

    size = matrix.shape[0]
    if not matrix.count_nonzero():  # terms cancel each other, and Lanczos has nothing to start from
        return 0.0, 0.0
    if size <= 2**_DENSE_QUBITS:
        values, vectors = np.linalg.eigh(matrix.toarray())
    else:
        start = np.random.default_rng(seed).standard_normal(size).astype(matrix.dtype)
        try:
            values, vectors = eigsh(matrix, k=1, which="SA", v0=start, ncv=min(size - 1, 20))
        except ArpackError as failure:
            raise ExecutionFailed(f"the Lanczos iteration did not converge: {failure}") from None
    vector = vectors[:, 0]
    return float(values[0]), float(np.linalg.norm(matrix @ vector - values[0] * vector))
