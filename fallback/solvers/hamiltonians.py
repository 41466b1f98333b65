"""What solvers of ground states share: how large a Hamiltonian is, and its Pauli products.

A fermionic Hamiltonian is mapped by Jordan and Wigner whatever mapping the problem names: its energies are the
same under all, and chains stay chains under this one.
"""

import math
from collections.abc import Iterator

from circuits.fermions import Product, map_to_paulis
from fallback.solvers.protocol import Fit, unfit
from qurable.contracts.observables import Observable, PauliTerm
from qurable.contracts.problems import FermionicHamiltonian, LadderTerm, PauliHamiltonian, Problem
from qurable.errors import RequestRejected

Hamiltonian = PauliHamiltonian | FermionicHamiltonian

_PROJECTORS = frozenset("01+-rl")
_MAX_PRODUCTS = 200_000
_MAX_LADDER = 8


def width(problem: Hamiltonian) -> int:
    """Qubits, or modes."""
    return problem.num_qubits if isinstance(problem, PauliHamiltonian) else problem.num_modes


def written_out(problem: Hamiltonian) -> int:
    """Pauli products that the terms are sums of, at most."""
    if isinstance(problem, PauliHamiltonian):
        return sum(2 ** min(60, sum(map(_PROJECTORS.__contains__, term.pauli))) for term in problem.terms)
    return sum(2 ** min(60, len(term.operators)) for term in problem.terms)


def too_large(problem: Problem, solver: str) -> Fit | None:
    """A refusal where the problem is of another kind, or its terms are too many to write out."""
    if not isinstance(problem, Hamiltonian):
        return unfit(f"{solver} takes Hamiltonians, and this is a {problem.kind}")
    if not problem.terms:
        return unfit("the Hamiltonian has no terms")
    products = written_out(problem)
    if products > _MAX_PRODUCTS:
        return unfit(
            f"the Hamiltonian's terms write out to {products:,} Pauli products, {solver} takes {_MAX_PRODUCTS:,} at most: "
            "leave out small terms, or write projectors as Paulis"
        )
    if isinstance(problem, FermionicHamiltonian):
        longest = max(len(term.operators) for term in problem.terms)
        if longest > _MAX_LADDER:
            return unfit(
                f"a term has {longest} ladder operators, {solver} takes {_MAX_LADDER} at most: write it as several"
            )
    return None


def supports(problem: Hamiltonian) -> Iterator[tuple[int, int]]:
    """First and last qubit of each term, under Jordan-Wigner for fermions; nothing for a constant."""
    for term in problem.terms:
        if isinstance(term, PauliTerm):
            places = [qubit for qubit, letter in zip(term.qubits, term.pauli, strict=True) if letter != "I"]
        else:
            places = [mode for mode, _ in term.operators]
            if len(places) % 2:  # its string of Zs reaches the chain's beginning
                places.append(0)
        if places:
            yield min(places), max(places)


def count_flips(problem: Hamiltonian) -> int:
    """Different sets of qubits that the terms flip, at most: entries in a row of the matrix."""
    flips: set[int] = {0}
    more = 0
    for term in problem.terms:
        if isinstance(term, LadderTerm):
            mask = 0
            for mode, _ in term.operators:
                mask ^= 1 << mode
            flips.add(mask)
            continue
        sides = sum(letter in "+-rl" for letter in term.pauli)
        if sides:
            more += 2**sides
        flips.add(
            sum(1 << qubit for qubit, letter in zip(term.qubits, term.pauli, strict=True) if letter in "XY")
        )
    return min(len(flips) + more, 1 << width(problem))


def products_of(problem: Hamiltonian) -> dict[Product, float]:
    """Pauli products with their coefficients, those that cancel left out; the constant is on the empty one.

    Raises:
        RequestRejected: The terms do not add up to a Hermitian operator.
    """
    if isinstance(problem, PauliHamiltonian):
        found: dict[Product, float] = {}
        for term in problem.terms:  # one by one, since all together may be more than one observable holds
            for product, factor in Observable(terms=(term,)).paulis().items():
                found[product] = found.get(product, 0.0) + factor
    else:
        try:
            found = map_to_paulis(problem.model_copy(update={"mapping": "jordan_wigner"}))
        except ValueError as error:
            raise RequestRejected(f"the fermionic Hamiltonian is not acceptable: {error}") from None
    largest = max(map(abs, found.values()), default=0.0)
    return {product: factor for product, factor in found.items() if abs(factor) > 1e-15 * largest}


def is_real(products: dict[Product, float]) -> bool:
    """Whether the Hamiltonian's matrix is real: every product has an even number of Ys."""
    return all(sum(letter == "Y" for _, letter in product) % 2 == 0 for product in products)


def noise(products: dict[Product, float]) -> float:
    """What rounding alone may do to an energy."""
    return 1e-14 * math.fsum(map(abs, products.values()))
