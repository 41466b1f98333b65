"""Loops and matrices on a server that soon suggests to go on as another run: their ends are those of one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from temporalio.api.enums.v1 import EventType

from activities import iterations, matrices
from circuits import matrix_jobs
from isolation.pool import Nursery
from qurable.contracts.matrices import MatrixHead, MatrixReport
from qurable.contracts.optimisations import (
    Evaluation,
    LoopCarry,
    LoopState,
    Optimisation,
    OptimisationReport,
    OptimisationStatus,
    Steering,
    StopReason,
)
from qurable.matrix_files import Matrix
from qurable.optimising import Loop
from tests.chaos.harness import until
from tests.conftest import Service, running_service
from tests.matrices_at_hand import data, feature_map
from tests.variational_at_hand import H2

EVENTS = 20
"""A history that the server calls long: that of three chunks of a loop, or of two of its jobs."""

DEVICE = "fake_manila"

_SECONDS = 100


@pytest.fixture(scope="module")
async def hurried(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncIterator[Service]:
    """A service whose server soon calls a history long."""
    flags = {"limit.historyCount.suggestContinueAsNew": str(EVENTS)}
    home = tmp_path_factory.mktemp("hurried")
    async with running_service(home, nursery, server_flags=flags) as service:
        yield service


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is one iteration, so that a short loop has many."""
    monkeypatch.setattr(iterations, "CHUNK_SECONDS", 0.0)


async def _runs(service: Service, workflow_id: str, *types: Any) -> list[list[Any]]:
    """What each run of an execution was started with, the first one first."""
    client = service.temporal
    run = (await client.get_workflow_handle(workflow_id).describe()).run_id
    found: list[list[Any]] = []
    while run:
        (event, *_) = (await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()).events
        assert event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        started = event.workflow_execution_started_event_attributes
        found.append(
            await client.data_converter.decode(list(started.input.payloads)[: len(types)], list(types))
        )
        run = started.continued_execution_run_id
    return found[::-1]


async def _carries(service: Service, loop: Loop) -> list[LoopCarry]:
    """What the runs of a loop after the first were handed."""
    first, *others = await _runs(service, loop.id, Optimisation, LoopCarry | None)
    assert first[1] is None
    return [carry for _, carry in others]


async def _until(loop: Loop, what: str, claim: Callable[[OptimisationStatus], bool]) -> OptimisationStatus:
    async def there() -> OptimisationStatus | None:
        status = await loop.status()
        return status if claim(status) else None

    found: OptimisationStatus = await until(what, there, _SECONDS)
    return found


@dataclass(frozen=True)
class Walk:
    """What is left of a loop, without times."""

    log: list[Evaluation]
    report: dict[str, Any]


async def _walk(loop: Loop) -> Walk:
    report: OptimisationReport = await loop.report()
    document = report.model_dump(exclude={"began": True, "ended": True, "spent": {"seconds"}})
    return Walk([entry async for entry in loop.evaluations()], document)


def _wishes(**options: Any) -> dict[str, Any]:
    return {
        "shots": 50,
        "seed": 5,
        "optimiser": {"name": "spsa"},
        "stop": {"evaluations": 43, "tolerance": 1e-12},
        "reference": None,
        **options,
    }


async def _paused_and_resumed(loop: Loop, iteration: int) -> None:
    await _until(loop, f"iteration {iteration}", lambda status: status.spent.iterations >= iteration)
    await loop.pause()
    await _until(loop, "it is paused", lambda status: status.state is LoopState.PAUSED)
    await loop.resume()


@pytest.mark.long
async def test_a_loop_in_chunks_that_goes_on_as_other_runs_walks_as_one_run(
    service: Service, hurried: Service, one_by_one: None
) -> None:
    """Also where it is paused and resumed in a later run: points, values, seeds and report are those of the calm loop."""
    async with asyncio.timeout(_SECONDS):
        calm = await service.qurable.optimise(H2, "real_amplitudes:1", key="continued", **_wishes())
        loop = await hurried.qurable.optimise(H2, "real_amplitudes:1", key="continued", **_wishes())
        await _paused_and_resumed(loop, 8)
        one, many = await _walk(calm), await _walk(loop)
        carries = await _carries(hurried, loop)

    assert len(carries) >= 3
    assert [carry.chunks for carry in carries] == sorted({carry.chunks for carry in carries})
    assert {carry.began for carry in carries} == {carries[0].began}
    assert len(one.log) >= 42
    assert many.log == one.log
    assert {
        name: (one.report[name], found) for name, found in many.report.items() if found != one.report[name]
    } == {}


@pytest.mark.long
async def test_what_a_loop_was_told_and_its_deadline_hold_in_later_runs(
    hurried: Service, one_by_one: None
) -> None:
    """A deadline that began again with each run would never come."""
    endless = {"evaluations": 10**6, "tolerance": 1e-12, "deadline": 5}
    async with asyncio.timeout(_SECONDS):
        loop = await hurried.qurable.optimise(H2, "real_amplitudes:1", **_wishes(stop=endless))
        await _until(loop, "it runs", lambda status: status.spent.iterations > 0)
        await loop.steer(Steering(shots=20))
        report = await loop.report()
        carries = await _carries(hurried, loop)
        log = [entry async for entry in loop.evaluations()]

    assert report.stopped_by is StopReason.DEADLINE
    assert carries[-1].shots == 20
    assert (log[0].shots, log[-1].shots) == (50, 20)


async def test_a_loop_that_goes_on_as_other_runs_is_stopped(hurried: Service, one_by_one: None) -> None:
    """Whichever run is told, and with the best so far."""
    endless = {"evaluations": 10**6, "tolerance": 1e-12}
    async with asyncio.timeout(_SECONDS):
        loop = await hurried.qurable.optimise(H2, "real_amplitudes:1", **_wishes(stop=endless))
        await _until(loop, "later runs", lambda status: status.spent.iterations > 12)
        await loop.stop()
        report = await loop.report()
        carries = await _carries(hurried, loop)

    assert len(carries) >= 2
    assert report.stopped_by is StopReason.STOPPED
    assert report.best is not None


async def test_a_loop_of_jobs_that_goes_on_as_other_runs_walks_as_one_run(
    service: Service, hurried: Service, one_by_one: None
) -> None:
    """From exploring to finishing, and with a job's answer that the next run keeps: each iteration is one job."""
    finish = {"backend": DEVICE, "shots": 40, "when": "iterations", "explore": 6, "iterations": 5}
    wishes = _wishes(finish=finish, stop={"tolerance": 1e-12})
    async with asyncio.timeout(_SECONDS):
        calm = await service.qurable.optimise(H2, "real_amplitudes:1", key="continued-jobs", **wishes)
        one = await _walk(calm)
        loop = await hurried.qurable.optimise(H2, "real_amplitudes:1", key="continued-jobs", **wishes)
        await _paused_and_resumed(loop, 8)
        many = await _walk(loop)
        carries = await _carries(hurried, loop)

    assert {carry.finishing for carry in carries} == {False, True}
    assert any(carry.ended for carry in carries)
    assert {(carry.backend, carry.shots) for carry in carries if carry.finishing} == {(DEVICE, 40)}
    assert [job["ordinal"] for job in many.report["jobs"]] == [0] * 6
    assert many.log == one.log
    assert {
        name: (one.report[name], found) for name, found in many.report.items() if found != one.report[name]
    } == {}


async def _matrix(service: Service) -> tuple[MatrixReport, Matrix, list[list[Any]]]:
    asked = {"shots": 50, "seed": 3, "project": "continued", "key": "continued"}
    run = await service.qurable.kernel(feature_map(), data(5), **asked)
    return await run.report(), await run.matrix(), await _runs(service, run.id, MatrixHead)


def _one_entry_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a matrix keep one entry, and its turn be over."""
    gather, turn = matrices.Matrices._gather, 0.5

    async def slow(self: matrices.Matrices, identity: str, round_: int, batch: str) -> int:
        new = await gather(self, identity, round_, batch)
        if new:
            await asyncio.sleep(turn)  # as long as a turn lasts
        return new

    monkeypatch.setattr(matrices, "_PAGE", 1)
    monkeypatch.setattr(matrices, "TURN_SECONDS", turn)
    monkeypatch.setattr(matrices.Matrices, "_gather", slow)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_matrix_that_goes_on_as_other_runs_is_that_of_one_run(
    service: Service, hurried: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that an earlier run has kept are neither lost nor run again."""
    monkeypatch.setattr(matrix_jobs, "most_in_a_chunk", lambda *_, **__: 1)
    async with asyncio.timeout(_SECONDS):
        calm, one, calm_runs = await _matrix(service)
        _one_entry_a_turn(monkeypatch)
        report, many, runs = await _matrix(hurried)

    times = {"accepted", "ended", "durations"}
    assert len(calm_runs) == 1
    assert [head.begun for (head,) in runs] == [False] + [True] * (len(runs) - 1)
    assert len(runs) >= 2
    assert report.model_dump(exclude={*times, "sha256", "size"}) == calm.model_dump(
        exclude={*times, "sha256", "size"}
    )
    assert (report.entries, report.jobs) == (10, calm.jobs)
    for name in ("train", "train_error"):
        assert np.array_equal(many[name], one[name])
