"""A worker that is killed while it solves costs time, and never changes an answer."""

import asyncio
import math
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qurable.requests import AnyJob, sample
from tests.chaos.harness import DEADLINE_SECONDS, house


def _job(backend: str) -> AnyJob:
    """Sixty bindings in several pieces."""
    circuit = QuantumCircuit(12)
    circuit.h(0)
    circuit.rx(Parameter("angle"), 11)
    for qubit in range(11):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    values = [[math.pi / 2 * turn] for turn in range(60)]
    return sample((circuit, values, 3_000), seed=7, backend=backend)


@pytest.mark.long
async def test_another_worker_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """The pieces that were kept are not solved again, and all are what they would have been."""
    async with house(tmp_path / "house") as chaos, asyncio.timeout(2 * DEADLINE_SECONDS):
        for backend in ("classical:clifford", "classical:mps"):
            calm = await chaos.qurable.run(_job(backend))
            chaos.arm("simulation:piece_kept")
            report = await chaos.qurable.run(_job(backend))

            assert chaos.was_reached("simulation:piece_kept")
            assert report.served_by == backend
            assert report.results == calm.results
            assert report.confidence == calm.confidence
            assert chaos.repeated(report.id) == []
