"""From a canonical circuit to an ISA circuit; runs in a child, with warm pass managers."""

import copy
import functools
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate, XGate, YGate
from qiskit.converters import circuit_to_dag
from qiskit.dagcircuit import DAGCircuit
from qiskit.transpiler import PassManager, StagedPassManager, Target, generate_preset_pass_manager
from qiskit.transpiler.basepasses import TransformationPass
from qiskit.transpiler.exceptions import TranspilerError
from qiskit.transpiler.passes import (
    ALAPScheduleAnalysis,
    PadDynamicalDecoupling,
    RemoveDiagonalGatesBeforeMeasure,
)

from circuits.parse import dump_qpy, load_qpy
from circuits.survival import Rates, rates_of, survival_of
from circuits.targets import build_target, describe_simulator
from qurable.contracts.base import digest
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.targets import TargetDocument
from qurable.errors import UnsupportedCircuit

_WARM_TARGETS = 16
_WARM_PASS_MANAGERS = 32

UNUSABLE_ERROR = 0.5
"""27 of the 68 shipped device snapshots hold two-qubit errors of this size, which mark a dead coupling."""

DEFAULT_SEED = 0
"""The same for every circuit, so that pass managers stay warm and equal circuits compile equally."""

_documents: dict[str, TargetDocument] = {}

_SEQUENCES = {
    "XX": (XGate(), XGate()),
    "XpXm": (XGate(), RXGate(-math.pi)),
    "XY4": (XGate(), YGate(), XGate(), YGate()),
}


def compile_circuits(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: transpile canonical circuits for one target.

    Args:
        payload: `{"target": TargetDocument as JSON, "target_hash", "level", "options": TranspileOptions as
            JSON, "circuits": [{"qpy", "name"}, ...]}`.

    Returns:
        For each circuit `{"qpy", "isa", "layout", "depth", "two_qubit_gates", "size", "unusable", "busy",
        "survival", "seconds"}`; `unusable` lists the couplings it uses that the device reports no usable gate on,
        and `survival` is None for a place without errors.
    """
    options = TranspileOptions.read(payload["options"])
    key = payload["target_hash"]
    if key not in _documents:
        _documents[key] = TargetDocument.read(payload["target"])
    return [_compile_one(entry, key, payload["level"], options) for entry in payload["circuits"]]


def _compile_one(entry: Any, target_hash: str, level: int, options: TranspileOptions) -> dict[str, Any]:
    began = time.perf_counter()
    circuit = load_qpy(entry["qpy"])
    target = _target(target_hash)
    _check_fit(circuit, target, entry["name"], options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            isa = _pass_manager(target_hash, level, options).run(circuit)
    except TranspilerError as error:
        raise UnsupportedCircuit(
            f"circuit {entry['name']!r} cannot be compiled for this target: {_reason(error, target)}"
        ) from None
    layout = None if isa.layout is None else isa.layout.final_index_layout(filter_ancillas=True)
    isa._layout = None  # noqa: SLF001  QPY writes its registers in the order of their addresses: other bytes each time
    body = dump_qpy(isa)
    touched = {
        qubit for item in isa.data if item.operation.name not in ("barrier", "delay") for qubit in item.qubits
    }
    rates = _rates(target_hash)
    return {
        "qpy": body,
        "isa": digest(body),
        "layout": layout,
        "depth": isa.depth(),
        "two_qubit_gates": sum(
            len(item.qubits) == 2 and item.operation.name not in ("barrier",) for item in isa.data
        ),
        "size": isa.size(),
        "unusable": _unusable(isa, target),
        "busy": sorted(isa.find_bit(qubit).index for qubit in touched),
        "survival": None if rates is None else survival_of(isa, rates).model_dump(mode="json"),
        "seconds": time.perf_counter() - began,
    }


def _reason(error: TranspilerError, target: Target) -> str:
    if "is not scheduled" in str(error):
        step = max(target.pulse_alignment, target.acquire_alignment)
        return f"its delays must be multiples of {step} dt (dt is {target.dt} s)"
    return str(error.message)[:400]


def _check_fit(circuit: QuantumCircuit, target: Target, name: str, options: TranspileOptions) -> None:
    if target.num_qubits is not None and circuit.num_qubits > target.num_qubits:
        raise UnsupportedCircuit(
            f"circuit {name!r} needs {circuit.num_qubits} qubits; the target has {target.num_qubits}: choose a wider target",
            needed=circuit.num_qubits,
            limit=target.num_qubits,
        )
    if (circuit.num_vars or circuit.num_stretches) and "store" not in target.operation_names:
        raise UnsupportedCircuit(
            f"circuit {name!r} declares real-time variables, which the target cannot hold: use classical bits"
        )
    if options.layout is not None and (
        target.num_qubits is None
        or len(options.layout) != circuit.num_qubits
        or not all(0 <= qubit < target.num_qubits for qubit in options.layout)
    ):
        raise UnsupportedCircuit(
            f"layout {options.layout} does not place the {circuit.num_qubits} qubits of circuit {name!r} on "
            f"{target.num_qubits or 'a target without places'}"
        )


def _unusable(isa: QuantumCircuit, target: Target) -> list[list[int]]:
    """Couplings of the circuit whose reported error is 0.5 or more, or missing on a device that reports errors."""
    if target.num_qubits is None:
        return []
    bad = set()
    for item in isa.data:
        if len(item.qubits) != 2 or item.name not in target.operation_names or target[item.name] is None:
            continue
        pair = tuple(isa.find_bit(qubit).index for qubit in item.qubits)
        properties = target[item.name].get(pair)
        error = None if properties is None else properties.error
        if error is None or not error < UNUSABLE_ERROR:
            bad.add(pair)
    return [list(pair) for pair in sorted(bad)]


def warm_up() -> None:
    """Load what the first transpilation would; called once, before children are forked, and starts no thread."""
    for method in ("stabilizer", "matrix_product_state", "statevector"):
        document = describe_simulator(method)
        key = digest(document)
        _documents[key] = document
        _pass_manager(key, 0, TranspileOptions())


@functools.lru_cache(maxsize=_WARM_TARGETS)
def _target(target_hash: str) -> Target:
    return build_target(_documents[target_hash])


@functools.lru_cache(maxsize=_WARM_TARGETS)
def _rates(target_hash: str) -> Rates | None:
    return rates_of(_documents[target_hash])


@functools.lru_cache(maxsize=_WARM_PASS_MANAGERS)
def _pass_manager(target_hash: str, level: int, options: TranspileOptions) -> StagedPassManager:
    """Building one takes 60 ms, running it on a small circuit 0.1 ms."""
    target = _target(target_hash)
    manager = generate_preset_pass_manager(
        level,
        target=target,
        initial_layout=None if options.layout is None else list(options.layout),
        layout_method=options.layout_method,
        routing_method=options.routing_method,
        seed_transpiler=DEFAULT_SEED if options.seed is None else options.seed,
    )
    if manager.init is not None:
        # What this pass takes for unobservable is not so once an estimate has removed the measurements.
        manager.init = PassManager(
            [
                task
                for task in manager.init.to_flow_controller().tasks
                if not isinstance(task, RemoveDiagonalGatesBeforeMeasure)
            ]
        )
    if options.dynamical_decoupling is not None:
        manager.scheduling = _decoupling(target, options.dynamical_decoupling)
    return manager


def _decoupling(target: Target, sequence: str) -> PassManager:
    """Fill idle windows with a sequence of pulses, each the device's own X between turns about Z that take no time.

    Raises:
        UnsupportedCircuit: The target has no durations, or no such gates.
    """
    if target.durations().dt is None or not {"x", "rz"} <= set(target.operation_names):
        raise UnsupportedCircuit(
            "dynamical decoupling needs a target with gate durations, x and rz; this one has none"
        )
    pulses = _SEQUENCES[sequence]
    padded = copy.deepcopy(target)
    added = {pulse.name: pulse for pulse in pulses if pulse.name not in target.operation_names}
    for name, pulse in added.items():
        padded.add_instruction(pulse, dict(target["x"]), name=name)
    return PassManager(
        [
            ALAPScheduleAnalysis(target=target),
            PadDynamicalDecoupling(target=padded, dd_sequence=list(pulses)),
            _InTurnsOfX(frozenset(added)),
        ]
    )


class _InTurnsOfX(TransformationPass):
    """Writes the Y and the -X of a sequence as X and rotations about Z, where the device has neither."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self._names = names

    def run(self, dag: DAGCircuit) -> DAGCircuit:
        """Substitute each of them; start times are kept by node, and nobody reads them after this."""
        self.property_set["node_start_time"] = None
        for node in dag.op_nodes():
            if node.name in self._names:
                dag.substitute_node_with_dag(node, _turned_x(node.name))
        return dag


@functools.cache
def _turned_x(name: str) -> DAGCircuit:
    """Y, or `rx(-pi)`, which is the inverse of the X pulse."""
    circuit = QuantumCircuit(1, global_phase=math.pi if name == "y" else -math.pi / 2)
    circuit.rz(math.pi, 0)
    circuit.x(0)
    if name == "rx":
        circuit.rz(-math.pi, 0)
    return circuit_to_dag(circuit)
