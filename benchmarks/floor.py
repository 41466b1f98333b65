"""The floor: a workflow of as many activities that do nothing, on the same server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

MAIN, OTHER = "floor", "floor-other"

_TIMEOUT = timedelta(seconds=30)


@activity.defn
async def nothing(number: int) -> int:
    """Do nothing."""
    return number


@workflow.defn
class Floor:
    """Activities that do nothing, one after the other, each on the queue it is given."""

    @workflow.run
    async def run(self, queues: list[str]) -> None:
        for number, queue in enumerate(queues):
            await workflow.execute_activity(
                nothing, number, task_queue=queue, start_to_close_timeout=_TIMEOUT, heartbeat_timeout=_TIMEOUT
            )


SAME_STAGES = (MAIN, MAIN, MAIN, OTHER, MAIN)
"""accept, prepare, submit, await_done (on the simulators' queue), finish."""

FIVE_PLAIN = (MAIN,) * 5

RUNNERS: dict[str, WorkflowRunner] = {
    "as the SDK runs workflows": SandboxedWorkflowRunner(),
    "without the sandbox, as our worker does": UnsandboxedWorkflowRunner(),
}


@asynccontextmanager
async def floor(client: Client, runner: WorkflowRunner) -> AsyncIterator[None]:
    """Workers for the floor."""
    async with (
        Worker(
            client,
            task_queue=MAIN,
            workflows=[Floor],
            activities=[nothing],
            workflow_runner=runner,
            build_id="floor",
            max_concurrent_activities=32,
        ),
        Worker(
            client, task_queue=OTHER, activities=[nothing], build_id="floor", max_concurrent_activities=32
        ),
    ):
        yield


async def run_floor(client: Client, queues: Sequence[str]) -> None:
    """One run of the floor."""
    await client.execute_workflow(
        Floor.run, list(queues), id=f"floor-{uuid4()}", task_queue=MAIN, request_eager_start=True
    )
