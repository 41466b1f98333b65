"""Between Qiskit's `Target` and the document it is kept and sent as."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from qiskit.circuit import Delay, Instruction, Measure, Parameter, Reset
from qiskit.circuit.controlflow import (
    BreakLoopOp,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.providers.backend import QubitProperties as QiskitQubit
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer import AerSimulator

from qurable.contracts.targets import QubitProperties, TargetDocument, TargetOperation
from qurable.errors import InternalError

_CONTROL_FLOW: dict[str, type[Instruction]] = {
    "if_else": IfElseOp,
    "while_loop": WhileLoopOp,
    "for_loop": ForLoopOp,
    "switch_case": SwitchCaseOp,
    "break_loop": BreakLoopOp,
    "continue_loop": ContinueLoopOp,
}

_NOT_COMPILED_TO = frozenset(
    {"kraus", "superop", "quantum_channel", "roerror", "qerror_loc", "store", "multiplexer", "cu2", "mcu2"}
)
"""Operations of Aer's that are no gates, or that nothing should be translated to."""


_SECOND_BEST = frozenset({"measure_2", "reset_2"})
"""Devices' own variants of an operation, which nothing is compiled to: circuits name `measure` and `reset`."""


class _MeasurementProperties(InstructionProperties):
    """Readout with its two error probabilities, where Aer's noise model looks for them."""

    prob_meas1_prep0: float
    prob_meas0_prep1: float


def describe_simulator(method: str) -> TargetDocument:
    """The target of a noiseless Aer simulation by this method: any width, every pair of qubits."""
    names = AerSimulator(method=method).operation_names
    kept = sorted(
        name
        for name in names
        if name not in _NOT_COMPILED_TO
        and name not in _CONTROL_FLOW
        and not name.startswith(("save_", "set_"))
    )
    return TargetDocument(
        operations=tuple(TargetOperation(name=name) for name in kept),
        control_flow=tuple(sorted(set(names) & set(_CONTROL_FLOW))),
    )


def describe_simulator_task(method: str, _emit: Callable[[Any], None]) -> Any:
    """Task: `describe_simulator` as JSON."""
    return describe_simulator(method).model_dump_json()


def describe_target(target: Target) -> TargetDocument:
    """A device's target as a document."""
    operations, control_flow = [], []
    for name in sorted(set(target.operation_names) - _SECOND_BEST):
        if name in _CONTROL_FLOW:
            control_flow.append(name)
            continue
        properties = target[name]
        if properties is None or None in properties:
            operations.append(TargetOperation(name=name))
            continue
        qargs = sorted(properties)
        entries = [properties[qubits] for qubits in qargs]
        operations.append(
            TargetOperation(
                name=name,
                qargs=tuple(tuple(qubits) for qubits in qargs),
                durations=tuple(_number(entry, "duration") for entry in entries),
                errors=tuple(_number(entry, "error") for entry in entries),
                prob_meas1_prep0=_readout(name, entries, "prob_meas1_prep0"),
                prob_meas0_prep1=_readout(name, entries, "prob_meas0_prep1"),
            )
        )
    qubits = target.qubit_properties or []
    return TargetDocument(
        num_qubits=target.num_qubits,
        dt=target.dt,
        operations=tuple(operations),
        qubits=tuple(
            QubitProperties(
                t1=_number(qubit, "t1"), t2=_number(qubit, "t2"), frequency=_number(qubit, "frequency")
            )
            for qubit in qubits
        ),
        control_flow=tuple(control_flow),
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
    )


def _number(entry: Any, name: str) -> float | None:
    value = getattr(entry, name, None)
    return None if value is None else float(value)


def _readout(name: str, entries: Iterable[Any], which: str) -> tuple[float | None, ...]:
    return (
        tuple(_number(entry, which) for entry in entries)
        if name == "measure" and any(hasattr(entry, which) for entry in entries)
        else ()
    )


def build_target(document: TargetDocument, only: tuple[int, ...] | None = None) -> Target:
    """Rebuild Qiskit's target.

    Args:
        document: The target.
        only: Keep these qubits alone, renumbered in this order; operations on others are dropped.
    """
    number = None if only is None else {qubit: index for index, qubit in enumerate(only)}
    width = document.num_qubits if only is None else len(only)
    properties = [
        QiskitQubit(t1=qubit.t1, t2=qubit.t2, frequency=qubit.frequency) for qubit in document.qubits
    ]
    if only is not None and properties:
        properties = [properties[qubit] for qubit in only]
    target = Target(
        dt=document.dt,
        num_qubits=width,
        qubit_properties=properties or None,
        granularity=document.granularity,
        min_length=document.min_length,
        pulse_alignment=document.pulse_alignment,
        acquire_alignment=document.acquire_alignment,
    )
    for operation in document.operations:
        instruction = _instruction(operation.name)
        entries = _entries(operation, number)
        if entries != {}:
            target.add_instruction(instruction, entries, name=operation.name)
    for name in document.control_flow:
        target.add_instruction(_CONTROL_FLOW[name], name=name)
    return target


def _entries(operation: TargetOperation, number: dict[int, int] | None) -> dict[tuple[int, ...], Any] | None:
    if operation.qargs is None:
        return None
    entries: dict[tuple[int, ...], Any] = {}
    for at, qubits in enumerate(operation.qargs):
        if number is not None:
            if any(qubit not in number for qubit in qubits):
                continue
            qubits = tuple(number[qubit] for qubit in qubits)
        duration, error = operation.durations[at], operation.errors[at]
        if operation.prob_meas1_prep0 and operation.prob_meas0_prep1:
            readout = _MeasurementProperties(duration, error)
            readout.prob_meas1_prep0 = operation.prob_meas1_prep0[at] or 0.0
            readout.prob_meas0_prep1 = operation.prob_meas0_prep1[at] or 0.0
            entries[qubits] = readout
        else:
            entries[qubits] = InstructionProperties(duration, error)
    return entries


@functools.cache
def _library() -> dict[str, Any]:
    simulator = AerSimulator(method="statevector").target
    library = {name: simulator.operation_from_name(name) for name in simulator.operation_names}
    library |= get_standard_gate_name_mapping()
    library |= {"measure": Measure(), "reset": Reset(), "delay": Delay(Parameter("t"))}
    return library


def _instruction(name: str) -> Any:
    if name not in _library():
        raise InternalError(f"operation {name!r} of a target is not one this version knows")
    return _library()[name]
