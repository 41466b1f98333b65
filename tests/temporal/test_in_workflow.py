"""A job inside somebody's own workflow: typed, found again by a replay, cancelled with its parent."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from qurable.contracts.executions import Phase
    from qurable.contracts.reports import JobReport, State
    from qurable.temporal.in_workflow import run_job
    from tests.circuits_at_hand import BELL
    from tests.conftest import Service, Stack
    from tests.fakes.scripted import ScriptedBackend

QUEUE = "somebody's"


@workflow.defn
class TwoJobs:
    """The same circuit twice, with what a workflow of its own would do in between."""

    @workflow.run
    async def run(self, shots: int, backend: str) -> list[str]:
        first: JobReport = await run_job(BELL, step="first", shots=shots, seed=1, backend=backend)
        second = await run_job(BELL, step="second", shots=shots, seed=1, backend=backend)
        if first.results != second.results:
            raise ApplicationError("the same seed gave other counts", non_retryable=True)
        return [first.id, second.id, str(sum(first.counts().values()))]


@workflow.defn
class Careful:
    """Says which error it got."""

    @workflow.run
    async def run(self, program: str) -> str:
        try:
            await run_job(program, step="only", shots=10)
        except ChildWorkflowError as failure:
            cause = failure.cause
            assert isinstance(cause, ApplicationError)
            return f"{cause.type}: {cause.message}"
        return "no error"


@pytest.fixture
async def own_worker(service: Service) -> AsyncIterator[Service]:
    async with Worker(service.temporal, task_queue=QUEUE, workflows=[TwoJobs, Careful]):
        yield service


async def _start(
    service: Service, *arguments: object, kind: type = TwoJobs
) -> WorkflowHandle[object, object]:
    return await service.temporal.start_workflow(
        kind.__name__, args=arguments, id=f"own-{uuid.uuid4()}", task_queue=QUEUE
    )


async def _answer(handle: WorkflowHandle[object, object]) -> Any:
    return await asyncio.wait_for(handle.result(), 60)


async def test_each_step_is_a_job_of_its_own(own_worker: Service) -> None:
    """With an id that a replay makes again, and a row in the store."""
    handle = await _start(own_worker, 50, "aer")
    first, second, shots = await _answer(handle)

    assert first != second
    assert shots == "50"
    assert (await own_worker.qurable.status(first)).state is State.COMPLETED
    assert (await own_worker.qurable.read_report(second)).id == second


async def test_results_that_are_too_large_to_travel_come_from_the_store(own_worker: Service) -> None:
    """The helper fetches them; its caller does not notice."""
    handle = await _start(own_worker, 600_000, "aer")
    *_, shots = await _answer(handle)

    assert shots == "600000"


async def test_a_failure_arrives_with_its_class_and_its_words(own_worker: Service) -> None:
    """So that the caller's workflow can tell a bad circuit from a bad day."""
    handle = await _start(own_worker, BELL.replace("cx q", "cy2 q"), kind=Careful)

    said = await _answer(handle)
    assert said == "CircuitRejected: circuit 'circuit', line 6, column 1: 'cy2' is not defined in this scope"


async def test_cancelling_the_parent_withdraws_the_job(stack: Stack) -> None:
    """A paid job must not outlive whoever wanted it."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with (
        stack(backends={"qpu": qpu}) as service,
        Worker(service.temporal, task_queue=QUEUE, workflows=[TwoJobs]),
    ):
        handle = await _start(service, 10, "qpu")
        await asyncio.wait_for(qpu.queued.wait(), 30)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 60)

    assert qpu.cancelled == qpu.submitted
    assert len(qpu.submitted) == 1
