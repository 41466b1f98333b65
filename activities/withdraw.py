"""Withdraw: whatever a job has started and nobody will fetch is cancelled at its backend."""

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import KeepAsking, speaks_temporal
from activities.checkpoint import Checkpoints
from backends.registry import Registry
from qurable.backend import PaidBackend, StillWaiting
from qurable.contracts.stages import StageCall, Withdrawn
from qurable.errors import AccountRefused, HybridError, TargetUnavailable
from qurable.names import Activity
from store import submissions

_AGAIN = timedelta(seconds=5)
_REFUSED_FOR = timedelta(seconds=20)
"""An account that is refused for so long waits for a person, and no job waits for that: the reconciler goes on."""


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
    async def withdraw(self, call: StageCall) -> Withdrawn:
        """Cancel every submission of the job to the rung's backend, by key, since a submit that timed out yields no id.

        Raises:
            StillWaiting: A submission may be on its way, or the provider has not confirmed yet.
            KeepAsking: The provider does not answer; what is paid for is not left alone, unless the account is refused
                for good, when the reconciler goes on.
        """
        found, left = [], 0
        unconfirmed: list[Exception] = []
        for key in await self._checkpoints.database.read(submissions.of_job, call.job_id, call.backend):
            backend = self._registry.get(key.backend)
            try:
                withdrawn = await backend.cancel(key)
            except TargetUnavailable as failure:
                if not (isinstance(backend, PaidBackend) and _is_refused_for_good(failure)):
                    unconfirmed.append(KeepAsking(failure, _AGAIN))
                    continue
                left += 1
                activity.logger.warning("%s is left to the reconciler: %s", key.tag, failure)
            except (StillWaiting, HybridError) as failure:  # the others are cancelled all the same
                unconfirmed.append(failure)
                continue
            else:
                if key.ordinal == call.ordinal:
                    found.append(withdrawn)
            await self._checkpoints.database.write(submissions.withdraw, key)
        if unconfirmed:
            raise unconfirmed[0]
        return Withdrawn(found=tuple(found), left=left)


def _is_refused_for_good(failure: TargetUnavailable) -> bool:
    waited = datetime.now(UTC) - activity.info().scheduled_time
    return isinstance(failure, AccountRefused) and waited >= _REFUSED_FOR
