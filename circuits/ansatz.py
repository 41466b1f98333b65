"""Families of circuits with parameters, built for an operator.

`qaoa` and `hamiltonian` rotate about groups of the operator's terms that commute; `real_amplitudes` knows nothing of it.
Sources: Farhi, Goldstone and Gutmann, arXiv:1411.4028; Wecker, Hastings and Troyer, Phys. Rev. A 92, 042303 (2015).
"""

from collections.abc import Sequence
from itertools import pairwise

from qiskit.circuit import ParameterVector, QuantumCircuit

from circuits.fermions import Product
from circuits.objectives import Operator
from qurable.contracts.optimisations import Ansatz, AnsatzFamily
from qurable.errors import RequestRejected

_MAX_PARAMETERS = 2_000


def build(ansatz: Ansatz, operator: Operator, qubits: int) -> QuantumCircuit:
    """A circuit of the family; its parameters are `t[0]`, `t[1]`, ... in the order of their use.

    Raises:
        RequestRejected: The family does not suit the operator, or would have too many parameters.
    """
    terms = {product: factor for product, factor in operator.items() if product}
    match ansatz.family:
        case AnsatzFamily.QAOA:
            circuit = _qaoa(terms, qubits, ansatz.depth)
        case AnsatzFamily.HAMILTONIAN:
            circuit = _hamiltonian(terms, qubits, ansatz.depth)
        case AnsatzFamily.REAL_AMPLITUDES:
            circuit = _real_amplitudes(qubits, ansatz.depth)
    return circuit


def _parameters(count: int) -> ParameterVector:
    if count > _MAX_PARAMETERS:
        raise RequestRejected(
            f"the ansatz would have {count:,} parameters, at most {_MAX_PARAMETERS:,} are taken: choose fewer layers"
        )
    return ParameterVector("t", count)


def _qaoa(terms: Operator, qubits: int, depth: int) -> QuantumCircuit:
    """Layers of the problem's phases and of rotations about X, after a uniform superposition."""
    if any(letter != "Z" for product in terms for _, letter in product):
        raise RequestRejected(
            "the ansatz 'qaoa' takes operators of Zs alone, which have assignments: take 'hamiltonian' for this one"
        )
    angles = _parameters(2 * depth)
    circuit = QuantumCircuit(qubits, name="qaoa")
    circuit.h(range(qubits))
    for layer in range(depth):
        for product, factor in sorted(terms.items()):
            _rotate(circuit, product, 2 * factor * angles[2 * layer])
        circuit.rx(2 * angles[2 * layer + 1], range(qubits))
    return circuit


def _hamiltonian(terms: Operator, qubits: int, depth: int) -> QuantumCircuit:
    """Layers of rotations about groups of terms that commute, from the product state that suits single-qubit terms best."""
    groups = _commuting(sorted(terms))
    angles = _parameters(depth * len(groups))
    circuit = QuantumCircuit(qubits, name="hamiltonian")
    _prepare_product(circuit, terms)
    for layer in range(depth):
        for number, group in enumerate(groups):
            angle = angles[layer * len(groups) + number]
            for product in group:
                _rotate(circuit, product, 2 * terms[product] * angle)
    return circuit


def _prepare_product(circuit: QuantumCircuit, terms: Operator) -> None:
    """On each qubit, the lowest state of the strongest term on it alone; where there is none, 0."""
    for qubit in range(circuit.num_qubits):
        own = {
            letter: terms[((qubit, letter),)] for letter in "XYZ" if terms.get(((qubit, letter),), 0.0) != 0.0
        }
        if not own:
            continue
        letter = max(own, key=lambda name: abs(own[name]))
        if own[letter] > 0:  # the eigenvalue -1 is the lower one
            circuit.x(qubit)
        if letter in "XY":
            circuit.h(qubit)
        if letter == "Y":
            circuit.s(qubit)


def _commuting(products: Sequence[Product]) -> list[list[Product]]:
    """Greedy groups of terms that commute, terms on more qubits first: they move a product state at once."""
    groups: list[list[Product]] = []
    for product in sorted(products, key=lambda product: (-len(product), product)):
        for group in groups:
            if all(_commute(product, other) for other in group):
                group.append(product)
                break
        else:
            groups.append([product])
    return groups


def _commute(one: Product, other: Product) -> bool:
    letters = dict(other)
    differing = sum(qubit in letters and letters[qubit] != letter for qubit, letter in one)
    return differing % 2 == 0


def _rotate(circuit: QuantumCircuit, product: Product, angle: object) -> None:
    """exp(-i angle / 2 P) of a Pauli product."""
    qubits = [qubit for qubit, _ in product]
    letters = [letter for _, letter in product]
    if letters == ["Z"]:
        circuit.rz(angle, qubits[0])
        return
    if letters == ["Z", "Z"]:
        circuit.rzz(angle, *qubits)
        return
    if letters == ["X"]:
        circuit.rx(angle, qubits[0])
        return
    for qubit, letter in product:
        _to_z(circuit, qubit, letter)
    for first, second in pairwise(qubits):
        circuit.cx(first, second)
    circuit.rz(angle, qubits[-1])
    for first, second in reversed(list(pairwise(qubits))):
        circuit.cx(first, second)
    for qubit, letter in product:
        _from_z(circuit, qubit, letter)


def _to_z(circuit: QuantumCircuit, qubit: int, letter: str) -> None:
    if letter == "Y":
        circuit.sdg(qubit)
    if letter in "XY":
        circuit.h(qubit)


def _from_z(circuit: QuantumCircuit, qubit: int, letter: str) -> None:
    if letter in "XY":
        circuit.h(qubit)
    if letter == "Y":
        circuit.s(qubit)


def _real_amplitudes(qubits: int, depth: int) -> QuantumCircuit:
    """Rotations about Y between chains of CX: every state it prepares has real amplitudes."""
    angles = iter(_parameters(qubits * (depth + 1)))
    circuit = QuantumCircuit(qubits, name="real_amplitudes")
    for layer in range(depth + 1):
        for qubit in range(qubits):
            circuit.ry(next(angles), qubit)
        if layer < depth:
            for qubit in range(qubits - 1):
                circuit.cx(qubit, qubit + 1)
    return circuit
