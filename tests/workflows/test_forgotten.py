"""A key outlives what Temporal remembers: its retention ends, an operator deletes, a database is lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.executions import Phase
from qurable.contracts.reports import State
from qurable.errors import JobFailed, KeyReused
from store import schema
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import Stack
from tests.fakes.scripted import ScriptedBackend

BROKEN = BELL.replace("cx q", "cy2 q")


async def test_a_job_that_temporal_has_forgotten_ends_as_it_did(stack: Stack, tmp_path: Path) -> None:
    """Nothing but the look into the store happens again."""
    async with stack() as service:
        first = await service.run(BELL, shots=100, key="good")
        with pytest.raises(JobFailed) as before:
            await service.run(BROKEN, key="bad")
    for file in (tmp_path / "temporal").glob("temporal.db*"):
        file.unlink()

    async with stack() as service:
        second = await service.run(BELL, shots=100, key="good")
        with pytest.raises(JobFailed, match="line 6, column 1") as after:
            await service.run(BROKEN, key="bad")
        with pytest.raises(KeyReused, match="another body"):
            await service.run(BELL, shots=101, key="good")

        assert second == first
        assert after.value.error == before.value.error
        assert {entry.step for entry in service.journal.entries} == {"accept"}


async def test_a_job_that_was_lost_on_its_way_goes_on_where_it_was(stack: Stack) -> None:
    """Temporal is without it, and the device has it: it is not submitted, and paid, again."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        lost = await service.qurable.submit(BELL, shots=10, backend="qpu", key="lost")
        await asyncio.wait_for(qpu.queued.wait(), 30)
        await service.temporal.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=service.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=lost.id),
            )
        )
        handle = service.temporal.get_workflow_handle(lost.id)
        await until("Temporal has forgotten it", lambda: _is_gone(handle), 30)
        qpu.script(Phase.RUNNING, Phase.DONE)
        report = await service.run(BELL, shots=10, backend="qpu", key="lost")

    assert report.state is State.COMPLETED
    assert len(qpu.submitted) == 1
    assert service.journal.steps(lost.id).count("prepare") == 1


async def test_a_store_that_was_restored_from_before_finds_what_is_paid_for(
    stack: Stack, tmp_path: Path
) -> None:
    """The job runs at the device, and the store knows nothing of it any more."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        job = await service.qurable.submit(BELL, shots=10, backend="qpu", key="restored")
        await asyncio.wait_for(qpu.queued.wait(), 30)
        await service.database.write(_forget, job.id)
        qpu.script(Phase.RUNNING, Phase.DONE)
        async with asyncio.timeout(60):
            report = await job.result()

    assert report.state is State.COMPLETED
    assert len(qpu.submitted) == 1
    assert qpu.cancelled == []
    assert service.journal.steps(job.id).count("prepare") == 2


def _forget(connection: Connection, job_id: str) -> None:
    """As a backup from before the job would."""
    for table in (schema.stages, schema.events, schema.submissions):
        connection.execute(delete(table).where(table.c.job_id == job_id))
    connection.execute(delete(schema.jobs).where(schema.jobs.c.id == job_id))


async def _is_gone(job: WorkflowHandle[Any, Any]) -> bool:
    try:
        await job.describe()
    except RPCError as failure:
        return failure.status is RPCStatusCode.NOT_FOUND
    return False
