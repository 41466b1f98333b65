"""Qiskit's primitives, durable by one changed line."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2
from qiskit.providers import JobStatus
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import SamplerV2 as AerSampler

from qurable.blocking import BlockingQurable
from qurable.primitives import QurableEstimator, QurableJob, QurableSampler
from tests.conftest import Service
from tests.qurable.programs import cut_ring, diagonalise_samples, maxcut_by_qaoa


@pytest.fixture
async def client(service: Service) -> AsyncIterator[BlockingQurable]:
    """A blocking client; the service runs on the loop of the tests, so whatever blocks goes to a thread."""
    client = await asyncio.to_thread(BlockingQurable, service.server.target, home=service.settings.home)
    yield client
    await asyncio.to_thread(client.close)


def _ansatz(*, measured: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("b"), 0)
    circuit.cx(0, 1)
    circuit.rx(Parameter("a"), 2)
    circuit.cz(1, 2)
    if measured:
        circuit.measure_all()
    return circuit


async def test_the_sampler_gives_what_aer_gives(client: BlockingQurable) -> None:
    """Same seed, same bits, in Qiskit's own containers."""
    pubs = [
        (_ansatz(measured=True), np.array([[0.1, 0.2], [0.3, 0.4]])),
        (_ansatz(measured=True), [1.0, 2.0]),
    ]
    sampler = QurableSampler(client, backend="aer", seed=5, default_shots=300)
    job = await asyncio.to_thread(sampler.run, pubs)
    ours = await asyncio.to_thread(job.result)
    direct = AerSampler(seed=5, default_shots=300).run(pubs).result()

    assert isinstance(sampler, BaseSamplerV2)
    for mine, theirs in zip(ours, direct, strict=True):
        assert mine.data.shape == theirs.data.shape
        assert np.array_equal(mine.data.meas.array, theirs.data.meas.array)


async def test_the_estimator_gives_exact_values(client: BlockingQurable) -> None:
    """Precision 0 asks for the exact value, and observables broadcast against bindings."""
    observables = [[SparsePauliOp("ZZI")], [SparsePauliOp(["XXI", "IIZ"], [0.5, 2.0])]]
    pub = (_ansatz(measured=False), observables, np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))
    estimator = QurableEstimator(client, backend="aer", default_precision=0)
    job = await asyncio.to_thread(estimator.run, [pub])
    ours = (await asyncio.to_thread(job.result))[0].data
    direct = AerEstimator().run([pub]).result()[0].data

    assert isinstance(estimator, BaseEstimatorV2)
    assert ours.evs.shape == (2, 3)
    assert np.allclose(ours.evs, direct.evs, atol=1e-10)
    assert not ours.stds.any()


async def test_a_job_is_found_again_by_its_id(client: BlockingQurable) -> None:
    """The program may end, and another one fetch the result."""
    job = await asyncio.to_thread(QurableSampler(client, seed=1).run, [_bell()])
    again = QurableJob(job.job_id(), client)

    assert (await asyncio.to_thread(again.result))[0].data.meas.get_counts()
    assert await asyncio.to_thread(again.status) is JobStatus.DONE
    assert await asyncio.to_thread(again.in_final_state)


def _bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


async def test_a_named_run_that_is_started_again_pays_for_nothing_twice(
    client: BlockingQurable, service: Service
) -> None:
    """The n-th call of the second start is the n-th job of the first."""

    def program() -> list[str]:
        sampler = QurableSampler(client, run_name="nightly")
        return [sampler.run([_bell()], shots=shots).job_id() for shots in (10, 20, 10)]

    first = await asyncio.to_thread(program)
    second = await asyncio.to_thread(program)

    assert first == second
    assert len(set(first)) == 3
    for job in first:
        await asyncio.to_thread(client.result, job)
        assert service.journal.steps(job).count("accept") == 1


async def test_qaoa_runs_unchanged(client: BlockingQurable) -> None:
    """Other people's code takes the sampler as any other."""
    found = await asyncio.to_thread(maxcut_by_qaoa, QurableSampler(client, backend="aer", seed=3))

    assert found["cut"] == 9
    assert len(found["values"]) >= 10


async def test_a_cutting_workflow_runs_unchanged(client: BlockingQurable) -> None:
    """Twelve shot errors of a few thousand shots at an overhead of a few: the tolerance is five of them."""
    value, exact = await asyncio.to_thread(cut_ring, QurableSampler(client, backend="aer", seed=4))

    assert abs(value - exact) < 0.15


@pytest.mark.long
async def test_sqd_runs_unchanged(client: BlockingQurable) -> None:
    """A subspace energy is never below the exact one, and close to it here."""
    energy, exact = await asyncio.to_thread(
        diagonalise_samples, QurableSampler(client, backend="aer", seed=5)
    )

    assert exact - 1e-9 <= energy <= exact * 0.9
