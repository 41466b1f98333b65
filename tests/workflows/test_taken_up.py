"""What somebody ends or resets from outside is gone on with: nothing that runs is left alone, and nothing is paid for twice."""

import asyncio
from typing import Any

import pytest

from qurable.contracts.cutting import CutState
from qurable.contracts.executions import Cancelled, Phase, SubmissionKey
from qurable.contracts.matrices import MatrixState
from qurable.contracts.reports import State
from qurable.errors import TargetUnavailable
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import Stack
from tests.cut_at_hand import HALF, WANTED, two_halves
from tests.fakes.narrow import NarrowBackend
from tests.fakes.scripted import ScriptedBackend
from tests.matrices_at_hand import data, feature_map
from tests.workflows.resets import reset

_SECONDS = 120
_CUT: dict[str, Any] = {"cut": {"qubits": HALF}, "shots": 50, "seed": 5, "fallback": {"policy": "none"}}


async def test_a_terminated_matrix_goes_on_with_the_batch_that_runs(stack: Stack) -> None:
    """Its batch is an execution of its own: a second one would be paid for too."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        run = await service.qurable.kernel(feature_map(), data(3), shots=20, backend="qpu")
        await asyncio.wait_for(qpu.queued.wait(), 60)
        sent = len(qpu.submitted)
        await service.temporal.get_workflow_handle(run.id).terminate(reason="a test")
        again = await service.qurable.run_matrix_again(run.id)
        qpu.script(Phase.DONE)
        report = await again.report()

    assert (report.state, report.kept) == (MatrixState.COMPLETED, report.entries)
    assert len(qpu.submitted) == sent
    assert len(report.batches) == 1


async def test_a_matrix_that_was_cancelled_before_its_batch_was_there_starts_none_later(stack: Stack) -> None:
    """Whoever takes it up again, a reset for instance, finds that it is over."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        run = await service.qurable.kernel(feature_map(), data(3), shots=20, backend="qpu", key="early")
        await asyncio.wait_for(qpu.queued.wait(), 60)
        await run.cancel()
        await run.report()
        sent = len(qpu.submitted)
        run_id = await reset(service.temporal, run.id)
        handle = service.temporal.get_workflow_handle(run.id, run_id=run_id)
        await handle.result()
        report = await run.report()

    assert report.state is MatrixState.CANCELLED
    assert len(qpu.submitted) == sent


async def test_a_batch_waits_for_a_job_that_was_reset(stack: Stack) -> None:
    """Its answer is that of the new run, which adopts what the old one had sent."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        batch = await service.qurable.batch([sample(BELL, shots=10, seed=7, backend="qpu", fallback="none")])
        await asyncio.wait_for(qpu.queued.wait(), 60)
        (job,) = await service.qurable.list()
        await reset(service.temporal, job.id)
        qpu.script(Phase.DONE)
        found = [item async for item in batch.results()]

    assert [(item.state, item.job_id) for item in found] == [(State.COMPLETED, job.id)]
    assert len(qpu.submitted) == 1


async def test_a_cut_waits_for_a_fragment_that_was_reset(stack: Stack) -> None:
    """It is not run again beside the run that goes on."""
    qpu = NarrowBackend("qpu")
    qpu.script(Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        cut = await service.qurable.cut((two_halves(), WANTED), backend="qpu", **_CUT)
        await until("both are sent", lambda: len(qpu.submitted) == 2)
        for job in await service.qurable.list():
            await reset(service.temporal, job.id)
        qpu.script(Phase.DONE)
        report = await cut.report()

    assert report.state is CutState.COMPLETED
    assert [(end.name, end.ordinal) for end in report.fragments] == [("A", 0), ("B", 0)]
    assert len(qpu.submitted) == 2


class Deaf(NarrowBackend):
    """Does not confirm the first job that it is told to cancel, until it hears again."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.hears = False
        self._first = ""

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        self._first = self._first or key.tag
        if key.tag == self._first and not self.hears:
            raise TargetUnavailable("it does not answer")
        return await super().cancel(key)


@pytest.mark.long
async def test_all_fragments_are_told_to_stop_before_any_is_waited_for(stack: Stack) -> None:
    """One that does not confirm keeps the others from nothing."""
    qpu = Deaf("qpu")
    qpu.script(Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        cut = await service.qurable.cut((two_halves(), WANTED), backend="qpu", **_CUT)
        await until("both are sent", lambda: len(qpu.submitted) == 2)
        await cut.cancel()
        await until("the other is cancelled", lambda: len(qpu.cancelled) == 1)
        qpu.hears = True
        await until("the first is cancelled too", lambda: len(qpu.cancelled) == 2)
