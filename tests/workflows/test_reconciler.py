"""Jobs whose workflow is gone, on the real server: one pass of the reconciler, and nothing paid for is left alive."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection, delete, update
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.owners import TemporalOwners
from activities.places import Patience, Places
from activities.reconcile import Reconcile
from qurable.client import Job
from qurable.contracts.executions import IncidentKind, Phase
from qurable.contracts.reports import State
from qurable.contracts.stages import Reconciled
from qurable.temporal.connect import connected
from store import incidents, provider_jobs
from store.ledger import StoreLedger
from store.schema import provider_jobs as rows
from store.schema import submissions as wholes
from tests.chaos.harness import TemporalServer, until
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.fakes.paid import SETTLING, PaidScriptedBackend, Provider
from tests.store.ageing import pass_time

GRACE = timedelta(minutes=5)


@dataclass
class House:
    """A whole service with one paid backend."""

    service: Service
    qpu: PaidScriptedBackend

    @property
    def provider(self) -> Provider:
        return self.qpu.provider

    async def queued(self, key: str = "one") -> Job:
        """A job that waits in the provider's queue for longer than the grace."""
        job = await self.service.qurable.submit(BELL, shots=10, backend="qpu", key=key)
        await until("it is queued", lambda: self.qpu.queued.is_set(), 60)
        await pass_time(self.service.database, GRACE)
        return job

    async def reconcile(self, client: Client | None = None) -> Reconciled:
        """One pass, asking this Temporal."""
        work = Reconcile(
            self.service.database,
            TemporalOwners(client or self.service.temporal),
            Places(lambda _: self.qpu, lambda: ["qpu"]),
            Patience(grace=GRACE, settling=SETTLING),
        )
        return cast("Reconciled", await ActivityEnvironment().run(work.reconcile))


@pytest.fixture
def house(stack: Stack) -> Callable[[], AbstractAsyncContextManager[House]]:
    """Makes houses."""

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[House]:
        qpu = PaidScriptedBackend("qpu", Provider())
        async with stack(backends={"qpu": qpu}) as service:
            qpu.ledger = StoreLedger(service.database)
            yield House(service, qpu)

    return make


Houses = Callable[[], AbstractAsyncContextManager[House]]


async def test_a_terminated_job_pays_for_nothing_after_one_pass(house: Houses) -> None:
    """Terminating skips the workflow's own clean-up."""
    async with house() as it:
        job = await it.queued()
        before = await it.reconcile()
        await it.service.temporal.get_workflow_handle(job.id).terminate()
        after = await it.reconcile()

    assert (before.alive, before.cancelled) == (1, 0)
    assert (after.alive, after.cancelled) == (0, 1)
    assert it.provider.cancellations == ["p0"]


async def test_a_deleted_job_pays_for_nothing_after_one_pass(house: Houses) -> None:
    """Temporal does not even remember it."""
    async with house() as it:
        job = await it.queued()
        await it.service.temporal.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=it.service.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=job.id),
            )
        )
        await until("it is cancelled", lambda: _cancelled_by_a_pass(it), 60)

    assert it.provider.cancellations == ["p0"]


async def _cancelled_by_a_pass(house: House) -> bool:
    return (await house.reconcile()).cancelled == 1


async def test_a_job_that_was_reset_keeps_its_place_in_the_queue(house: Houses) -> None:
    """A new run of the workflow is the owner now; the provider's job is the same, and is paid for once."""
    async with house() as it:
        job = await it.queued()
        await _reset(it.service.temporal, job.id)
        report = await it.reconcile()
        it.qpu.finishes = True
        answer = await asyncio.wait_for(job.result(), 60)

    assert report.alive == 1
    assert answer.state is State.COMPLETED
    assert list(it.provider.jobs) == ["p0"]
    assert it.provider.cancellations == []


async def _reset(client: Client, workflow_id: str) -> None:
    """Have a workflow run again from its first task on."""
    handle = client.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    first = next(
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
    described = await handle.describe()
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=described.run_id),
            reason="a test",
            workflow_task_finish_event_id=first,
            request_id="reset-once",
        )
    )


async def test_a_late_duplicate_of_a_completed_job_is_reported_with_its_cost(house: Houses) -> None:
    """Nobody would look for it any more."""
    async with house() as it:
        it.qpu.finishes = True
        report = await it.service.run(BELL, shots=10, backend="qpu", key="one")
        (part,) = await it.service.database.read(provider_jobs.of_job, report.id)
        it.provider.end(it.provider.post(part.tag), Phase.DONE, 4.0)
        await pass_time(it.service.database, GRACE)
        found = await it.reconcile()
        (incident,) = await it.service.database.read(incidents.of_job, report.id)

    assert report.state is State.COMPLETED
    assert (incident.kind, incident.id, incident.billed_seconds) == (IncidentKind.DUPLICATE, "p1", 4.0)
    assert found.incidents == (incident,)


@pytest.mark.long
async def test_nothing_is_cancelled_while_temporal_cannot_be_asked(house: Houses, tmp_path: Path) -> None:
    """A Temporal that is down, or a namespace that is not there, says nothing about a job."""
    server = TemporalServer(tmp_path / "other")
    server.start()
    async with house() as it, connected(address=server.target, home=tmp_path, patience_seconds=30) as killed:
        server.kill()
        job = await it.queued()
        await it.service.temporal.get_workflow_handle(job.id).terminate()
        never_there = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
        elsewhere = await Client.connect(it.service.server.target, namespace="not-there", lazy=True)
        reports = [await it.reconcile(client) for client in (killed, never_there, elsewhere)]

    assert [report.unknown for report in reports] == [1, 1, 1]
    assert it.provider.cancellations == []


async def test_a_restored_store_adopts_what_its_living_jobs_ask_for(house: Houses) -> None:
    """The copy knew nothing of the submission; the next poll of its owner brings it back."""
    async with house() as it:
        job = await it.queued()
        await it.service.database.write(_forget)
        first = await it.reconcile()
        await until("the owner has asked", lambda: _knows(it, job.id), 60)
        await pass_time(it.service.database, GRACE)
        second = await it.reconcile()
        it.qpu.finishes = True
        answer = await asyncio.wait_for(job.result(), 60)

    assert (first.looked, first.orphans) == (0, 0)
    assert (second.alive, second.orphans) == (1, 0)
    assert answer.state is State.COMPLETED
    assert list(it.provider.jobs) == ["p0"]
    assert it.provider.cancellations == []


async def test_a_restored_store_cancels_what_nobody_asks_for(house: Houses) -> None:
    """Neither Temporal nor the store knows the job; the provider runs, and bills, it all the same."""
    async with house() as it:
        job = await it.queued()
        await it.service.temporal.get_workflow_handle(job.id).terminate()
        await it.service.database.write(_forget)
        await it.reconcile()
        await pass_time(it.service.database, GRACE)
        report = await it.reconcile()

    assert report.orphans == 1
    assert [incident.kind for incident in report.incidents] == [IncidentKind.ORPHAN]
    assert it.provider.cancellations == ["p0"]


def _forget(connection: Connection, /) -> None:
    connection.execute(delete(rows))
    connection.execute(update(wholes).values(handle=None))


async def _knows(house: House, job_id: str) -> bool:
    return bool(await house.service.database.read(provider_jobs.of_job, job_id))
