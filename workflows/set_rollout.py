"""A short workflow by which clients change rollout rules; its history says who ran it, and when."""

from temporalio import workflow
from temporalio.common import RawValue

from qurable.contracts.rollout import RolloutChange
from qurable.errors import HybridError
from qurable.names import SET_ROLLOUT
from workflows.calls import service


@workflow.defn(name=SET_ROLLOUT, failure_exception_types=[HybridError])
class SetRollout:
    """Set or remove one rule."""

    @workflow.run
    async def run(self, change: RolloutChange) -> RawValue:
        """Every rule as it stands after it."""
        return await service.set_rollout(change)
