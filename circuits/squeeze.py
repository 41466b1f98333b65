"""Drop qubits that nothing touches, so that a 127-qubit ISA circuit costs what its busy qubits cost."""

from collections.abc import Iterable

from qiskit.circuit import QuantumCircuit, QuantumRegister

_IDLE = frozenset({"barrier", "delay"})


def squeeze(circuit: QuantumCircuit, keep: Iterable[int] = ()) -> tuple[QuantumCircuit, tuple[int, ...]]:
    """The same circuit on its busy qubits alone.

    Args:
        circuit: Any circuit; classical bits and registers stay as they are.
        keep: Qubits to keep although nothing touches them.

    Returns:
        The circuit, and the original index of each of its qubits, ascending.
    """
    index = {qubit: at for at, qubit in enumerate(circuit.qubits)}
    busy = {index[qubit] for item in circuit.data if item.name not in _IDLE for qubit in item.qubits}
    kept = tuple(sorted(busy | set(keep)))
    if len(kept) == circuit.num_qubits:
        return circuit, kept
    small = QuantumCircuit(
        QuantumRegister(len(kept), "q"), circuit.clbits, *circuit.cregs, global_phase=circuit.global_phase
    )
    renamed = {circuit.qubits[old]: small.qubits[new] for new, old in enumerate(kept)}
    items = []
    for item in circuit.data:
        qubits = [renamed[qubit] for qubit in item.qubits if qubit in renamed]
        if len(qubits) == len(item.qubits):
            items.append(item.replace(qubits=qubits))
        elif item.name == "barrier" and qubits:
            small.barrier(qubits)
            items.append(small.data[-1])
    small.data = items
    small.global_phase = circuit.global_phase
    return small, kept
