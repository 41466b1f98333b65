"""The caller's worker: it says each night what there is to solve."""

import asyncio

from temporalio.worker import Worker

from examples.nightly.problem import TASK_QUEUE, tonight
from qurable.temporal.connect import connected
from qurable.temporal.run_main import run_main


async def main() -> None:
    """Work until stopped."""
    async with connected() as client, Worker(client, task_queue=TASK_QUEUE, activities=[tonight]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    run_main(main())
