"""Withdraw: whatever a job has started and nobody will fetch is cancelled at its backend."""

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints
from backends.registry import Registry
from qurable.contracts.stages import StageCall, Waited
from qurable.names import Activity
from store import submissions


class Withdraw:
    """Withdraws.

    Args:
        checkpoints: Where rows go.
        registry: The backends.
    """

    def __init__(self, checkpoints: Checkpoints, registry: Registry) -> None:
        self._checkpoints = checkpoints
        self._registry = registry

    @activity.defn(name=Activity.WITHDRAW)
    @speaks_temporal
    async def withdraw(self, call: StageCall) -> Waited:
        """Cancel every submission of the job, by key, since a submit that timed out yields no id."""
        for key in await self._checkpoints.database.read(submissions.of_job, call.job_id):
            await self._registry.get(key.backend).cancel(key)
            await self._checkpoints.database.write(submissions.withdraw, key)
        return Waited()
