"""A job's workflow that ends well however it is told to stop."""

import asyncio
import contextlib

from temporalio import workflow
from temporalio.common import RawValue

from qurable.names import HYBRID_JOB


@workflow.defn(name=HYBRID_JOB)
class EndsWell:
    """A job that has its answer in the moment in which it hears that it is to stop."""

    @workflow.run
    async def run(self, head: RawValue, body: RawValue) -> str:
        """Its answer."""
        del head, body
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.wait_condition(lambda: False)
        return "an answer"
