"""Kill -9 while a solver works, and between its answer and the store: time is lost, the answer is not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import JobReport
from qurable.requests import AnyJob, solve
from tests.chaos.harness import DEADLINE_SECONDS, House, family, house, is_alive, processor_seconds, until
from tests.fallback.solvers.problems_to_solve import cubic_graph, ising_chain

LINES = ("problem:solved", "problem:kept")
"""Failpoints of a problem's run, before and after its answer is kept."""

_AT_WORK_SECONDS = 0.7


def quick_job() -> AnyJob:
    """A heuristic answer, which a second run would only find by the same seed."""
    return solve(cubic_graph(60), backend="classical:annealing", seed=3)


def slow_job() -> AnyJob:
    """Some seconds of one processor."""
    return solve(ising_chain(18), backend="classical", seed=3)


@pytest.fixture(scope="module")
async def chaos(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("solving")) as chaos:
        yield chaos


@pytest.fixture(scope="module")
async def calm(chaos: House) -> ProblemAnswer:
    """What the quick job answers when nobody is killed."""
    return _answer(await _report(chaos, quick_job()))


async def _report(chaos: House, job: AnyJob) -> JobReport:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await chaos.qurable.run(job)


def _answer(report: JobReport) -> ProblemAnswer:
    assert report.answer is not None
    return report.answer


@pytest.mark.parametrize("failpoint", LINES)
async def test_an_answer_survives_a_killed_worker(chaos: House, calm: ProblemAnswer, failpoint: str) -> None:
    """Before it is kept it is found again, assignment by assignment; after that it is there."""
    chaos.arm(failpoint)
    report = await _report(chaos, quick_job())

    assert chaos.was_reached(failpoint), f"no worker ever came to {failpoint}"
    assert _answer(report) == calm
    assert chaos.repeated(report.id) == []


@pytest.mark.long
async def test_a_solver_dies_with_its_worker_and_solves_again(chaos: House) -> None:
    """The energy is the same to the last digit, since the start vector is the seed's."""
    calm = _answer(await _report(chaos, slow_job()))
    before = _used(chaos)
    job = await chaos.qurable.submit(slow_job())
    (solver, *_) = await until("a solver works", lambda: _busier_than(before, chaos))
    owner = next(pid for pid in chaos.fleet.pids if solver in family(pid))
    os.kill(owner, signal.SIGKILL)

    await until("the solver is gone", lambda: not is_alive(solver), 5)
    async with asyncio.timeout(DEADLINE_SECONDS):
        report = await job.result()
    assert _answer(report) == calm
    assert chaos.repeated(report.id) == []


def _used(chaos: House) -> dict[int, float]:
    """Processor time of every child of the workers."""
    workers = set(chaos.fleet.pids)
    children = {child for pid in workers for child in family(pid)} - workers
    return {pid: processor_seconds(pid) for pid in children}


def _busier_than(before: dict[int, float], chaos: House) -> list[int]:
    """Children that have computed for some time since then; loading the solver is a part of it."""
    return [pid for pid, used in _used(chaos).items() if used - before.get(pid, 0.0) > _AT_WORK_SECONDS]
