"""Devices on offer: the client can build each, and a run can give each its noise."""

import json
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime import fake_provider
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import (
    configuration_from_server_data,
    properties_from_server_data,
)

from emulator.execution_devices import find_device
from emulator.snapshots import shipped
from qurable.errors import UnknownBackend
from tests.emulator.client_jobs import described, isa, results, sampler_job

DEVICES = shipped()


def test_every_shipped_snapshot_is_on_offer() -> None:
    """Nothing that the package ships is left out, and old devices are welcome."""
    snapshots = {
        kind.backend_name.replace("fake_", "ibm_", 1)
        for name in dir(fake_provider)
        if name.startswith("Fake")
        and isinstance(getattr(kind := getattr(fake_provider, name), "backend_name", None), str)
        and kind.backend_name.startswith("fake_")
    }

    assert DEVICES.keys() == snapshots
    assert len(DEVICES) >= 68


QUICK = {"ibm_armonk", "ibm_boston", "ibm_brisbane", "ibm_fractional", "ibm_manila", "ibm_yorktown"}
"""One qubit, a further kind of measurement, many qubits, fractional gates, and old gate sets."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in sorted(DEVICES)]
)
def test_the_client_builds_every_device_and_each_has_noise(name: str) -> None:
    """Configuration and properties decode as the client decodes them; a run finds gates, times and readout errors."""
    snapshot = DEVICES[name]
    configuration = configuration_from_server_data(snapshot.configuration())
    properties = properties_from_server_data(snapshot.properties())
    target = convert_to_target(configuration, properties)
    device = find_device(name)

    noise = device.qubit_noise(0)

    assert (configuration.backend_name, configuration.simulator) == (name, False)
    assert target.num_qubits == snapshot.qubits == device.document.num_qubits
    assert 0 <= noise.readout[0, 1] <= 1
    assert noise.gates
    assert noise.t2 <= 2 * noise.t1


def test_fractional_gates_run_where_a_device_has_them() -> None:
    """Rzz and rx are part of the target and carry its noise."""
    circuit = QuantumCircuit(2)
    circuit.rx(0.4, 0)
    circuit.rzz(0.7, 0, 1)
    circuit.rx(0.9, 1)
    circuit.measure_all()
    circuit = isa(circuit, "ibm_fractional", (0, 1))
    job = sampler_job("V2", [(circuit, None, 500)], "ibm_fractional")

    assert {"rx", "rzz"} <= circuit.count_ops().keys()
    assert described(job)["refusal"] is None
    assert results(job)[0].data.meas.num_shots == 500


def test_a_calibration_changes_the_noise() -> None:
    """Properties that come with a job stand for the snapshot's own."""
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    job = sampler_job("V2", [(isa(circuit, "ibm_manila", (2,)), None, 2000)], "ibm_manila")
    worse: Any = DEVICES["ibm_manila"].properties()
    for entry in worse["qubits"][2]:
        if entry["name"] in {"prob_meas0_prep1", "readout_error"}:
            entry["value"] = 0.4

    before = results(job)[0].data.meas.get_counts()["0"]
    after = results(job | {"properties": json.dumps(worse)})[0].data.meas.get_counts()["0"]

    assert before < 300 < 600 < after


def test_an_unknown_device_is_named_with_near_ones() -> None:
    """A slip of the pen is told what it is near to."""
    with pytest.raises(UnknownBackend, match="ibm_brisbane"):
        find_device("ibm_brisban")
