"""Divide a circuit into the parts that know nothing of each other.

Qubits that no gate joins, directly or through others, stay in a product state; a device's noise acts on the
qubits of one gate and its readout on one qubit, so that the parts of a noisy circuit are independent too, exactly.
The client's own estimator rotates and measures all 133 qubits of a device for a problem of three.
"""

from dataclasses import dataclass

import numpy as np
from qiskit.circuit import CircuitInstruction, QuantumCircuit, QuantumRegister
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

_IDLE = frozenset({"barrier", "delay"})


@dataclass(frozen=True)
class Piece:
    """Qubits that gates or classical bits join, with what happens to them.

    Attributes:
        circuit: On these qubits alone; all classical bits and registers of the whole circuit.
        qubits: Index in the whole circuit of each qubit of `circuit`, neighbours near each other.
        clbits: Indices of the classical bits it writes, ascending.
    """

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    clbits: tuple[int, ...]

    @property
    def is_static_qubit(self) -> bool:
        """Whether it is one qubit with gates and, at the end, its only measurement."""
        items = [item for item in self.circuit.data if item.name not in _IDLE]
        return (
            len(self.qubits) == 1
            and [item.name for item in items if item.clbits] == ["measure"]
            and items[-1].name == "measure"
            and not any(item.is_control_flow() or item.name in {"reset", "store"} for item in items)
        )


def split(circuit: QuantumCircuit) -> list[Piece]:
    """The parts of a circuit that write classical bits, in order of their lowest qubit; all others are not seen."""
    qubit_of = {qubit: at for at, qubit in enumerate(circuit.qubits)}
    clbit_of = {clbit: circuit.num_qubits + at for at, clbit in enumerate(circuit.clbits)}
    place = {**qubit_of, **clbit_of}
    forest = _Forest(len(place))
    together = circuit.num_vars > 0
    first = None
    for item in circuit.data:
        if item.name in _IDLE:
            continue
        wires = [place[bit] for bit in (*item.qubits, *item.clbits)]
        if together and wires:
            first = wires[0] if first is None else first
            wires = [first, *wires]
        for wire in wires[1:]:
            forest.join(wires[0], wire)
    members: dict[int, list[CircuitInstruction]] = {}
    for item in circuit.data:
        if item.name == "barrier":
            for root in sorted({forest.root(place[qubit]) for qubit in item.qubits}):
                if root in members:
                    members[root].append(item)
        elif item.qubits or item.clbits:
            wire = place[(*item.qubits, *item.clbits)[0]]
            members.setdefault(forest.root(wire), []).append(item)
    pieces = [_piece(circuit, items, qubit_of, clbit_of) for items in members.values()]
    return sorted((piece for piece in pieces if piece.clbits), key=lambda piece: min(piece.qubits))


class _Forest:
    """Which bits belong together."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first


def _piece(
    circuit: QuantumCircuit,
    items: list[CircuitInstruction],
    qubit_of: dict[object, int],
    clbit_of: dict[object, int],
) -> Piece:
    busy = sorted({qubit_of[qubit] for item in items if item.name != "barrier" for qubit in item.qubits})
    order = _neighbours_first(busy, items, qubit_of)
    small = QuantumCircuit(QuantumRegister(len(order), "q"), circuit.clbits, *circuit.cregs)
    for variable in circuit.iter_declared_vars():
        small.add_uninitialized_var(variable)
    renamed = {circuit.qubits[old]: small.qubits[new] for new, old in enumerate(order)}
    for item in items:
        qubits = [renamed[qubit] for qubit in item.qubits if qubit in renamed]
        if item.name == "barrier":
            small.barrier(qubits)
        else:
            small.append(item.replace(qubits=qubits))
    written = {clbit_of[clbit] - circuit.num_qubits for item in items for clbit in item.clbits}
    return Piece(small, tuple(order), tuple(sorted(written)))


def _neighbours_first(
    busy: list[int], items: list[CircuitInstruction], qubit_of: dict[object, int]
) -> list[int]:
    """The qubits in an order in which few gates reach far, as a chain of tensors wants it."""
    position = {qubit: at for at, qubit in enumerate(busy)}
    pairs = {
        (position[qubit_of[one]], position[qubit_of[other]])
        for item in items
        if item.name != "barrier"
        for one in item.qubits
        for other in item.qubits
        if one is not other
    }
    if not pairs:
        return busy
    rows, columns = zip(*sorted(pairs), strict=True)
    joined = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(busy), len(busy))).tocsr()
    return [busy[int(at)] for at in reverse_cuthill_mckee(joined, symmetric_mode=True)]
