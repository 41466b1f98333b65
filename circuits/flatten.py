"""One quantum register, no custom gates: the same operations with every definition written out.

The work is linear in the operations that come out, and stops at a limit: a text of a few lines can stand for
more operations than there is memory.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from qiskit.circuit import (
    CircuitInstruction,
    ClassicalRegister,
    Clbit,
    ControlFlowOp,
    Instruction,
    QuantumCircuit,
    QuantumRegister,
    Qubit,
)
from qiskit.circuit.classical import expr

from qurable.errors import CircuitRejected

_CUSTOM = frozenset({"Gate", "Instruction", "ControlledGate", "_DefinedGate"})
"""Classes that mean their definition and nothing else; the last is what the OpenQASM 2 parser makes."""

_MAX_DEPTH = 200


def is_custom(operation: Any) -> bool:
    """Whether an operation is nothing but a name for its definition."""
    kind = getattr(operation, "base_class", type(operation))
    return (
        kind.__name__ in _CUSTOM and isinstance(operation, Instruction) and operation.definition is not None
    )


def flatten(circuit: QuantumCircuit, *, limit: int, name: str) -> QuantumCircuit:
    """The same circuit on a register `q`, with custom gates written out and no metadata.

    Classical bits come in one register `c`; where an operation refers to a register, the registers stay, as
    `c0`, `c1`, ... in order of declaration.

    Args:
        circuit: Left as it is.
        limit: Most operations that may come out.
        name: For messages.

    Raises:
        CircuitRejected: It expands beyond the limit, or nests deeper than definitions may.
    """
    return _Flattener(limit, name).run(circuit)


class _Flattener:
    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._written = 0
        self._definitions: dict[Any, QuantumCircuit] = {}

    def run(self, circuit: QuantumCircuit) -> QuantumCircuit:
        qubits = QuantumRegister(circuit.num_qubits, "q")
        if any(item.is_control_flow() for item in circuit.data) or circuit.num_vars:
            flat = (
                self._registers_kept(circuit, qubits)
                if _refers_to_registers(circuit)
                else _one_register(circuit, qubits)
            )
            flat.compose(circuit, flat.qubits, flat.clbits, inplace=True)
            self._rewrite(flat)
            return flat
        flat = _one_register(circuit, qubits)
        qubit_of = dict(zip(circuit.qubits, flat.qubits, strict=True))
        clbit_of = dict(zip(circuit.clbits, flat.clbits, strict=True))
        self._fill(
            flat,
            circuit,
            [qubit_of[bit] for bit in circuit.qubits],
            [clbit_of[bit] for bit in circuit.clbits],
        )
        return flat

    def _registers_kept(self, circuit: QuantumCircuit, qubits: QuantumRegister) -> QuantumCircuit:
        clbits = [Clbit() for _ in circuit.clbits]
        index = {bit: at for at, bit in enumerate(circuit.clbits)}
        registers = [
            ClassicalRegister(name=f"c{number}", bits=[clbits[index[bit]] for bit in register])
            for number, register in enumerate(circuit.cregs)
        ]
        return QuantumCircuit(qubits, clbits, *registers, name="canonical")

    def _fill(
        self, target: QuantumCircuit, source: QuantumCircuit, qubits: Sequence[Qubit], clbits: Sequence[Clbit]
    ) -> None:
        """Give the target the source's operations, written out, on these bits."""
        self._phase: Any = source.global_phase
        items = list(self._items(source, qubits, clbits, 0))
        target.data = items
        target.global_phase = self._phase

    def _rewrite(self, circuit: QuantumCircuit) -> None:
        """Write out custom operations of a circuit in place, and in the blocks of its control flow."""
        self._phase = circuit.global_phase
        items = []
        for item in list(circuit.data):
            if item.is_control_flow():
                outer = self._phase
                blocks = [self._block(block) for block in item.operation.blocks]
                self._phase = outer
                self._count(1)
                items.append(item.replace(operation=item.operation.replace_blocks(blocks)))
            else:
                items.extend(self._item(item, item.qubits, item.clbits, 0))
        circuit.data = items
        circuit.global_phase = self._phase

    def _block(self, block: QuantumCircuit) -> QuantumCircuit:
        copy = block.copy()
        copy.metadata = {}
        copy.name = "block"
        self._rewrite(copy)
        return copy

    def _items(
        self, source: QuantumCircuit, qubits: Sequence[Qubit], clbits: Sequence[Clbit], depth: int
    ) -> Iterator[CircuitInstruction]:
        qubit_of = dict(zip(source.qubits, qubits, strict=True))
        clbit_of = dict(zip(source.clbits, clbits, strict=True))
        for item in source.data:
            yield from self._item(
                item,
                tuple(qubit_of[bit] for bit in item.qubits),
                tuple(clbit_of[bit] for bit in item.clbits),
                depth,
            )

    def _item(
        self, item: CircuitInstruction, qubits: Sequence[Qubit], clbits: Sequence[Clbit], depth: int
    ) -> Iterator[CircuitInstruction]:
        if item.is_standard_gate() or not is_custom(item.operation):
            self._count(1)
            plain = item.replace(qubits=qubits, clbits=clbits)
            yield plain if item.label is None else plain.replace(operation=_unlabelled(item.operation))
            return
        if depth >= _MAX_DEPTH:
            raise CircuitRejected(
                f"circuit {self._name!r} nests gate definitions deeper than {_MAX_DEPTH}", limit=_MAX_DEPTH
            )
        definition = self._definition(item.operation)
        if any(inner.is_control_flow() for inner in definition.data):
            raise CircuitRejected(
                f"circuit {self._name!r}: instruction {item.operation.name!r} hides classical control flow in its definition; "
                "write it into the circuit itself"
            )
        self._phase = self._phase + definition.global_phase
        yield from self._items(definition, qubits, clbits, depth + 1)

    def _definition(self, operation: Any) -> QuantumCircuit:
        if type(operation).__name__ != "_DefinedGate":
            return operation.definition
        # One OpenQASM 2 program defines a name once, and each access to `definition` builds it anew.
        key = (operation.name, tuple(operation.params))
        if key not in self._definitions:
            self._definitions[key] = operation.definition
        return self._definitions[key]

    def _count(self, number: int) -> None:
        self._written += number
        if self._written > self._limit:
            raise CircuitRejected(
                f"circuit {self._name!r} expands to more than {self._limit:,} operations: use fewer, or split it",
                limit=self._limit,
            )


def _unlabelled(operation: Any) -> Any:
    copy = operation.to_mutable()
    copy.label = None
    return copy


def _one_register(circuit: QuantumCircuit, qubits: QuantumRegister) -> QuantumCircuit:
    return QuantumCircuit(qubits, ClassicalRegister(circuit.num_clbits, "c"), name="canonical")


def _refers_to_registers(circuit: QuantumCircuit) -> bool:
    for item in circuit.data:
        if not item.is_control_flow():
            continue
        operation: ControlFlowOp = item.operation
        for value in (getattr(operation, "condition", None), getattr(operation, "target", None)):
            if isinstance(value, ClassicalRegister) or (
                isinstance(value, tuple) and isinstance(value[0], ClassicalRegister)
            ):
                return True
            if isinstance(value, expr.Expr) and any(
                isinstance(var.var, ClassicalRegister) for var in expr.iter_vars(value)
            ):
                return True
        if any(_refers_to_registers(block) for block in operation.blocks):
            return True
    return False
