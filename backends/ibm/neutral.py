"""Circuits without anybody's words in them, for places outside this house.

Names of circuits, registers and loop parameters, metadata and labels are replaced. Classical registers get names
that say which bits they hold, so that a result tells by itself where its bits belong.

Bit order: bit i of register `c4to7` is classical bit 4 + i of the circuit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumCircuit, QuantumRegister, Qubit

from qurable.errors import UnsupportedCircuit


def sanitised(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with nothing in it that somebody named.

    A static circuit gets one classical register; one with control flow keeps its registers, because its conditions
    read them. Parameters must be canonical already: `p0`, `p1`, ...

    Raises:
        UnsupportedCircuit: It has real-time variables, registers that share bits, or other parameters.
    """
    if circuit.num_vars or circuit.num_stretches:
        raise UnsupportedCircuit("real-time variables and stretches are not sent to IBM: use classical bits")
    kept = [[circuit.find_bit(bit).index for bit in register] for register in circuit.cregs]
    if not circuit.has_control_flow_op():
        kept = [list(range(circuit.num_clbits))]
    held = [at for register in kept for at in register]
    if len(held) != len(set(held)):
        raise UnsupportedCircuit(
            "classical registers that share bits are not sent to IBM: give each bit to one register"
        )
    kept += [[at] for at in range(circuit.num_clbits) if at not in set(held)]
    # Fresh registers, whose bits follow each other: where they do not, the client's local mode reads wrong ones.
    clean = QuantumCircuit(QuantumRegister(circuit.num_qubits, "q"), name="circuit")
    clbit: dict[int, Clbit] = {}
    for places in filter(None, kept):
        register = ClassicalRegister(len(places), register_name(places))
        clean.add_register(register)
        clbit.update(zip(places, register, strict=True))
    _fill(clean, circuit, [clbit[at] for at in range(circuit.num_clbits)], clean.cregs)
    clean.metadata = {}
    strange = [
        parameter
        for parameter in clean.parameters
        if not (parameter.name[:1] == "p" and parameter.name[1:].isdigit())
    ]
    if strange:
        raise UnsupportedCircuit(
            f"{len(strange)} parameters are not in canonical form (p0, p1, ...), and are not sent under their names"
        )
    return clean


def register_name(bits: Sequence[int]) -> str:
    """Which classical bits a register holds, as a name: `c0to3`, `c5`, or `c0to1_4` for bits 0, 1 and 4."""
    runs: list[list[int]] = [[bits[0], bits[0]]]
    for before, bit in pairwise(bits):
        if bit == before + 1:
            runs[-1][1] = bit
        else:
            runs.append([bit, bit])
    return "c" + "_".join(str(low) if low == high else f"{low}to{high}" for low, high in runs)


def register_bits(name: str) -> list[int]:
    """The classical bits that a register of this name holds, its bit 0 first.

    Raises:
        ValueError: It is no name of ours.
    """
    if name[:1] != "c":
        raise ValueError(f"no register of ours is named {name!r}")
    bits: list[int] = []
    for run in name[1:].split("_"):
        low, to, high = run.partition("to")
        bits += range(int(low), int(high if to else low) + 1)
    return bits


def _fill(
    clean: QuantumCircuit,
    source: QuantumCircuit,
    clbits: Sequence[Clbit],
    registers: Sequence[ClassicalRegister],
) -> None:
    """Copy the operations of a circuit or block, without labels, and the blocks in them likewise.

    Args:
        clean: Empty, on as many qubits.
        source: What is copied.
        clbits: Of `clean`, one for each classical bit of `source`.
        registers: Neutral registers that conditions may read.
    """
    clean.compose(source, clean.qubits, clbits, inplace=True)
    for at, (old, new) in enumerate(zip(source.data, clean.data, strict=True)):
        if old.is_control_flow():
            # `compose` leaves the classical bits of blocks as they were, so they are copied one by one.
            blocks = [_block(block, new.clbits, registers) for block in old.operation.blocks]
            operation = new.operation.replace_blocks(blocks)
            if operation.name == "for_loop" and operation.params[1] is not None:
                operation = _with_neutral_loop(operation)
            operation.label = None
            clean.data[at] = new.replace(operation=operation)
        elif new.label is not None:
            operation = new.operation.to_mutable()
            operation.label = None
            clean.data[at] = new.replace(operation=operation)


def _block(
    block: QuantumCircuit, clbits: Sequence[Clbit], registers: Sequence[ClassicalRegister]
) -> QuantumCircuit:
    """A block on the circuit's own classical bits, with the neutral registers that lie in them."""
    clean = QuantumCircuit([Qubit() for _ in block.qubits], list(clbits), name="block")
    for register in registers:
        if set(register) <= set(clbits):
            clean.add_register(register)
    _fill(clean, block, clbits, registers)
    return clean


def _with_neutral_loop(operation: Any) -> Any:
    indices, parameter, body = operation.params
    neutral = Parameter("loop")
    if parameter in body.parameters:
        body.assign_parameters({parameter: neutral}, inplace=True)
    return type(operation)(indices, neutral, body)
