"""The device snapshots that qiskit-ibm-runtime ships, under IBM's names. Files are read, nothing is imported."""

import functools
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Snapshot:
    """One device as it is shipped.

    Attributes:
        name: `ibm_` and a name.
        qubits: How many.
        configuration_file: As shipped.
        properties_file: As shipped.
    """

    name: str
    qubits: int
    configuration_file: Path
    properties_file: Path

    def configuration(self) -> dict[str, Any]:
        """As the service answers it: under IBM's name, and no simulator."""
        return {**_read(self.configuration_file), "backend_name": self.name, "simulator": False}

    def properties(self) -> dict[str, Any]:
        """As the service answers them before any calibration."""
        return {**_read(self.properties_file), "backend_name": self.name}


@functools.cache
def shipped() -> dict[str, Snapshot]:
    """Every snapshot that has a configuration and properties, by name."""
    package = find_spec("qiskit_ibm_runtime")
    if package is None or package.origin is None:
        return {}
    found = {}
    for place in sorted((Path(package.origin).parent / "fake_provider" / "backends").iterdir()):
        configuration, properties = sorted(place.glob("conf_*.json")), sorted(place.glob("props_*.json"))
        if configuration and properties:
            name = f"ibm_{place.name}"
            found[name] = Snapshot(name, _read(configuration[0])["n_qubits"], configuration[0], properties[0])
    return found


def _read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
