"""The caller's worker: its own workflow and activities, on its own task queue."""

import asyncio

from temporalio.worker import Worker

from examples.user_workflow.activities import TASK_QUEUE
from examples.user_workflow.workflows import ACTIVITIES, ParityCheck
from qurable.temporal.connect import connected
from qurable.temporal.run_main import run_main


async def main() -> None:
    """Work until stopped."""
    async with (
        connected() as client,
        Worker(client, task_queue=TASK_QUEUE, workflows=[ParityCheck], activities=ACTIVITIES),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    run_main(main())
