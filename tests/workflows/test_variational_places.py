"""Variational loops elsewhere than on `aer`: each iteration is a job, and the log is what it always is."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from circuits.seeds import STRIDE, iteration_base
from qurable.contracts.optimisations import LoopState, OptimisationStatus, Steering, StopReason
from qurable.contracts.results import EstimateResult
from qurable.errors import JobCancelled, RequestRejected
from qurable.optimising import Loop
from tests.chaos.harness import until
from tests.conftest import Service
from tests.variational_at_hand import H2, three_regular

DEVICE = "fake_manila"
"""Five qubits: the smallest noisy circuits there are."""

_SECONDS = 120


async def _until(loop: Loop, what: str, claim: Callable[[OptimisationStatus], bool]) -> OptimisationStatus:
    async def there() -> OptimisationStatus | None:
        status = await loop.status()
        return status if claim(status) else None

    found: OptimisationStatus = await until(what, there, _SECONDS)
    return found


def _wishes(**options: Any) -> dict[str, Any]:
    return {
        "backend": DEVICE,
        "shots": 100,
        "seed": 5,
        "optimiser": {"name": "spsa"},
        "stop": {"evaluations": 11, "tolerance": 1e-12},
        "reference": None,
        **options,
    }


async def test_each_iteration_on_a_device_is_a_job_and_its_circuit_is_compiled_once(service: Service) -> None:
    """The log says where, by which job, with which seeds; the last point is a job too."""
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(H2, "real_amplitudes:1", **_wishes())
        report = await loop.report()
        log = [entry async for entry in loop.evaluations()]
        jobs = [await service.qurable.result(job.id) for job in report.jobs]

    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.EVALUATIONS)
    assert [(place.backend, place.first, place.evaluations) for place in report.places] == [
        (DEVICE, 0, len(log))
    ]
    assert [job.purpose for job in report.jobs] == ["iteration"] * report.spent.iterations + ["value"]
    assert {entry.job_id for entry in log} == {job.id for job in report.jobs if job.purpose == "iteration"}
    for entry in log:
        assert entry.seed == iteration_base(5, entry.iteration) + STRIDE * entry.member
    caches = [circuit.cache for job in jobs if job.provenance for circuit in job.provenance.circuits]
    assert caches.count("miss") <= 1
    assert len(caches) == len(jobs)
    last = jobs[-1].results[0]
    assert isinstance(last, EstimateResult)
    assert report.value == min(last.evs.values)
    assert report.spent.jobs == len(jobs)


async def test_a_loop_explores_on_aer_and_finishes_on_a_device_with_more_shots(service: Service) -> None:
    """The report says which evaluations were where, and the answer is the device's."""
    finish = {"backend": DEVICE, "shots": 200, "when": "iterations", "explore": 4, "iterations": 2}
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(
            three_regular(4),
            "qaoa:1",
            **_wishes(backend="aer", shots=None, finish=finish, stop={"tolerance": 1e-12}),
        )
        report = await loop.report()
        log = [entry async for entry in loop.evaluations()]

    assert report.stopped_by is StopReason.FINISHED
    assert [(place.backend, place.first, place.iterations) for place in report.places] == [
        ("aer", 0, 4),
        (DEVICE, 4, 2),
    ]
    assert {(entry.backend, entry.shots) for entry in log} == {("aer", None), (DEVICE, 200)}
    assert report.best is not None
    assert report.best.iteration >= 4
    assert report.curve[-1].best == report.best.value
    assert [job.purpose for job in report.jobs] == ["iteration", "iteration", "answer", "value"]
    assert report.answer is not None
    assert report.answer.assignment is not None
    assert report.provenance["final_shots"] == 200


@pytest.mark.long
async def test_a_loop_is_switched_to_a_device_and_stopped_there(service: Service) -> None:
    """From the next iteration on; stopping withdraws the job that runs and keeps what is there."""
    loop = await service.qurable.optimise(
        H2, "real_amplitudes:1", **_wishes(backend="aer", stop={"evaluations": 10**6, "tolerance": 1e-12})
    )
    await _until(loop, "it runs", lambda status: status.spent.iterations > 0)
    with pytest.raises(RequestRejected, match="classical"):
        await loop.steer(Steering(backend="classical"))
    await loop.steer(Steering(backend=DEVICE, shots=50))
    await _until(loop, "it runs there", lambda status: status.spent.jobs > 2)
    await loop.stop()
    async with asyncio.timeout(_SECONDS):
        report = await loop.report()

    assert [place.backend for place in report.places] == ["aer", DEVICE]
    assert report.stopped_by is StopReason.STOPPED
    assert report.best is not None
    assert report.value == report.best.value
    assert any("not evaluated anew" in warning for warning in report.warnings)


async def test_a_loop_whose_job_fails_is_paused_with_the_reason_and_goes_on_where_it_is_switched_to(
    service: Service,
) -> None:
    """The same iteration, under another key; nothing that was found before is lost."""
    loop = await service.qurable.optimise(
        H2, "real_amplitudes:1", **_wishes(stop={"evaluations": 14, "tolerance": 1e-12})
    )
    await _until(loop, "it runs there", lambda status: status.spent.iterations > 0)
    await loop.steer(Steering(backend="fake_nowhere"))
    paused = await _until(loop, "it is paused", lambda status: status.state is LoopState.PAUSED)
    await loop.resume()
    again = await _until(
        loop,
        "it is paused again",
        lambda status: status.state is LoopState.PAUSED and status.message != paused.message,
    )
    await loop.steer(Steering(backend=DEVICE, pause=True))
    waiting = await loop.status()
    await loop.resume()
    async with asyncio.timeout(_SECONDS):
        report = await loop.report()
        log = [entry async for entry in loop.evaluations()]

    assert waiting.state is LoopState.PAUSED  # it was told to, there
    assert "fake_nowhere" in paused.message
    assert "fake_nowhere" in again.message
    assert report.stopped_by is StopReason.EVALUATIONS
    failed = [job for job in report.jobs if job.backend == "fake_nowhere"]
    assert [job.ordinal for job in failed] == [0, 1]
    (repeated,) = {job.iteration for job in failed}
    assert [job.ordinal for job in report.jobs if job.iteration == repeated and job.backend == DEVICE] == [2]
    assert sorted({entry.iteration for entry in log}) == list(range(report.spent.iterations))


async def test_a_cancelled_loop_cancels_its_job(service: Service) -> None:
    """Nothing runs on for nobody."""
    loop = await service.qurable.optimise(
        H2, "real_amplitudes:1", **_wishes(shots=100_000, stop={"evaluations": 10**6, "tolerance": 1e-12})
    )
    running = await _until(loop, "a job runs", lambda status: bool(status.job_id))
    await loop.cancel()
    async with asyncio.timeout(_SECONDS):
        with pytest.raises(JobCancelled):
            await loop.report()
        status = await service.qurable.status(running.job_id)

    assert status.state.final


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"backend": "classical"}, "name one place"),
        ({"shots": None}, "needs `shots`"),
        ({"finish": {"backend": DEVICE}}, "needs `shots`"),
        ({"finish": {"backend": DEVICE, "shots": 5, "when": "iterations"}}, "explore"),
        ({"finish": {"backend": DEVICE, "shots": 5, "when": "plateau"}}, "stop.plateau"),
        ({"ibm": {"mode": "session"}, "budget": {"qpu_seconds": 5}}, "dedicated session"),
    ],
)
async def test_a_place_that_means_nothing_is_refused_before_anything_starts(
    service: Service, wishes: dict[str, Any], words: str
) -> None:
    """By the reason, and with the way out."""
    with pytest.raises(RequestRejected, match=words):
        await service.qurable.optimise(H2, "real_amplitudes:1", **_wishes(**wishes))
