"""The sessions and batches that a loop holds over its iterations: closed when it ends, rests, or goes elsewhere."""

from temporalio import activity

from activities.boundary import speaks_temporal
from backends.registry import Registry
from qurable.backend import HasSessions
from qurable.contracts.loop_turns import LeaveCall
from qurable.contracts.stages import Waited
from qurable.errors import InternalError, TargetUnavailable
from qurable.names import Activity
from store import sessions
from store.database import Database


class LoopSessions:
    """Closes what a loop holds.

    Args:
        database: The store.
        registry: The backends.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    @activity.defn(name=Activity.LEAVE_SESSIONS)
    @speaks_temporal
    async def leave(self, call: LeaveCall) -> Waited:
        """Close every session of the loop that is open; jobs that they have go on.

        A provider that refuses is no reason for the loop to fail: the reconciler closes the session once the loop has ended.

        Raises:
            TargetUnavailable: The provider does not answer, and will be asked some more times.
        """
        for session in await self._database.read(sessions.of_job, call.loop_id):
            if session.closed_at is None:
                await self._close(session.backend, session.id)
        return Waited()

    async def _close(self, name: str, id: str) -> None:  # noqa: A002  the provider's word
        backend = self._registry.get(name)
        if not isinstance(backend, HasSessions):
            raise InternalError(f"backend {name!r} has no sessions")
        try:
            await backend.close_session(id)
        except TargetUnavailable as failure:
            if failure.retry_here and activity.info().attempt < (failure.attempts or 1):
                raise
            activity.logger.warning("session %r is left to the reconciler: %s", id, failure)
            return
        await self._database.write(sessions.closed, name, id)
