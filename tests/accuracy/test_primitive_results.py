"""A report's `to_primitive_result()` is the `PrimitiveResult` of a direct run, whatever the registers and shapes."""

from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit_aer.primitives import SamplerV2 as AerSampler

from qurable.errors import JobFailed
from qurable.requests import estimate, sample
from tests.conftest import Service


def with_registers() -> QuantumCircuit:
    """Three registers, one of them of no machine word's width."""
    circuit = QuantumCircuit(
        QuantumRegister(75),
        ClassicalRegister(2, "a"),
        ClassicalRegister(70, "wide"),
        ClassicalRegister(3, "c"),
    )
    circuit.h(0)
    for qubit in range(0, 74, 3):
        circuit.cx(0, qubit + 1)
    circuit.x(71)
    circuit.measure(range(75), range(75))
    circuit.metadata = {"run": 7}
    return circuit


def turning() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("theta"), 0)
    circuit.rx(Parameter("alpha"), 1)
    circuit.cx(0, 2)
    circuit.measure_all()
    return circuit


async def test_a_sampled_job_is_a_direct_run(service: Service) -> None:
    """Registers, wide registers, shapes, the order of pubs and of shots: bit for bit."""
    values = np.random.default_rng(1).uniform(0, 3, (2, 3, 2))
    pubs: list[Any] = [with_registers(), (turning(), values), (turning(), values[0, 0]), with_registers()]

    report = await service.run(sample(*pubs, shots=300, seed=17, backend="aer"))

    ours, theirs = report.to_primitive_result(), AerSampler(seed=17).run(pubs, shots=300).result()
    for own, direct in zip(ours, theirs, strict=True):
        assert dict(own.data.items()) == dict(direct.data.items())
        assert own.data.shape == direct.data.shape
        assert own.metadata["circuit_metadata"] == direct.metadata["circuit_metadata"]


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
async def test_an_empty_sweep_is_an_empty_result(service: Service, shape: tuple[int, ...]) -> None:
    """A program that sweeps over nothing goes on with nothing."""
    report = await service.run(sample((turning(), np.zeros((*shape, 2))), shots=10, seed=1))

    assert report.to_primitive_result()[0].data.meas.shape == shape


async def test_an_estimate_has_the_shape_that_both_sides_broadcast_to(service: Service) -> None:
    """Bindings of shape (3, 1) against observables of shape (2,)."""
    circuit = turning().remove_final_measurements(inplace=False)
    angles = np.array([[[0.0, 0.3]], [[0.0, 1.0]], [[0.0, 2.0]]])

    report = await service.run(estimate((circuit, ["IIZ", "ZII"], angles), precision=0.0, seed=1))

    found = report.to_primitive_result()[0].data
    assert found.evs.shape == (3, 2)
    assert found.evs[:, 0] == pytest.approx(np.cos([0.3, 1.0, 2.0]))
    assert (found.stds == 0).all()


async def test_exact_values_with_noise_are_refused(service: Service) -> None:
    """A single trajectory would be called exact."""
    job = estimate((QuantumCircuit(2), "ZZ"), precision=0.0, backend="fake_jakarta")

    with pytest.raises(JobFailed, match="cannot give an exact value: ask for a precision above 0"):
        await service.run(job)
