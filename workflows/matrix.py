"""A matrix over data: take it in, have a batch run what it lacks, put its file together."""

import asyncio

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.matrices import MatrixCall, MatrixHead, MatrixReport, MatrixStatus
from qurable.errors import HybridError, WorkerOutdated
from qurable.names import MATRIX
from workflows.calls import matrices
from workflows.failures import as_failure, document_of, final


@workflow.defn(name=MATRIX, failure_exception_types=[HybridError])
class Matrix:
    """A kernel or features of data, every entry of which is run once.

    What is known and what is in flight stands in the store and not here.
    """

    @workflow.init
    def __init__(self, head: MatrixHead, body: RawValue) -> None:  # noqa: ARG002  it is `run` that passes it on
        self._begun = head.begun

    @workflow.run
    async def run(self, head: MatrixHead, body: RawValue) -> MatrixReport:
        """The report; the file is in the store."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the matrix has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        call = MatrixCall(id=head.id, owner=workflow.info().first_execution_run_id)
        try:
            await self._run_entries(head, call, body)
            return await matrices.end(call)
        except ActivityError as failure:
            if not is_cancelled_exception(failure):
                error = document_of(failure)
                if self._begun:  # else the row, if there is one, is another execution's
                    await matrices.cancel(call.model_copy(update={"error": error}))
                raise as_failure(error) from failure
            await matrices.cancel(call)
            raise
        except asyncio.CancelledError:
            await matrices.cancel(call)  # its batch is an execution of its own
            raise

    async def _run_entries(self, head: MatrixHead, call: MatrixCall, body: RawValue) -> None:
        """Return once nothing is in flight."""
        if not self._begun:
            _show(await matrices.begin(head, call, body))
            self._begun = True
        while True:
            status = await matrices.advance(call)
            _show(status)
            if not status.batch:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[head.model_copy(update={"begun": True}), b""])


def _show(status: MatrixStatus) -> None:
    """How far it is, as the web UI's current details."""
    lines = [
        f"# {status.kind} of {status.samples} samples",
        "",
        f"{status.kept} of {status.entries} entries have a value, {status.reused} of them from earlier matrices",
        *(["", f"what is missing runs as batch `{status.batch}`"] if status.batch else []),
    ]
    workflow.set_current_details("\n".join(lines))
