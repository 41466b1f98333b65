"""Variational loops on a real service: the answer, the log, what steers them, and what is refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from qiskit.circuit import QuantumCircuit

from qurable.contracts.optimisations import LoopState, OptimisationStatus, Steering, StopReason
from qurable.errors import JobCancelled, JobFailed, KeyReused, RequestRejected
from qurable.optimising import Loop
from tests.conftest import Service
from tests.variational_at_hand import H2, H2_ENERGY, three_regular

_SECONDS = 120

_ENDLESS: dict[str, Any] = {
    "shots": 100,
    "optimiser": {"name": "spsa"},
    "stop": {"evaluations": 1_000_000, "tolerance": 1e-12},
    "reference": None,
}
"""A loop that no rule of its own ends while a test looks at it."""


async def _until(loop: Loop, claim: Callable[[OptimisationStatus], bool]) -> OptimisationStatus:
    async with asyncio.timeout(_SECONDS):
        async for status in loop.progress():
            if claim(status):
                return status
    raise AssertionError(f"the loop ended before: {status}")


async def test_vqe_finds_the_ground_state_of_h2_and_every_evaluation_is_in_the_store(
    service: Service,
) -> None:
    """The bound of correctness, 1.6 mHa without noise, beside the exact energy; a second start finds the same loop."""
    wishes: dict[str, Any] = {
        "seed": 3,
        "optimiser": {"name": "cobyla"},
        "stop": {"tolerance": 1e-3},
        "key": "h2",
    }
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(H2, "real_amplitudes:1", **wishes)
        report = await loop.report()
        again = await service.qurable.optimise(H2, "real_amplitudes:1", **wishes)
        evaluations = [entry async for entry in again.evaluations()]
        status = await service.qurable.attach_loop(loop.id).status()
        with pytest.raises(KeyReused):
            await service.qurable.optimise(H2, "real_amplitudes:2", **wishes)
        with pytest.raises(RequestRejected, match=r"completed|ended"):
            await loop.stop()

    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.CONVERGED)
    assert report.value is not None
    assert report.reference is not None
    assert report.best is not None
    assert report.value == pytest.approx(H2_ENERGY, abs=1.6e-3)
    assert report.reference.value == pytest.approx(H2_ENERGY, abs=1e-8)
    assert report.gap == pytest.approx(report.value - report.reference.value)
    assert [entry.iteration for entry in evaluations] == list(range(report.spent.iterations))
    assert min(entry.value for entry in evaluations) == report.best.value
    assert again.id == loop.id
    assert (status.state, status.best) == (LoopState.COMPLETED, report.best)


async def test_a_loop_is_paused_changed_resumed_and_stopped(service: Service) -> None:
    """Each change takes effect at a chunk's end; the log says from which iteration on."""
    loop = await service.qurable.optimise(three_regular(6), "qaoa:1", **_ENDLESS)
    await _until(loop, lambda status: status.spent.iterations > 0)
    await loop.pause()
    paused = await _until(loop, lambda status: bool(status.message))
    await loop.steer(Steering(shots=50))
    await loop.resume()
    await _until(loop, lambda status: status.spent.iterations > paused.spent.iterations)
    await loop.stop()
    async with asyncio.timeout(_SECONDS):
        report = await loop.report()

    assert paused.state is LoopState.PAUSED
    assert report.stopped_by is StopReason.STOPPED
    assert report.provenance["shots"] == [
        {"from_iteration": 0, "shots": 100},
        {"from_iteration": paused.spent.iterations, "shots": 50},
    ]
    assert report.answer is not None
    assert report.error > 0


async def test_a_cancelled_loop_keeps_its_log_and_tells_nobody_an_answer(service: Service) -> None:
    """Giving up is not failing, and what was computed stays."""
    loop = await service.qurable.optimise(three_regular(6), "qaoa:1", **_ENDLESS)
    await _until(loop, lambda status: status.spent.iterations > 0)
    await loop.cancel()
    async with asyncio.timeout(_SECONDS):
        with pytest.raises(JobCancelled):
            await loop.report()
        evaluations = [entry async for entry in loop.evaluations()]

    assert evaluations


def _without_parameters() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    return circuit


@pytest.mark.parametrize(
    ("work", "ansatz", "wishes", "words"),
    [
        (H2, _without_parameters(), {}, "no parameters"),
        (H2, "real_amplitudes:1", {"backend": "nowhere", "shots": 10}, "nowhere"),
        (H2, "real_amplitudes:1", {"initial": (0.0,)}, "4 parameters"),
    ],
)
async def test_a_loop_that_cannot_run_is_refused_by_its_reason(
    service: Service, work: Any, ansatz: Any, wishes: dict[str, Any], words: str
) -> None:
    """Before anything is evaluated; and never by waiting for ever."""
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(work, ansatz, **wishes)
        with pytest.raises(JobFailed, match=words):
            await loop.report()


async def test_a_loop_ends_at_its_deadline_with_the_best_it_has(service: Service) -> None:
    """The time is the workflow's own: a chunk that is under way is called off."""
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(
            three_regular(6),
            "qaoa:1",
            **{**_ENDLESS, "stop": {**_ENDLESS["stop"], "deadline": "PT1S"}},
        )
        report = await loop.report()

    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.DEADLINE)
