"""Pubs and results over the wire: the real client, the emulated provider, and back."""

from typing import Any

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit

from circuits.assembly import arrays_of
from qurable.contracts.executions import Piece, Slice, Submission
from qurable.contracts.ibm import Generation, IbmOptions
from tests.backends.ibm.driving import Driver
from tests.backends.ibm.submissions import GENERATIONS, Lab, submission

ANGLES = np.array([0.2, 1.0, 1.9, 2.8])
NOISE = 0.15
"""What the device's errors may add to a value; the angles differ by more."""


def _rotation(*, measured: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(Parameter("p0"), 0)
    circuit.x(1)
    if measured:
        circuit.measure([0, 1], [1, 0])
    return circuit


BINDINGS = {"parameters": ("p0",), "shape": (4,), "values": tuple(ANGLES.tolist())}


async def _through(driver: Driver, lab: Lab, asked: Submission, generation: Generation) -> list[Piece]:
    """The pieces of the last three bindings, which are sent as one part."""
    part = [Slice(pub=0, start=1, stop=4).model_dump()]
    document = asked.model_dump_json()
    job = await driver.post(
        f"qurable-posted-{asked.kind}-{generation}",
        generation,
        submission=document,
        slices=part,
        circuits=lab.circuits,
    )
    await driver.finish(job)
    await driver.ask("fetch", id=job, submission=document, slices=part)
    return [Piece(**piece) for piece in driver.pieces]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_samples_come_back_in_their_places(driver: Driver, generation: Generation) -> None:
    """Each binding in its row, each qubit in the bit it was measured into."""
    lab = Lab(layout=(3, 1))
    asked = submission(lab.pub(_rotation(measured=True), bindings=BINDINGS, shots=500))
    (piece,) = await _through(driver, lab, asked, generation)

    bits = arrays_of(piece)["bits"]
    assert bits.shape == (3, 500, 1)
    assert np.abs((bits >> 1 & 1).mean(axis=(1, 2)) - np.sin(ANGLES[1:] / 2) ** 2).max() < NOISE
    assert (bits & 1).mean() > 1 - NOISE


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_estimates_come_back_in_their_places(driver: Driver, generation: Generation) -> None:
    """Through the layout, two observables to a binding, with their flat positions in the pub's result."""
    lab = Lab(layout=(3, 1))
    observables: Any = {"shape": (2, 1), "items": ["IZ", {"ZI": 1.0, "II": 3.0}]}
    pub = lab.pub(_rotation(measured=False), bindings=BINDINGS, observables=observables, shots=2000)
    (piece,) = await _through(
        driver, lab, submission(pub, options=IbmOptions(resilience_level=0)), generation
    )

    arrays = arrays_of(piece)
    found = dict(zip(arrays["index"].tolist(), arrays["evs"].tolist(), strict=True))
    assert sorted(found) == [1, 2, 3, 5, 6, 7]
    for at, angle in enumerate(ANGLES[1:], start=1):
        assert found[at] == pytest.approx(np.cos(angle), abs=2 * NOISE)
        assert found[4 + at] == pytest.approx(2.0, abs=2 * NOISE)
    assert (arrays["stds"] > 0).all()
