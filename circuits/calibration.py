"""Calibration circuits for the qubits that ISA circuits read, in the device's own gates; runs in a child."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import RXGate, SXGate, U3Gate, UGate, XGate

from circuits.calibration_plan import patterns
from circuits.parse import dump_qpy, load_qpy
from circuits.readout import measured_qubits
from qurable.contracts.base import digest
from qurable.contracts.targets import TargetDocument

_FLIPS = {
    "x": (XGate(),),
    "sx": (SXGate(), SXGate()),
    "rx": (RXGate(math.pi),),
    "u3": (U3Gate(math.pi, 0, math.pi),),
    "u": (UGate(math.pi, 0, math.pi),),
}


def make_calibration(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the circuits that measure the readout errors of the qubits that circuits read.

    Args:
        payload: `{"isas": [QPY, ...], "target": TargetDocument as JSON}`.

    Returns:
        `{"qubits": physical, ascending, "circuits": [{"qpy", "isa"}, ...]}`: each reads qubit number i into classical
        bit i. Or `{"because"}` where the device cannot prepare them.
    """
    isas = [load_qpy(body) for body in payload["isas"]]
    native = {operation.name for operation in TargetDocument.read(payload["target"]).operations}
    qubits = sorted({qubit for isa in isas for qubit in measured_qubits(isa).values()})
    flips = next((gates for name, gates in _FLIPS.items() if name in native), None)
    if flips is None:
        return {"because": "the device has no gate that prepares a qubit in 1"}
    circuits = []
    for pattern in patterns(len(qubits)):
        body = dump_qpy(_prepared(max(isa.num_qubits for isa in isas), qubits, pattern, flips))
        circuits.append({"qpy": body, "isa": digest(body)})
    return {"qubits": qubits, "circuits": circuits}


def _prepared(
    width: int, qubits: Sequence[int], pattern: Sequence[int], flips: Collection[Any]
) -> QuantumCircuit:
    circuit = QuantumCircuit(width, len(qubits))
    for qubit, bit in zip(qubits, pattern, strict=True):
        for gate in flips if bit else ():
            circuit.append(gate, [qubit])
    circuit.barrier(list(qubits))
    circuit.measure(list(qubits), range(len(qubits)))
    return circuit
