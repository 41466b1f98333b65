"""Random small circuits, and every way of changing one that the content hash must see, or must not.

A mutation gives back a changed copy, or None where the circuit offers it nothing to change. Whether it matters is
known from what it does, and never asked of the code under test.
"""

import copy
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    CircuitInstruction,
    ClassicalRegister,
    Delay,
    Gate,
    IfElseOp,
    Parameter,
    ParameterExpression,
    QuantumRegister,
    Qubit,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr
from qiskit.circuit.library import (
    CXGate,
    DiagonalGate,
    HGate,
    Initialize,
    MCPhaseGate,
    MCXGate,
    PauliGate,
    PermutationGate,
    SGate,
    SXGate,
    TGate,
    UnitaryGate,
    XGate,
)

from qurable import qpy

QUBITS = 4

_FIXED = (HGate, XGate, SGate, TGate, SXGate)


def random_circuit(draw: random.Random) -> QuantumCircuit:
    """Some operations of every kind the hash knows, on four qubits and two registers of two bits."""
    circuit = QuantumCircuit(
        QuantumRegister(QUBITS, "q"), ClassicalRegister(2, "low"), ClassicalRegister(2, "high")
    )
    circuit.global_phase = draw.choice([0.0, 0.5, draw.uniform(0, 6)])
    parameters = [Parameter(name) for name in ("alpha", "beta", "gamma")]
    for _ in range(draw.randint(4, 10)):
        draw.choice(_GROWTH)(circuit, draw, parameters)
    return circuit


def _two(draw: random.Random) -> list[int]:
    return draw.sample(range(QUBITS), 2)


def _angle(draw: random.Random) -> float:
    return draw.choice([0.1, math.pi / 4, draw.uniform(-3, 3)])


def _fixed(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.append(draw.choice(_FIXED)(), [draw.randrange(QUBITS)])


def _turn(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    draw.choice([circuit.rx, circuit.rz, circuit.p])(_angle(draw), draw.randrange(QUBITS))


def _entangler(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    first, second = _two(draw)
    draw.choice([circuit.cx, circuit.cz, circuit.swap])(first, second)


def _controlled_turn(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    first, second = _two(draw)
    draw.choice([circuit.crx, circuit.cp, circuit.rzz])(_angle(draw), first, second)


def _open_control(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.append(CXGate(ctrl_state=0), _two(draw))


def _many_controls(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    qubits = draw.sample(range(QUBITS), QUBITS)
    gate = draw.choice(
        [MCXGate(3, ctrl_state=draw.randrange(8)), MCPhaseGate(_angle(draw), 3, ctrl_state=draw.randrange(8))]
    )
    circuit.append(gate, qubits)


def _free_turn(circuit: QuantumCircuit, draw: random.Random, parameters: list[Parameter]) -> None:
    circuit.rx(draw.choice(parameters), draw.randrange(QUBITS))


def _expression(circuit: QuantumCircuit, draw: random.Random, parameters: list[Parameter]) -> None:
    parameter = draw.choice(parameters)
    angle = draw.choice([_angle(draw) * parameter, (parameter + _angle(draw)).sin() * 2, parameter / 3 - 1])
    circuit.ry(angle, draw.randrange(QUBITS))


def _matrix(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    angle = _angle(draw)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    circuit.append(UnitaryGate(turn), [draw.randrange(QUBITS)])


def _by_value(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    gate = draw.choice(
        [
            PauliGate(draw.choice(["XY", "ZI", "YY"])),
            DiagonalGate([1, -1, 1j, draw.choice([1, -1])]),
            PermutationGate(draw.choice([[0, 1], [1, 0]])),
            Initialize(draw.choice(["01", "1+", "r0"])),
        ]
    )
    circuit.append(gate, _two(draw))


def _waiting(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.delay(draw.choice([100, 200]), draw.randrange(QUBITS), unit=draw.choice(["dt", "ns"]))


def _barrier(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.barrier(_two(draw))


def _measured(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.measure(draw.randrange(QUBITS), draw.randrange(4))


def _reset(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    circuit.reset(draw.randrange(QUBITS))


def _custom(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    inner = QuantumCircuit(2, name="mine", global_phase=0.3)
    inner.rx(_angle(draw), 0)
    inner.cx(1, 0)
    circuit.append(inner.to_gate(), _two(draw))


def _branch(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    low, high = circuit.cregs
    condition = draw.choice(
        [
            (circuit.clbits[draw.randrange(4)], draw.randrange(2)),
            (draw.choice([low, high]), draw.randrange(4)),
            expr.less(low, draw.randrange(1, 4)),
            expr.logic_and(circuit.clbits[0], expr.logic_not(circuit.clbits[draw.randrange(1, 4)])),
        ]
    )
    qubit = draw.randrange(QUBITS)
    with circuit.if_test(condition) as otherwise:
        circuit.rx(_angle(draw), qubit)
    if draw.random() < 0.5:
        with otherwise:
            circuit.h(qubit)


def _loop(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    qubit = draw.randrange(QUBITS)
    if draw.random() < 0.5:
        with circuit.for_loop(range(draw.randint(1, 3))):
            circuit.rz(_angle(draw), qubit)
    else:
        with circuit.while_loop((circuit.clbits[draw.randrange(4)], 1)):
            circuit.h(qubit)
            circuit.measure(qubit, 0)


def _switch(circuit: QuantumCircuit, draw: random.Random, _: list[Parameter]) -> None:
    qubit = draw.randrange(QUBITS)
    with circuit.switch(circuit.cregs[0]) as case:
        with case(draw.randrange(4)):
            circuit.x(qubit)
        with case(case.DEFAULT):
            circuit.ry(_angle(draw), qubit)


_GROWTH: tuple[Callable[[QuantumCircuit, random.Random, list[Parameter]], None], ...] = (
    *(_fixed, _turn, _entangler, _controlled_turn, _free_turn, _expression, _measured) * 2,
    *(_open_control, _many_controls, _matrix, _by_value, _waiting, _barrier, _reset, _custom),
    *(_branch, _loop, _switch),
)

Change = Callable[[QuantumCircuit, random.Random], QuantumCircuit | None]


@dataclass(frozen=True)
class Mutation:
    """One way of changing a circuit.

    Attributes:
        name: What it does.
        apply: A changed copy, or None where there is nothing to change.
        matters: Whether the hash must differ; otherwise it must be equal.
    """

    name: str
    apply: Change
    matters: bool

    def __str__(self) -> str:
        return self.name


MUTATIONS: list[Mutation] = []


def _mutation(*, matters: bool) -> Callable[[Change], Change]:
    def register(change: Change) -> Change:
        MUTATIONS.append(Mutation(change.__name__, change, matters))
        return change

    return register


_changes, _keeps = _mutation(matters=True), _mutation(matters=False)


def _pick(
    circuit: QuantumCircuit, draw: random.Random, suits: Callable[[CircuitInstruction], bool]
) -> int | None:
    found = [at for at, item in enumerate(circuit.data) if suits(item)]
    return draw.choice(found) if found else None


def _with(circuit: QuantumCircuit, at: int, item: CircuitInstruction) -> QuantumCircuit:
    return _of_items(circuit, [*circuit.data[:at], item, *circuit.data[at + 1 :]])


def _of_items(circuit: QuantumCircuit, items: list[CircuitInstruction]) -> QuantumCircuit:
    """A copy with other operations; to assign single ones makes Qiskit 2.6 lose count of its blocks and panic."""
    changed = circuit.copy_empty_like()
    changed.data = items
    changed.global_phase = circuit.global_phase
    return changed


def _with_params(circuit: QuantumCircuit, at: int, params: list[object]) -> QuantumCircuit:
    item = circuit.data[at]
    operation = item.operation.to_mutable()
    operation.params = params
    return _with(circuit, at, item.replace(operation=operation, params=params))


def _has_angle(item: CircuitInstruction) -> bool:
    return item.is_standard_gate() and any(isinstance(value, float) for value in item.params)


@_changes
def last_bit_of_an_angle(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, _has_angle)
    if at is None:
        return None
    item = circuit.data[at]
    first = next(number for number, value in enumerate(item.params) if isinstance(value, float))
    params = list(item.params)
    params[first] = math.nextafter(params[first], draw.choice([-math.inf, math.inf]))
    return _with_params(circuit, at, params)


@_changes
def another_gate(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.is_standard_gate() and item.operation.base_class in _FIXED)
    if at is None:
        return None
    others = [kind for kind in _FIXED if kind is not circuit.data[at].operation.base_class]
    return _with(circuit, at, circuit.data[at].replace(operation=draw.choice(others)()))


@_changes
def another_qubit(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: 0 < len(item.qubits) < QUBITS)
    if at is None:
        return None
    item = circuit.data[at]
    qubits = list(item.qubits)
    qubits[draw.randrange(len(qubits))] = draw.choice([bit for bit in circuit.qubits if bit not in qubits])
    return _with(circuit, at, item.replace(qubits=qubits))


@_changes
def control_and_target_exchanged(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name in {"cx", "cx_o0", "crx", "mine"})
    if at is None:
        return None
    return _with(circuit, at, circuit.data[at].replace(qubits=circuit.data[at].qubits[::-1]))


@_changes
def an_operation_left_out(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = draw.randrange(len(circuit.data))
    return _of_items(circuit, [*circuit.data[:at], *circuit.data[at + 1 :]])


@_changes
def an_operation_twice(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = draw.randrange(len(circuit.data))
    return _of_items(circuit, [*circuit.data[: at + 1], *circuit.data[at:]])


@_changes
def neighbours_exchanged(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    """Of parameterised neighbours the exchange may be a renaming."""
    pairs = [
        at
        for at in range(len(circuit.data) - 1)
        if not any(_is_free(item) for item in circuit.data[at : at + 2])
        and _skeleton(circuit.data[at]) != _skeleton(circuit.data[at + 1])
    ]
    if not pairs:
        return None
    at = draw.choice(pairs)
    first, second = circuit.data[at : at + 2]
    return _of_items(circuit, [*circuit.data[:at], second, first, *circuit.data[at + 2 :]])


def _is_free(item: CircuitInstruction) -> bool:
    return any(isinstance(value, ParameterExpression) and value.parameters for value in item.params)


def _skeleton(item: CircuitInstruction) -> tuple[object, ...]:
    """Enough to tell two operations apart for certain; custom gates and blocks may be equal where this differs."""
    return item.name, item.qubits, item.clbits


@_changes
def another_phase(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    changed = circuit.copy()
    changed.global_phase = circuit.global_phase + draw.choice([0.25, 1e-9])
    return changed


@_changes
def one_more_qubit(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    changed = circuit.copy()
    changed.add_bits([Qubit()])
    return changed


@_changes
def one_more_register(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    changed = circuit.copy()
    changed.add_register(ClassicalRegister(1, "more"))
    return changed


@_changes
def measured_into_another_bit(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "measure")
    if at is None:
        return None
    item = circuit.data[at]
    other = draw.choice([bit for bit in circuit.clbits if bit not in item.clbits])
    return _with(circuit, at, item.replace(clbits=[other]))


@_changes
def another_control_state(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.is_controlled_gate())
    if at is None:
        return None
    operation = circuit.data[at].operation.to_mutable()
    operation.ctrl_state = (operation.ctrl_state + 1) % 2**operation.num_ctrl_qubits
    return _with(circuit, at, circuit.data[at].replace(operation=operation))


@_changes
def another_delay(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "delay")
    if at is None:
        return None
    old = circuit.data[at].operation
    new = draw.choice(
        [Delay(old.duration + 1, old.unit), Delay(old.duration, "ns" if old.unit == "dt" else "dt")]
    )
    return _with(circuit, at, circuit.data[at].replace(operation=new))


@_changes
def another_element_of_a_matrix(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "unitary")
    if at is None:
        return None
    matrix = np.array(circuit.data[at].operation.params[0])
    matrix[0, 0] = complex(math.nextafter(matrix[0, 0].real, 2.0), matrix[0, 0].imag)
    return _with(circuit, at, circuit.data[at].replace(operation=UnitaryGate(matrix, check_input=False)))


@_changes
def another_value(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    """Of an operation that its value is everything of."""
    at = _pick(circuit, draw, lambda item: item.name in {"pauli", "initialize", "permutation", "diagonal"})
    if at is None:
        return None
    new = {
        "pauli": PauliGate("XZ"),
        "initialize": Initialize("l1"),
        "permutation": PermutationGate([1, 0]),
        "diagonal": DiagonalGate([1, 1, 1, -1j]),
    }[circuit.data[at].name]
    if circuit.data[at].name == "permutation" and list(circuit.data[at].operation.params[0]) == [1, 0]:
        new = PermutationGate([0, 1])
    return _with(circuit, at, circuit.data[at].replace(operation=new))


@_changes
def another_definition(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    """Of a gate whose name stays."""
    at = _pick(circuit, draw, lambda item: item.name == "mine")
    if at is None:
        return None
    inner = circuit.data[at].operation.definition.copy()
    inner.name = "mine"
    if draw.random() < 0.5:
        inner.global_phase += 0.1
    else:
        inner = _of_items(inner, list(reversed(inner.data)))
    return _with(circuit, at, circuit.data[at].replace(operation=inner.to_gate()))


@_changes
def a_parameter_no_longer_shared(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    """Two places that had one parameter have two."""
    uses: dict[Parameter, list[int]] = {}
    for at, item in enumerate(circuit.data):
        for value in item.params:
            if isinstance(value, Parameter):
                uses.setdefault(value, []).append(at)
    shared = [places for places in uses.values() if len(places) > 1]
    if not shared:
        return None
    return _with_params(circuit, draw.choice(draw.choice(shared)), [Parameter("delta")])


@_changes
def another_number_in_an_expression(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, _is_free)
    if at is None:
        return None
    (value,) = circuit.data[at].params
    # Qiskit itself takes a factor of 1 + 2e-16, and a summand of 1e-300, for none.
    return _with_params(circuit, at, [draw.choice([value * (1 + 1e-12), value + 1e-12, -value])])


@_changes
def another_condition(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name in {"if_else", "while_loop"})
    if at is None:
        return None
    operation = circuit.data[at].operation
    condition = operation.condition
    match condition:
        case expr.Binary(op=expr.Binary.Op.LESS):
            new = expr.less_equal(condition.left, condition.right)
        case expr.Binary():
            new = expr.logic_or(condition.left, condition.right)
        case (ClassicalRegister() as register, value):
            new = (register, (value + 1) % 4)
        case (bit, value):
            new = (bit, 1 - int(value))
    kind = IfElseOp if operation.name == "if_else" else WhileLoopOp
    return _with(circuit, at, circuit.data[at].replace(operation=kind(new, *operation.blocks)))


@_changes
def branches_exchanged(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "if_else" and len(item.operation.blocks) == 2)
    if at is None:
        return None
    operation = circuit.data[at].operation
    new = IfElseOp(operation.condition, *operation.blocks[::-1])
    return _with(circuit, at, circuit.data[at].replace(operation=new))


@_changes
def last_bit_of_an_angle_in_a_block(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(
        circuit,
        draw,
        lambda item: (
            item.is_control_flow()
            and any(_has_angle(inner) for block in item.operation.blocks for inner in block.data)
        ),
    )
    if at is None:
        return None
    operation = circuit.data[at].operation
    blocks = [last_bit_of_an_angle(block, draw) or block for block in operation.blocks]
    return _with(circuit, at, circuit.data[at].replace(operation=operation.replace_blocks(blocks)))


@_changes
def another_number_of_turns(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "for_loop")
    if at is None:
        return None
    operation = copy.deepcopy(circuit.data[at].operation)
    indices, parameter, body = operation.params
    operation.params = [range(indices.start, indices.stop + 1), parameter, body]
    return _with(circuit, at, circuit.data[at].replace(operation=operation))


@_changes
def another_case(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.name == "switch_case")
    if at is None:
        return None
    operation = circuit.data[at].operation
    ((value,), block), otherwise = operation.cases_specifier()
    new = SwitchCaseOp(operation.target, [((value + 1) % 4, block), otherwise])
    return _with(circuit, at, circuit.data[at].replace(operation=new))


@_keeps
def another_name(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    changed = circuit.copy(name=f"run of {draw.random()}")
    changed.metadata = {"author": "somebody else"}
    return changed


@_keeps
def a_label(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    at = _pick(circuit, draw, lambda item: item.is_standard_gate() and not item.is_controlled_gate())
    if at is None:
        return None
    operation = circuit.data[at].operation.to_mutable()
    operation.label = "look here"
    return _with(circuit, at, circuit.data[at].replace(operation=operation))


@_keeps
def other_parameters_of_the_same_order(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    if not circuit.parameters:
        return None
    renamed: QuantumCircuit = circuit.assign_parameters(
        {parameter: Parameter(f"my_{parameter.name}") for parameter in circuit.parameters}
    )
    return renamed


@_keeps
def parameters_renamed_at_random(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    """Each expression here holds one parameter, so that no order of names is at stake."""
    if not circuit.parameters:
        return None
    names = draw.sample(["omega", "a10", "a2", "zeta"], len(circuit.parameters))
    renamed: QuantumCircuit = circuit.assign_parameters(
        {parameter: Parameter(name) for parameter, name in zip(circuit.parameters, names, strict=True)}
    )
    return renamed


@_keeps
def other_quantum_registers(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    first = draw.randint(1, QUBITS - 1)
    changed = QuantumCircuit(
        QuantumRegister(first, "left"), QuantumRegister(QUBITS - first, "right"), *circuit.cregs
    )
    changed.global_phase = circuit.global_phase
    qubit_of = dict(zip(circuit.qubits, changed.qubits, strict=True))
    for item in circuit.data:
        changed.append(item.replace(qubits=[qubit_of[bit] for bit in item.qubits]))
    return changed


@_keeps
def classical_registers_of_other_names(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    if any(item.is_control_flow() for item in circuit.data):
        return None  # conditions would have to be written anew
    changed = QuantumCircuit(circuit.qubits, *circuit.qregs, ClassicalRegister(4, "all"))
    changed.global_phase = circuit.global_phase
    clbit_of = dict(zip(circuit.clbits, changed.clbits, strict=True))
    for item in circuit.data:
        changed.append(item.replace(clbits=[clbit_of[bit] for bit in item.clbits]))
    return changed


@_keeps
def operations_made_a_gate(circuit: QuantumCircuit, draw: random.Random) -> QuantumCircuit | None:
    first = draw.randrange(len(circuit.data))
    last = first
    while last < len(circuit.data) and isinstance(circuit.data[last].operation, Gate):
        last += 1
    if last == first:
        return None
    inner = QuantumCircuit(circuit.qubits, name="wrapped")
    for item in circuit.data[first:last]:
        inner.append(item)
    wrapped = CircuitInstruction(inner.to_gate(), circuit.qubits)
    return _of_items(circuit, [*circuit.data[:first], wrapped, *circuit.data[last:]])


@_keeps
def a_definition_written_out(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    at = next((at for at, item in enumerate(circuit.data) if item.name == "mine"), None)
    if at is None:
        return None
    item = circuit.data[at]
    changed = _of_items(circuit, [*circuit.data[:at], *_written_out(item), *circuit.data[at + 1 :]])
    changed.global_phase = circuit.global_phase + item.operation.definition.global_phase
    return changed


def _written_out(item: CircuitInstruction) -> Iterator[CircuitInstruction]:
    inner = item.operation.definition
    qubit_of = dict(zip(inner.qubits, item.qubits, strict=True))
    for part in inner.data:
        yield part.replace(qubits=[qubit_of[bit] for bit in part.qubits])


@_keeps
def written_and_read(circuit: QuantumCircuit, _: random.Random) -> QuantumCircuit | None:
    return qpy.load(qpy.dump(circuit))[0]
