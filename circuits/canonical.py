"""The canonical form of a circuit, and its hash.

Names of the circuit, of registers and of parameters, the identity of parameters, metadata, labels and the
division into gate definitions do not matter. Everything that can change a result does: operations in their
order, angles to the last bit, global phase modulo 2 pi, conditions and blocks. The order of commuting
operations matters too: it decides what the transpiler makes of a circuit, and which random number a
measurement draws. Of an expression in several parameters the order in which Qiskit evaluates it matters, and
that is the order of their names: a renamed one may hash differently, and never equal to another.

A construct that the hash does not know makes the circuit uncacheable; it still runs.
"""

import hashlib
import json
import math
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import (
    Barrier,
    BreakLoopOp,
    CircuitInstruction,
    ClassicalRegister,
    Clbit,
    ContinueLoopOp,
    ControlFlowOp,
    ControlledGate,
    Delay,
    Instruction,
    Measure,
    Parameter,
    ParameterExpression,
    QuantumCircuit,
    Reset,
    SwitchCaseOp,
)
from qiskit.circuit.classical import expr
from qiskit.circuit.library import (
    DiagonalGate,
    GlobalPhaseGate,
    Initialize,
    MCPhaseGate,
    MCXGate,
    PauliGate,
    PermutationGate,
    QFTGate,
    StatePreparation,
    UnitaryGate,
)
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from circuits.flatten import flatten
from circuits.traits import final_measurements
from qurable.contracts.circuits import Dress, Register

VERSION = 1
"""Changes whenever the encoding does, so that old cache entries are not found any more."""

_NAMESPACE = uuid.UUID("6f1d9a4e-6d0b-4d58-9d0f-3f6b1d1a7c11")

_BY_VALUE = frozenset(
    {Measure, Reset, Barrier, Delay, UnitaryGate, Initialize, StatePreparation, PauliGate, DiagonalGate}
    | {PermutationGate, GlobalPhaseGate, QFTGate, BreakLoopOp, ContinueLoopOp}
)
"""Operations that their name, parameters and width say everything about."""

_CONTROLLED = frozenset(
    {
        gate.base_class
        for gate in get_standard_gate_name_mapping().values()
        if isinstance(gate, ControlledGate)
    }
    | {MCXGate, MCPhaseGate}
)
"""Controlled gates that their control state and base gate say the rest about; `MCXVChain`, say, has more to it."""

_KNOWN = _BY_VALUE | _CONTROLLED

_EXACT_INTEGERS = 2**53
"""Beyond, two integers may be the same double."""


class _UnknownConstruct(Exception):
    """The encoding does not cover something in the circuit."""


@dataclass(frozen=True)
class Canonical:
    """A circuit in canonical form.

    Attributes:
        circuit: Flat (see `circuits.flatten`), with parameters `p0`, `p1`, ... in order of first use.
        digest: SHA-256; empty where it is not cacheable.
        cacheable: Whether the hash covers everything in the circuit.
        dress: Names to put back on results.
    """

    circuit: QuantumCircuit
    digest: str
    cacheable: bool
    dress: Dress


def canonicalise(
    circuit: QuantumCircuit, *, limit: int, name: str, metadata: dict[str, Any] | None = None
) -> Canonical:
    """Bring a circuit into canonical form and hash it.

    Args:
        circuit: As parsed.
        limit: Most operations it may expand to.
        name: The author's name for it.
        metadata: The author's notes.

    Raises:
        CircuitRejected: It expands beyond the limit.
    """
    flat = flatten(circuit, limit=limit, name=name)
    parameters = _in_order_of_use(flat)
    if parameters:
        stand_ins = [canonical_parameter(position) for position in range(len(parameters))]
        exchange(flat, parameters, stand_ins)
    index = {bit: at for at, bit in enumerate(circuit.clbits)}
    dress = Dress(
        name=name,
        registers=tuple(
            Register(name=register.name, bits=tuple(index[bit] for bit in register))
            for register in circuit.cregs
        ),
        parameters=tuple(parameter.name for parameter in parameters),
        measured=tuple(sorted(final_measurements(flat).items())),
        metadata=metadata or {},
    )
    try:
        return Canonical(flat, hash_circuit(flat), True, dress)
    except _UnknownConstruct:
        return Canonical(flat, "", False, dress)


def exchange(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], stand_ins: Sequence[Parameter]
) -> None:
    """Put others in the place of parameters.

    By way of names that nothing has where the two share some: while an expression still holds a parameter, Qiskit takes no
    other of its name.
    """
    names = {parameter.name for parameter in parameters}
    if names & {parameter.name for parameter in stand_ins}:
        between = [Parameter(f"{parameter.name}\0") for parameter in parameters]
        circuit.assign_parameters(dict(zip(parameters, between, strict=True)), inplace=True)
        parameters = between
    circuit.assign_parameters(dict(zip(parameters, stand_ins, strict=True)), inplace=True)


def canonical_parameter(position: int) -> Parameter:
    """The parameter that stands for the one used at this position, of the same identity everywhere."""
    name = f"p{position}"
    return Parameter(name, uuid=uuid.uuid5(_NAMESPACE, name))


def _in_order_of_use(circuit: QuantumCircuit) -> list[Parameter]:
    if not circuit.num_parameters:
        return []
    free = set(circuit.parameters)
    found: dict[Parameter, None] = {}

    def visit(body: QuantumCircuit) -> None:
        for item in body.data:
            if item.is_control_flow():
                for block in item.operation.blocks:
                    visit(block)
            elif item.is_parameterized():
                for value in item.params:
                    if isinstance(value, ParameterExpression):
                        for parameter in sorted(value.parameters, key=lambda parameter: parameter.name):
                            found.setdefault(parameter)

    visit(circuit)
    for parameter in circuit.parameters:  # those of the global phase alone
        found.setdefault(parameter)
    return [parameter for parameter in found if parameter in free]


def hash_circuit(circuit: QuantumCircuit) -> str:
    """SHA-256 of a flat circuit with canonical parameters.

    Raises:
        _UnknownConstruct: Something in it is not covered.
    """
    stream = hashlib.sha256()
    for part in _Encoder().circuit(circuit):
        stream.update(json.dumps(part, separators=(",", ":")).encode())
        stream.update(b"\n")
    return stream.hexdigest()


class _Encoder:
    """Turns a circuit into plain lists that are equal only if the circuits mean the same."""

    def circuit(self, circuit: QuantumCircuit) -> Any:
        """Yield a head and one list per operation."""
        if circuit.num_vars or circuit.num_stretches:
            raise _UnknownConstruct("real-time variables")
        qubit = {bit: at for at, bit in enumerate(circuit.qubits)}
        clbit = {bit: at for at, bit in enumerate(circuit.clbits)}
        registers = (
            [[clbit[bit] for bit in register] for register in circuit.cregs] if len(circuit.cregs) > 1 else []
        )
        yield [VERSION, circuit.num_qubits, circuit.num_clbits, registers, self.phase(circuit.global_phase)]
        for item in circuit.data:
            yield [
                *self.operation(item, clbit),
                [qubit[bit] for bit in item.qubits],
                [clbit[bit] for bit in item.clbits],
            ]

    def operation(self, item: CircuitInstruction, clbit: dict[Clbit, int]) -> list[Any]:
        if item.is_standard_gate():
            encoded = [item.name, [self.value(parameter) for parameter in item.params]]
            if item.is_controlled_gate():
                encoded.append(item.operation.ctrl_state)
            return encoded
        operation = item.operation
        if isinstance(operation, ControlFlowOp):
            return self.control_flow(operation, clbit)
        kind = getattr(operation, "base_class", type(operation))
        if not isinstance(operation, Instruction) or kind not in _KNOWN:
            raise _UnknownConstruct(kind.__name__)
        encoded = ["by value", operation.name, [self.value(parameter) for parameter in operation.params]]
        if isinstance(operation, ControlledGate):
            return [
                *encoded,
                "controlled",
                operation.num_ctrl_qubits,
                operation.ctrl_state,
                operation.base_gate.name,
            ]
        return [*encoded, operation.unit] if isinstance(operation, Delay) else encoded

    def control_flow(self, operation: ControlFlowOp, clbit: dict[Clbit, int]) -> list[Any]:
        blocks = [list(self.circuit(block)) for block in operation.blocks]
        if isinstance(operation, SwitchCaseOp):
            cases = [[self.case(value) for value in values] for values, _ in operation.cases_specifier()]
            head: Any = [self.condition(operation.target, clbit), cases]
        elif operation.name == "for_loop":
            indices, loop_parameter, _ = operation.params
            if loop_parameter is not None:
                raise _UnknownConstruct("loop parameter")
            head = (
                [indices.start, indices.stop, indices.step]
                if isinstance(indices, range)
                else ["set", *map(int, indices)]
            )
        elif operation.name in {"if_else", "while_loop"}:
            head = self.condition(operation.condition, clbit)
        else:
            raise _UnknownConstruct(operation.name)
        return ["control flow", operation.name, head, blocks]

    def case(self, value: Any) -> Any:
        return int(value) if isinstance(value, int | np.integer) else "default"

    def condition(self, value: Any, clbit: dict[Clbit, int]) -> list[Any]:
        match value:
            case Clbit():
                return ["bit", clbit[value]]
            case ClassicalRegister():
                return ["register", [clbit[bit] for bit in value]]
            case (target, wanted):
                return ["equals", self.condition(target, clbit), int(wanted)]
            case expr.Expr():
                return self.expression(value, clbit)
        raise _UnknownConstruct(type(value).__name__)

    def expression(self, node: expr.Expr, clbit: dict[Clbit, int]) -> list[Any]:
        match node:
            case expr.Var() if isinstance(node.var, Clbit | ClassicalRegister):
                return self.condition(node.var, clbit)
            case expr.Value():
                return ["value", repr(node.value), repr(node.type)]
            case expr.Cast():
                return ["cast", repr(node.type), self.expression(node.operand, clbit)]
            case expr.Unary():
                return ["unary", node.op.name, repr(node.type), self.expression(node.operand, clbit)]
            case expr.Binary():
                left, right = self.expression(node.left, clbit), self.expression(node.right, clbit)
                return ["binary", node.op.name, repr(node.type), left, right]
            case expr.Index():
                return ["index", self.expression(node.target, clbit), self.expression(node.index, clbit)]
        raise _UnknownConstruct(type(node).__name__)

    def phase(self, phase: Any) -> Any:
        if isinstance(phase, ParameterExpression) and phase.parameters:
            return self.value(phase)
        return self.value(math.fmod(float(phase), 2 * math.pi) % (2 * math.pi))

    def value(self, value: Any) -> Any:
        match value:
            case ParameterExpression():
                return self.parameter_expression(value)
            case bool() | str() | None:
                return ["word", value]
            case int() | np.integer() if abs(int(value)) > _EXACT_INTEGERS:
                return ["integer", str(value)]
            case int() | float() | np.integer() | np.floating():
                return struct.pack(">d", float(value) + 0.0).hex()
            case complex() | np.complexfloating():
                return ["complex", struct.pack(">dd", value.real + 0.0, value.imag + 0.0).hex()]
            case np.ndarray() if not value.dtype.hasobject:
                array = np.ascontiguousarray(value)
                return ["array", array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
            case list() | tuple():
                return ["list", *(self.value(item) for item in value)]
        raise _UnknownConstruct(type(value).__name__)

    def parameter_expression(self, expression: ParameterExpression) -> Any:
        if isinstance(expression, Parameter):
            return ["parameter", expression.name]
        if not expression.parameters:
            return self.value(expression.numeric())
        replay = expression._qpy_replay  # noqa: SLF001  the exact operations and numbers; `str` rounds them
        return [
            "expression",
            *([str(step.op), self.operand(step.lhs), self.operand(step.rhs)] for step in replay),
        ]

    def operand(self, side: Any) -> Any:
        if isinstance(side, ParameterExpression) and side.parameters and not isinstance(side, Parameter):
            return ["previous", str(side)]
        return None if side is None else self.value(side)
