"""A cut on a device that costs money and is narrower than the circuit: the price before, and what was paid."""

import asyncio

import pytest
from qiskit import QuantumCircuit

from qurable.contracts.cutting import CutState
from tests.cut_at_hand import exact_values
from tests.paid import DEVICE, Paid

_SECONDS = 200
_OF_THE_DEVICE = 0.3
"""How far the emulated device's noise may move a value; no error bar knows of it."""


def _six_qubits() -> QuantumCircuit:
    """One more than the device has; a chain that one cut divides."""
    circuit = QuantumCircuit(6, name="six_qubits")
    for qubit in range(6):
        circuit.ry(0.2 + 0.3 * qubit, qubit)
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
    return circuit


@pytest.mark.long
async def test_a_circuit_wider_than_the_device_is_priced_cut_and_paid_once(paid: Paid) -> None:
    """One provider job for each fragment; QPU seconds and money are estimated before and reported after."""
    asked = (_six_qubits(), ["ZIIIII", "IIZZII"])
    async with asyncio.timeout(_SECONDS):
        price = await paid.service.qurable.price_cut(asked, backend=DEVICE, shots=200, seed=5)
        assert await paid.taken() == []
        cut = await paid.service.qurable.cut(asked, backend=DEVICE, shots=200, seed=5)
        report = await cut.report()

    taken = await paid.taken()
    assert (price.qubits, price.width, price.overhead) == (5, 6, 9.0)
    assert all(piece.width <= 5 for piece in price.fragments)
    assert price.estimate.qpu_seconds is not None
    assert price.estimate.price == pytest.approx(1.6 * price.estimate.qpu_seconds.high)
    assert report.price.estimate.qpu_seconds is not None
    assert report.state is CutState.COMPLETED
    assert len(taken) == len(report.fragments) == 2
    assert report.qpu_seconds == pytest.approx(sum(job["billed_seconds"] for job in taken), abs=1e-2)
    assert report.qpu_seconds <= 1.1 * price.estimate.qpu_seconds.high
    assert report.cost == pytest.approx(1.6 * report.qpu_seconds)
    assert report.currency == "USD"
    assert {end.served_by for end in report.fragments} == {DEVICE}
    assert report.evs is not None
    for value, exact in zip(report.evs.values, exact_values(*asked), strict=True):
        assert abs(value - exact) < _OF_THE_DEVICE
