"""Calibration circuits prepare every qubit as often in 0 as in 1, and what they read is told by qubit."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from circuits.calibration import make_calibration
from circuits.calibration_plan import errors_from, patterns, runs_for
from circuits.parse import dump_qpy, load_qpy
from circuits.targets import describe_target


@pytest.mark.parametrize("qubits", [1, 2, 3, 5, 8, 127])
def test_each_qubit_is_as_often_in_0_as_in_1_and_no_two_are_always_alike(qubits: int) -> None:
    """By circuits whose number grows with the logarithm."""
    table = np.array(patterns(qubits))

    assert len(table) == 2 * max(1, int(np.ceil(np.log2(qubits))))
    assert (table.mean(axis=0) == 0.5).all()
    assert len({tuple(column) for column in table.T}) == qubits


def test_a_providers_job_keeps_its_number_of_shots() -> None:
    """Where that is sensible; a simulator takes any, once each."""
    at_provider = runs_for(4, 8_000, 1_000, at_provider=True)
    simulated = runs_for(4, 8_000, 1_000, at_provider=False)
    few, many = (runs_for(4, 8_000, shots, at_provider=True) for shots in (10, 100_000))

    assert (at_provider.copies, at_provider.shots, at_provider.per_qubit) == (2, 1_000, 8_000)
    assert (simulated.copies, simulated.shots) == (1, 2_000)
    assert (few.copies, few.shots) == (many.copies, many.shots) == (1, 2_000)


def test_circuits_read_the_qubits_that_the_job_reads_in_native_gates() -> None:
    """Physical ones, ascending, qubit number i into bit i."""
    device = FakeManilaV2()
    isa = QuantumCircuit(5, 2)
    isa.measure([4, 1], [0, 1])
    payload = {"isas": [dump_qpy(isa)], "target": describe_target(device.target).model_dump_json().encode()}
    answer = make_calibration(payload, lambda _: None)
    circuits = [load_qpy(entry["qpy"]) for entry in answer["circuits"]]

    assert answer["qubits"] == [1, 4]
    flipped = [
        [circuit.find_bit(item.qubits[0]).index for item in circuit.data if item.name == "x"]
        for circuit in circuits
    ]
    assert flipped == [[4], [1]]
    for circuit in circuits:
        read = [
            (circuit.find_bit(item.qubits[0]).index, circuit.find_bit(item.clbits[0]).index)
            for item in circuit.data
            if item.name == "measure"
        ]
        assert read == [(1, 0), (4, 1)]


def test_rates_are_those_that_were_drawn() -> None:
    """Within 5 standard errors, each qubit its own, both ways."""
    draws, shots = np.random.default_rng(1), 20_000
    truth = {3: (0.01, 0.05), 7: (0.2, 0.1), 9: (0.0, 0.0)}
    outcomes = []
    for pattern in patterns(3):
        columns = [
            np.abs(bit - (draws.random(shots) < truth[qubit][bit]).astype(int))
            for qubit, bit in zip(truth, pattern, strict=True)
        ]
        outcomes.append(np.packbits(np.column_stack(columns), axis=1, bitorder="little").astype(np.uint8))
    found = errors_from(list(truth), outcomes)

    for qubit, rates in truth.items():
        for rate, measured in zip(rates, found[qubit], strict=True):
            assert abs(measured - rate) <= 5 * np.sqrt(rate * (1 - rate) / (2 * shots))
