"""A workflow that is cancelled while its job is about to end well stops there, whoever has started the job."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.worker import Worker

from qurable.contracts.jobs import EstimateJob
from qurable.contracts.precise import Precise, PreciseCall, PreciseState, PreciseStep
from qurable.names import HYBRID_JOB, PRECISE, Activity, Queue
from qurable.requests import estimate
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.fakes.ends_well import EndsWell
from workflows.precise import PreciseEstimate


@dataclass
class Rounds:
    """Asks for one round after the other, for ever.

    Attributes:
        ended: Jobs whose rounds were over when the next was asked for.
    """

    ended: list[str] = field(default_factory=list)

    @activity.defn(name=Activity.PRECISE)
    async def step(self, call: PreciseCall) -> PreciseStep:
        """The next round."""
        self.ended.append(call.ended)
        number = len(self.ended)
        return PreciseStep(
            state=PreciseState(id=call.precise.id),
            job=call.precise.job.model_copy(update={"key": f"{call.precise.job.key}-{number}"}),
        )


@dataclass(frozen=True)
class Home:
    """A server with one worker.

    Attributes:
        client: Of it.
        rounds: What the worker was asked.
    """

    client: Client
    rounds: Rounds

    async def precise(self, key: str) -> WorkflowHandle[PreciseEstimate, object]:
        """Ask for a value whose rounds never end."""
        asked = Precise(job=_job(key), precision=0.01)
        return await self.client.start_workflow(PRECISE, asked, id=asked.id, task_queue=Queue.WORKFLOWS)

    async def runs(self, job_id: str) -> bool:
        """Whether a job has begun."""
        found = [one async for one in self.client.list_workflows(f"WorkflowId = '{job_id}'")]
        return bool(found)

    async def is_joined(self, handle: WorkflowHandle[PreciseEstimate, object]) -> bool:
        """Whether somebody waits for a job that runs already."""
        history = await handle.fetch_history()
        return any(
            event.HasField("start_child_workflow_execution_failed_event_attributes")
            for event in history.events
        )


def _job(key: str) -> EstimateJob:
    job = estimate((BELL.split("measure")[0], "ZZ"), precision=0.01, key=key, fallback={"policy": "none"})
    assert isinstance(job, EstimateJob)
    return job


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """A worker whose jobs end well when they are cancelled."""
    rounds = Rounds()
    async with (
        embedded_server(tmp_path) as server,
        connected(address=server.target, home=tmp_path) as client,
        Worker(
            client,
            task_queue=Queue.WORKFLOWS,
            workflows=[PreciseEstimate, EndsWell],
            activities=[rounds.step],
        ),
    ):
        yield Home(client, rounds)


async def _cancelled(handle: WorkflowHandle[PreciseEstimate, object]) -> None:
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as ended:
        await asyncio.wait_for(handle.result(), 30)
    assert isinstance(ended.value.cause, CancelledError)


async def test_no_round_follows_one_that_ended_well_though_it_was_to_stop(home: Home) -> None:
    """Nobody cancels twice: it would go on, and pay, otherwise."""
    handle = await home.precise("own")
    first = _job("own-1").job_id
    await until("the first round runs", lambda: home.runs(first))
    await _cancelled(handle)

    assert home.rounds.ended == [""]


async def test_a_job_that_is_joined_is_told_to_stop_and_waited_for(home: Home) -> None:
    """It runs, and costs, for whoever joined it."""
    job = _job("joined-1")
    running = await home.client.start_workflow(
        HYBRID_JOB, args=["head", "body"], id=job.job_id, task_queue=Queue.WORKFLOWS
    )
    handle = await home.precise("joined")
    await until("it is joined", lambda: home.is_joined(handle))
    await handle.cancel()

    assert await asyncio.wait_for(running.result(), 30) == "an answer"
    with pytest.raises(WorkflowFailureError) as ended:
        await asyncio.wait_for(handle.result(), 30)
    assert isinstance(ended.value.cause, CancelledError)
