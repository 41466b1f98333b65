"""Problems as operators whose expectation value a loop makes small or large.

Qubit i carries variable i. A measured 1 is the binary value 1 and the spin -1: x = (1 - Z) / 2, s = Z.
"""

from circuits.fermions import Product, map_to_paulis
from qurable.contracts.observables import Observable, PauliTerm
from qurable.contracts.problems import FermionicHamiltonian, Ising, MaxCut, PauliHamiltonian, Problem, Qubo
from qurable.errors import RequestRejected

Operator = dict[Product, float]


def operator_of(problem: Problem) -> Operator:
    """Coefficients of Pauli products, the constant on the empty one; its values are the problem's own.

    Raises:
        RequestRejected: The problem is of a kind that has none, is not Hermitian, or has no terms.
    """
    match problem:
        case Qubo():
            operator = _of_qubo(problem)
        case Ising():
            operator = _of_ising(problem)
        case MaxCut():
            operator = _of_cut(problem)
        case PauliHamiltonian():
            operator = {}
            for term in problem.terms:  # one by one: all together may be more than one observable holds
                for product, factor in Observable(terms=(term,)).paulis().items():
                    operator[product] = operator.get(product, 0.0) + factor
        case FermionicHamiltonian():
            try:
                operator = map_to_paulis(problem)
            except ValueError as error:
                raise RequestRejected(f"the fermionic Hamiltonian is not acceptable: {error}") from None
        case _:
            raise RequestRejected(
                f"a loop takes QUBO, Ising and MaxCut instances and Hamiltonians, and this is a {problem.kind}: send it as a job "
                "to a classical solver"
            )
    operator = {product: factor for product, factor in operator.items() if factor}
    if not any(operator):
        raise RequestRejected(
            f"the {problem.kind} is a constant: its value is the same whatever the parameters"
        )
    return operator


def _of_qubo(problem: Qubo) -> Operator:
    operator: Operator = {(): problem.offset}
    for variable, weight in enumerate(problem.linear):
        _add(operator, (), weight / 2)
        _add(operator, ((variable, "Z"),), -weight / 2)
    for one, other, weight in problem.quadratic:
        if one == other:  # x x = x
            _add(operator, (), weight / 2)
            _add(operator, ((one, "Z"),), -weight / 2)
            continue
        _add(operator, (), weight / 4)
        _add(operator, ((one, "Z"),), -weight / 4)
        _add(operator, ((other, "Z"),), -weight / 4)
        _add(operator, _pair(one, other), weight / 4)
    return operator


def _of_ising(problem: Ising) -> Operator:
    operator: Operator = {(): problem.offset}
    for variable, field in enumerate(problem.h):
        _add(operator, ((variable, "Z"),), field)
    for one, other, weight in problem.couplings:
        _add(operator, () if one == other else _pair(one, other), weight)
    return operator


def _of_cut(problem: MaxCut) -> Operator:
    operator: Operator = {}
    for one, other, weight in problem.edges:
        _add(operator, (), weight / 2)
        _add(operator, _pair(one, other), -weight / 2)
    return operator


def _pair(one: int, other: int) -> Product:
    return ((min(one, other), "Z"), (max(one, other), "Z"))


def _add(operator: Operator, product: Product, factor: float) -> None:
    operator[product] = operator.get(product, 0.0) + factor


def observable_of(operator: Operator) -> Observable:
    """The operator as the contract that estimates take."""
    return Observable(
        terms=tuple(
            PauliTerm(
                pauli="".join(letter for _, letter in product),
                qubits=tuple(qubit for qubit, _ in product),
                coefficient=factor,
            )
            for product, factor in sorted(operator.items())
        )
    )
