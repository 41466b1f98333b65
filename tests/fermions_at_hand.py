"""What fermions must come to, worked out without any mapping to qubits."""

from typing import Any

import numpy as np
import numpy.typing as npt

from qurable.contracts.problems import FermionicHamiltonian


def exact_spectrum(problem: FermionicHamiltonian) -> npt.NDArray[np.floating[Any]]:
    """Energies in rising order, by creation and annihilation on occupation numbers."""
    size = 2**problem.num_modes
    total = np.eye(size) * problem.offset
    for term in problem.terms:
        for state in range(size):
            occupied, sign = state, 1.0
            for mode, kind in reversed(term.operators):
                if bool(occupied >> mode & 1) == (kind == "+"):
                    sign = 0.0
                    break
                sign *= (-1) ** (occupied & ((1 << mode) - 1)).bit_count()
                occupied ^= 1 << mode
            total[occupied, state] += sign * term.coefficient
    spectrum: npt.NDArray[np.floating[Any]] = np.linalg.eigvalsh(total)
    return spectrum
