"""Aer's noise of a device, for the qubits that a circuit keeps busy."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import SuperOp
from qiskit_aer.noise import NoiseModel, thermal_relaxation_error
from qiskit_aer.noise.device import basic_device_gate_errors, basic_device_readout_errors

from circuits.targets import build_target
from qurable.contracts.targets import TargetDocument

Matrices = npt.NDArray[np.complex128]


class _Device(BackendV2):
    """As much of a backend as Aer's noise model wants to see."""

    def __init__(self, document: TargetDocument, active: tuple[int, ...]) -> None:
        super().__init__(name="device")
        self._target = build_target(document, only=active)

    @property
    def target(self) -> Any:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        raise NotImplementedError("a description of a device, not a device")


def noise_model(
    document: TargetDocument, active: tuple[int, ...], *, thermal_relaxation: bool = True
) -> NoiseModel:
    """The device's noise on these qubits alone: building it for all 133 takes seconds, and so does each run.

    Args:
        document: The device.
        active: Its qubits in the order the circuit has them.
        thermal_relaxation: False puts the whole error of each gate into a depolarizing channel, which the
            stabilizer method can carry; the average gate errors stay the device's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NoiseModel.from_backend(_Device(document, active), thermal_relaxation=thermal_relaxation)


@dataclass(frozen=True)
class QubitNoise:
    """The noise that `noise_model` has for one qubit on its own, as matrices.

    Attributes:
        gates: Superoperator after each gate, shape (4, 4), on column-stacked density matrices.
        readout: Row i holds the probabilities to read 0 and 1 in state i, shape (2, 2).
        t1: Relaxation time (s); infinite where unknown.
        t2: Dephasing time (s), at most 2 t1; infinite where unknown.
    """

    gates: dict[str, Matrices]
    readout: npt.NDArray[np.float64]
    t1: float
    t2: float

    def idle(self, seconds: float) -> Matrices:
        """Superoperator of a delay, shape (4, 4)."""
        if np.isinf(self.t1) and np.isinf(self.t2):
            return np.eye(4, dtype=np.complex128)
        return _superoperator(thermal_relaxation_error(self.t1, self.t2, seconds))


def qubit_noise(document: TargetDocument, qubit: int) -> QubitNoise:
    """The device's noise on one qubit: what `noise_model` gives it, gate by gate."""
    target = build_target(document, only=(qubit,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gates = {
            name: _superoperator(error)
            for name, qubits, error in basic_device_gate_errors(target=target)
            if tuple(qubits) == (0,)
        }
        readouts = [error.probabilities for _, error in basic_device_readout_errors(target=target)]
    properties = document.qubits[qubit] if document.qubits else None
    t1 = np.inf if properties is None or properties.t1 is None else properties.t1
    t2 = np.inf if properties is None or properties.t2 is None else properties.t2
    return QubitNoise(
        gates=gates,
        readout=np.array(readouts[0] if readouts else np.eye(2), dtype=np.float64),
        t1=t1,
        t2=min(t2, 2 * t1),
    )


def _superoperator(error: Any) -> Matrices:
    return np.asarray(SuperOp(error).data, dtype=np.complex128)
