"""QPY that keeps the units of delays, and is the same in every process. Needs the extra `qiskit`.

Every QPY version up to 17 writes a delay's number and not its unit (Qiskit issues 8293 and 10662): `100 ns` is read back
as `100 dt`. So a delay in another unit than dt travels as an opaque instruction that names it.

The parameters of an expression are written in the order of a set, which each process has its own of: a circuit would have
another digest, and its job's key be told to belong to another job. So they are put in one order.
"""

import io
import re
import struct
from collections.abc import Callable

from qiskit import QuantumCircuit, qpy
from qiskit.circuit import CircuitInstruction, Delay, Instruction, Parameter

_UNITS = ("s", "ms", "us", "ns", "ps")

_NAME = "qurable_delay_"

_PARAMETER = "!ccQH16s"


def dump(circuit: QuantumCircuit) -> bytes:
    """QPY of one circuit."""
    body = io.BytesIO()
    qpy.dump(_rewritten(circuit, _packed), body)
    return _in_one_order(body.getvalue(), circuit)


def _in_one_order(body: bytes, circuit: QuantumCircuit) -> bytes:
    """QPY with the parameters of each expression in one order.

    They stand side by side, each as its kind twice, the size of a value that it lacks, and itself.
    """
    if circuit.num_parameters < 2:
        return body
    entries = (_entry(parameter) for parameter in circuit.parameters)
    one = b"(?:" + b"|".join(map(re.escape, entries)) + b")"
    table, entry = re.compile(one + b"{2,}"), re.compile(one)
    return table.sub(lambda found: b"".join(sorted(entry.findall(found.group()))), body)


def _entry(parameter: Parameter) -> bytes:
    name: bytes = parameter.name.encode()
    return struct.pack(_PARAMETER, b"p", b"p", 0, len(name), parameter.uuid.bytes) + name


def load(body: bytes) -> list[QuantumCircuit]:
    """The circuits in a QPY document, whoever wrote it."""
    return [_rewritten(circuit, _unpacked) for circuit in qpy.load(io.BytesIO(body))]


def _packed(operation: Instruction) -> Instruction:
    if operation.name != "delay" or operation.unit not in _UNITS:
        return operation
    return Instruction(_NAME + operation.unit, 1, 0, [operation.duration], label=operation.label)


def _unpacked(operation: Instruction) -> Instruction:
    unit = operation.name.removeprefix(_NAME)
    if operation.name == unit or unit not in _UNITS or len(operation.params) != 1:
        return operation
    return Delay(operation.params[0], unit)


def _rewritten(circuit: QuantumCircuit, change: Callable[[Instruction], Instruction]) -> QuantumCircuit:
    """A circuit with some operations replaced, in blocks and definitions too; itself where there are none."""
    items: list[CircuitInstruction] = []
    changed = False
    for item in circuit.data:
        if item.is_standard_gate():
            items.append(item)
            continue
        operation = _operation(item.operation, change)
        changed = changed or operation is not None
        items.append(item if operation is None else item.replace(operation=operation))
    if not changed:
        return circuit
    copy = circuit.copy_empty_like()
    copy.data = items
    copy.global_phase = circuit.global_phase
    return copy


def _operation(operation: Instruction, change: Callable[[Instruction], Instruction]) -> Instruction | None:
    """What stands for an operation; None for itself."""
    blocks = getattr(operation, "blocks", ())
    if blocks:
        inner = [_rewritten(block, change) for block in blocks]
        same = all(new is old for new, old in zip(inner, blocks, strict=True))
        return None if same else operation.replace_blocks(inner)
    if type(operation) is Instruction and operation.definition is not None:
        definition = _rewritten(operation.definition, change)
        if definition is operation.definition:
            return None
        copy = operation.to_mutable()
        copy.definition = definition
        return copy
    new = change(operation)
    return None if new is operation else new
