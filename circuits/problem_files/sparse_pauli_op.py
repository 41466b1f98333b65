"""A `SparsePauliOp` as JSON: `{"paulis": [label, ...], "coeffs": [number or [real, imaginary], ...]}`.

The rightmost letter of a label acts on qubit 0, as in Qiskit.
"""

import math
from typing import Any

from circuits.problem_files.documents import document
from circuits.problem_files.lines import Found
from qurable.contracts.observables import PauliTerm
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import PauliHamiltonian
from qurable.errors import RequestRejected


def read(file: ProblemFile) -> Found:
    """The Hamiltonian."""
    operator = document(file)
    paulis, coefficients = operator.get("paulis"), operator.get("coeffs")
    if not isinstance(paulis, list) or not isinstance(coefficients, list) or len(paulis) != len(coefficients):
        raise RequestRejected(
            'the sparse_pauli_op file is {"paulis": [label, ...], "coeffs": [number, ...]}, one coefficient per label'
        )
    if not paulis or not all(isinstance(label, str) for label in paulis):
        raise RequestRejected("the sparse_pauli_op file has no labels, or some that are no text")
    widths = {len(label) for label in paulis}
    if len(widths) != 1:
        raise RequestRejected(
            f"the sparse_pauli_op file has labels of different widths: {sorted(widths)[:5]}"
        )
    terms = tuple(
        PauliTerm.dense(label, _real(label, coefficient))
        for label, coefficient in zip(paulis, coefficients, strict=True)
    )
    return Found(PauliHamiltonian(num_qubits=widths.pop(), terms=terms))


def _real(label: str, coefficient: Any) -> float:
    """A coefficient without an imaginary part: with one, the operator would not be Hermitian."""
    real, imaginary = (
        coefficient if isinstance(coefficient, list) and len(coefficient) == 2 else (coefficient, 0)
    )
    if isinstance(coefficient, dict):
        real, imaginary = coefficient.get("real"), coefficient.get("imag", 0)
    if isinstance(real, bool) or not isinstance(real, int | float) or not isinstance(imaginary, int | float):
        raise RequestRejected(f"the sparse_pauli_op file: the coefficient of {label!r} is no number")
    if abs(imaginary) > 1e-12 or not math.isfinite(imaginary):
        raise RequestRejected(
            f"the sparse_pauli_op file: the coefficient of {label!r} has an imaginary part of {imaginary:g}; a Hamiltonian is "
            "Hermitian, so leave it out or add the conjugate"
        )
    return float(real)
