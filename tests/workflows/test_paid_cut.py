"""A cut on a device that costs money and is narrower than the circuit: the price before, and what was paid."""

import asyncio

import pytest
from qiskit import QuantumCircuit

from qurable.contracts.cutting import CutState
from qurable.requests import estimate
from tests.cut_at_hand import exact_values
from tests.paid import DEVICE, Paid

_SECONDS = 200
_SIGMAS = 4.0
"""Of 4 values with a fixed seed, on a device without noise of its own: a false alarm has a chance below 10^-3."""

_ASKED = ["IIIIIIIIIZ", "IIIIZZIIII", "ZZIIIIIIZZ", "IIIIXXIIII"]
"""On one fragment, on both sides of the cut, at both ends, and in another basis; none is 0, which a broken cut reads too."""


def _ten_qubits() -> QuantumCircuit:
    """Twice what the device has; a chain that one cut divides."""
    circuit = QuantumCircuit(10, name="ten_qubits")
    for qubit in range(10):
        circuit.ry(0.3 + 0.04 * qubit, qubit)
    for qubit in range(9):
        circuit.cx(qubit, qubit + 1)
        circuit.rx(0.1 + 0.03 * qubit, qubit + 1)
    return circuit


@pytest.mark.long
async def test_a_circuit_twice_as_wide_as_the_device_agrees_with_the_whole_and_is_paid_once(
    paid: Paid,
) -> None:
    """One provider job for each fragment; QPU seconds and money are estimated before and reported after."""
    asked = (_ten_qubits(), _ASKED)
    async with asyncio.timeout(_SECONDS):
        uncut = await paid.refused(estimate(asked, precision=0.1, backend=DEVICE))
        price = await paid.service.qurable.price_cut(asked, backend=DEVICE, shots=1000, seed=5)
        assert await paid.taken() == []
        cut = await paid.service.qurable.cut(asked, backend=DEVICE, shots=1000, seed=5)
        report = await cut.report()

    taken = await paid.taken()
    assert "10 qubits; 'ibm:manila' has 5" in str(uncut)
    assert "`qurable cut`" in str(uncut)
    assert (price.qubits, price.width, price.overhead) == (5, 10, 9.0)
    assert [piece.width for piece in price.fragments] == [5, 5]
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
    assert report.stds is not None
    for value, error, exact in zip(report.evs.values, report.stds.values, exact_values(*asked), strict=True):
        assert 0 < error < abs(exact) / _SIGMAS
        assert abs(value - exact) < _SIGMAS * error
