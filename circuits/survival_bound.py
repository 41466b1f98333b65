"""How likely a circuit runs on a device without an error, at best: a bound for planning, before anything is transpiled.

The estimate itself needs the routed circuit. This takes the device's best pair for every two-qubit gate and its best
qubits for the readings, as the circuit is written; routing only adds gates, but an optimiser may save some.
"""

import math
from dataclasses import dataclass

from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.targets import TargetDocument

_DEAD = 0.5
"""An error this large marks a coupling or qubit that cannot be used."""


@dataclass(frozen=True)
class BestErrors:
    """The least errors of a device.

    Attributes:
        two_qubit: Of its best coupling; None where none can be used.
        readout: Of its qubits, the least first; empty where none is known.
    """

    two_qubit: float | None
    readout: tuple[float, ...] = ()


def best_errors(document: TargetDocument) -> BestErrors | None:
    """The least errors of a device; None for a place that knows of no errors."""
    pairs, readout, known = [], [], False
    for operation in document.operations:
        for qubits, error in zip(operation.qargs or (), operation.errors, strict=False):
            if error is None or math.isnan(error):
                continue
            known = True
            if len(qubits) == 2 and error < _DEAD:
                pairs.append(error)
            if operation.name == "measure" and error < _DEAD:
                readout.append(error)
    return BestErrors(min(pairs, default=None), tuple(sorted(readout))) if known else None


def best_case_survival(traits: CircuitTraits, errors: BestErrors) -> float:
    """Product of (1 - error) over the circuit's two-qubit gates and readings, with the device's best, 0 to 1."""
    if traits.two_qubit_gates and errors.two_qubit is None:
        return 0.0
    log_survival = traits.two_qubit_gates * math.log1p(-(errors.two_qubit or 0.0))
    log_survival += sum(math.log1p(-error) for error in errors.readout[: traits.measurements])
    return math.exp(log_survival)
