"""What a run needs of a device: its target, its times and its noise."""

import difflib
import functools
import json
from typing import Any

from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from circuits.qpu_time import REP_DELAY_SECONDS
from circuits.targets import describe_target
from emulator.snapshots import shipped
from isolation.device_noise import QubitNoise, noise_model, qubit_noise
from qurable.contracts.targets import TargetDocument
from qurable.errors import UnknownBackend

_DEVICES = 4
_KNOWN = frozenset({"delay", "measure", "reset"})
"""Operations that Aer knows, besides Qiskit's gates: IBM's further kinds of measurement are not among them."""


class Device:
    """What a run needs of a device.

    Args:
        name: `ibm_` and a name.
        configuration: As the service answers it.
        properties: As the service answers them.

    Attributes:
        target: Qiskit's own, fractional gates included.
        document: The same as a document.
        rep_delay: Pause between two shots where a job names none (s).
        rep_delay_range: Least and most that a job may name (s); None where it may name none.
    """

    def __init__(self, name: str, configuration: dict[str, Any], properties: dict[str, Any]) -> None:
        from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
        from qiskit_ibm_runtime.utils.backend_decoder import (
            configuration_from_server_data,
            properties_from_server_data,
        )

        decoded = configuration_from_server_data(configuration, use_fractional_gates=None)
        self.name = name
        self.target: Any = convert_to_target(
            decoded, properties_from_server_data(properties, use_fractional_gates=None)
        )
        self.document: TargetDocument = describe_target(self.target)
        known = _KNOWN | set(get_standard_gate_name_mapping())
        self._noisy = self.document.model_copy(
            update={"operations": tuple(one for one in self.document.operations if one.name in known)}
        )
        self.rep_delay: float = getattr(decoded, "default_rep_delay", REP_DELAY_SECONDS)
        least_most = getattr(decoded, "rep_delay_range", None)
        self.rep_delay_range: tuple[float, float] | None = None if least_most is None else tuple(least_most)
        self._models: dict[tuple[tuple[int, ...], bool], Any] = {}
        self._qubits: dict[int, QubitNoise] = {}

    def noise_model(self, qubits: tuple[int, ...], *, thermal_relaxation: bool) -> Any:
        """Aer's noise model of these qubits, in this order."""
        key = (qubits, thermal_relaxation)
        if key not in self._models:
            self._models[key] = noise_model(self._noisy, qubits, thermal_relaxation=thermal_relaxation)
        return self._models[key]

    def qubit_noise(self, qubit: int) -> QubitNoise:
        """The noise of one qubit on its own, as matrices."""
        if qubit not in self._qubits:
            self._qubits[qubit] = qubit_noise(self._noisy, qubit)
        return self._qubits[qubit]


@functools.lru_cache(maxsize=_DEVICES)
def find_device(name: str, properties: str | None = None) -> Device:
    """A device by IBM's name.

    Args:
        name: `ibm_` and a name.
        properties: JSON text that stands for the snapshot's own, as after a calibration.

    Raises:
        UnknownBackend: No such snapshot; near names are in the message.
    """
    snapshots = shipped()
    if name not in snapshots:
        near = difflib.get_close_matches(name, snapshots, n=3, cutoff=0.5)
        raise UnknownBackend(
            f"the emulator has no device {name!r}"
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "; ask it for its backends"),
            near=near,
        )
    found = snapshots[name]
    calibrated = found.properties() if properties is None else json.loads(properties)
    return Device(name, found.configuration(), calibrated)
