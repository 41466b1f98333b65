"""A short workflow by which clients read the store: they speak Temporal only."""

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.stages import ReadRequest
from qurable.errors import HybridError
from qurable.names import READ_STORE
from workflows.calls import service


@workflow.defn(name=READ_STORE, failure_exception_types=[HybridError])
class ReadStore:
    """Ask the store one question."""

    @workflow.run
    async def run(self, request: ReadRequest) -> RawValue:
        """The answer, as the activity gave it."""
        return await service.read_store(request)
