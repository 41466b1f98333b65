"""A batch: take its lines in, run its chunks turn by turn, put the sum together."""

import asyncio

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.batches import BatchCall, BatchHead, BatchReport, BatchStatus
from qurable.errors import HybridError, WorkerOutdated
from qurable.names import BATCH
from workflows.calls import batches
from workflows.failures import as_failure, document_of, final


@workflow.defn(name=BATCH, failure_exception_types=[HybridError])
class Batch:
    """Any number of jobs in, one report each out, plus the sum.

    What is in flight stands in the store and not here: a turn is a few events, however many items end in it, and a run that
    goes on as another has nothing to hand over.
    """

    @workflow.run
    async def run(self, head: BatchHead, body: RawValue) -> BatchReport:
        """The sum; each item's own end is in the store as it comes."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the batch has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        call = BatchCall(id=head.id, owner=workflow.info().first_execution_run_id)
        try:
            await self._run_chunks(head, call, body)
            return await batches.end(call)
        except ActivityError as failure:
            if not is_cancelled_exception(failure):
                raise as_failure(document_of(failure)) from failure
            await batches.cancel(head, call)
            raise
        except asyncio.CancelledError:
            # Its jobs are executions of their own: nobody else would cancel them.
            await batches.cancel(head, call)
            raise

    async def _run_chunks(self, head: BatchHead, call: BatchCall, body: RawValue) -> None:
        """Return once every item has its end."""
        if not head.begun:
            _show(await batches.begin(head, call, body))
        while True:
            status = await batches.advance(call)
            _show(status)
            if not status.open:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[head.model_copy(update={"begun": True}), b""])


def _show(status: BatchStatus) -> None:
    """How far it is, as the web UI's current details."""
    lines = [
        f"# {status.state}",
        "",
        f"{status.items - status.open} of {status.items} items have ended, {status.in_flight} jobs are in flight",
        "",
        "| items | number |",
        "| :--- | ---: |",
        *(f"| {state} | {count} |" for state, count in sorted(status.counts.items())),
    ]
    workflow.set_current_details("\n".join(lines))
