"""Fermionic Hamiltonians as sums of Paulis, by Jordan-Wigner or parity.

Mode p is qubit p. Sources: Jordan and Wigner, Z. Phys. 47, 631 (1928); for parity, Seeley, Richard and Love,
J. Chem. Phys. 137, 224109 (2012).
"""

from collections.abc import Mapping

from qurable.contracts.problems import FermionicHamiltonian

Product = tuple[tuple[int, str], ...]
Operator = Mapping[Product, complex]

_TIMES: dict[tuple[str, str], tuple[complex, str]] = {
    ("X", "Y"): (1j, "Z"),
    ("Y", "X"): (-1j, "Z"),
    ("Y", "Z"): (1j, "X"),
    ("Z", "Y"): (-1j, "X"),
    ("Z", "X"): (1j, "Y"),
    ("X", "Z"): (-1j, "Y"),
}

_NEGLIGIBLE = 1e-12


def map_to_paulis(problem: FermionicHamiltonian) -> dict[Product, float]:
    """The Hamiltonian as Pauli products with real coefficients, the offset on the identity.

    Raises:
        ValueError: The terms do not add up to a Hermitian operator.
    """
    total: dict[Product, complex] = {(): complex(problem.offset)}
    for term in problem.terms:
        operator: Operator = {(): complex(term.coefficient)}
        for mode, kind in term.operators:
            operator = _multiply(operator, _ladder(mode, kind, problem.num_modes, problem.mapping))
        for product, factor in operator.items():
            total[product] = total.get(product, 0j) + factor
    skew = max((abs(factor.imag) for factor in total.values()), default=0.0)
    if skew > _NEGLIGIBLE:
        raise ValueError(
            f"the terms do not add up to a Hermitian operator (a coefficient of {skew:g} i is left): add the conjugates"
        )
    return {product: factor.real for product, factor in total.items() if abs(factor) > _NEGLIGIBLE}


def _ladder(mode: int, kind: str, modes: int, mapping: str) -> Operator:
    """A or a-dagger of a mode: half the sum of an X-like string and, with a sign, i times a Y-like string."""
    if mapping == "jordan_wigner":
        tail = tuple((qubit, "Z") for qubit in range(mode))
        x_like, y_like = (*tail, (mode, "X")), (*tail, (mode, "Y"))
    else:
        above = tuple((qubit, "X") for qubit in range(mode + 1, modes))
        below = ((mode - 1, "Z"),) if mode else ()
        x_like, y_like = (*below, (mode, "X"), *above), ((mode, "Y"), *above)
    sign = -1 if kind == "+" else 1
    return {x_like: 0.5 + 0j, y_like: 0.5j * sign}


def _multiply(left: Operator, right: Operator) -> Operator:
    result: dict[Product, complex] = {}
    for one, factor in left.items():
        for other, weight in right.items():
            phase, product = _product(one, other)
            result[product] = result.get(product, 0j) + phase * factor * weight
    return result


def _product(left: Product, right: Product) -> tuple[complex, Product]:
    letters = dict(left)
    phase = 1 + 0j
    for qubit, letter in right:
        before = letters.get(qubit)
        if before is None:
            letters[qubit] = letter
        elif before == letter:
            del letters[qubit]
        else:
            turn, letters[qubit] = _TIMES[before, letter]
            phase *= turn
    return phase, tuple(sorted(letters.items()))
