"""Sessions and batches at a provider: opened for a job, and closed whatever becomes of it.

Jobs of a loop share one, which is the loop's: the first that needs one opens it, and none of them closes it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import Connection
from temporalio import activity

from activities.boundary import speaks_temporal
from activities.changes_made import changes_on
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from backends.registry import Registry
from qurable.backend import HasSessions
from qurable.contracts.changes import Altered, Change
from qurable.contracts.jobs import read_request
from qurable.contracts.stages import Session, StageCall, Waited
from qurable.errors import HybridError, InternalError, TargetUnavailable
from qurable.names import Activity
from store import jobs, loop_jobs, sessions
from store.database import now
from store.shelf import StoreShelf


class Sessions:
    """Opens and closes.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends.
        before_paying: Awaited before anything that may cost money is opened.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        shelf: StoreShelf,
        registry: Registry,
        before_paying: Callable[[], Awaitable[None]],
    ) -> None:
        self._before_paying = before_paying
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._registry = registry

    @activity.defn(name=Activity.OPEN_SESSION)
    @speaks_temporal
    async def open_session(self, call: StageCall) -> Session:
        """Open the session or batch that the job asks for.

        A cancellation waits for the provider's answer, and closes what it opened. An attempt whose answer is lost may
        leave one open that no row names, and that nothing tells from other people's: sessions have no tags. No job
        runs in it, so it costs nothing and ends by itself (`docs/assumptions.md`).
        """

        async def work(documents: Documents) -> Outcome[Session]:
            began = now()
            job = await self._checkpoints.database.read(jobs.need, call.job_id)
            wanted = read_request(await self._shelf.artifact(job.request)).ibm
            if wanted.mode == "job":
                raise InternalError(f"job {call.job_id!r} asks for no session")
            backend = self._paid(call.backend)
            meant = await self._checkpoints.database.read(loop_jobs.find, call.job_id)
            holder = call.job_id if meant is None else meant.loop_id
            if meant is not None:
                held = await self._held(
                    holder, call, changes_on(documents, call.rung, call.changes), wanted.mode
                )
                if held is not None:
                    return Outcome(held, [timed(call.step, Activity.OPEN_SESSION, began, held)])

            def keep(connection: Connection, id: str) -> None:  # noqa: A002  the provider's word
                sessions.opened(
                    connection,
                    id,
                    job_id=holder,
                    rung=call.rung,
                    backend=call.backend,
                    account=backend.account_label,
                    mode=wanted.mode,
                )

            await self._before_paying()
            opening = asyncio.create_task(backend.open_session(wanted.mode, wanted.max_time))
            try:
                opened = Session(id=await asyncio.shield(opening))
            except asyncio.CancelledError:
                with contextlib.suppress(HybridError):  # then none was opened, or the reconciler closes it
                    id = await opening  # noqa: A001
                    await self._checkpoints.database.write(keep, id)
                    await self._close(call.backend, id)
                raise
            self._checkpoints.failpoint(f"{call.step}:opened")
            return Outcome(
                opened,
                [timed(call.step, Activity.OPEN_SESSION, began, opened)],
                writes=[lambda connection: keep(connection, opened.id)],
            )

        return await self._checkpoints.once(call, lambda documents: documents.find(call.step, Session), work)

    async def _held(
        self, holder: str, call: StageCall, changes: Sequence[Change], mode: str
    ) -> Session | None:
        """The session that a loop holds on a backend; one that ended under a job of it is over for all."""
        ended = {change.before for change in changes if change.what is Altered.SESSION}
        for session in await self._checkpoints.database.read(sessions.of_job, holder):
            if session.closed_at is not None or (session.backend, session.mode) != (call.backend, mode):
                continue
            if session.id not in ended:
                return Session(id=session.id)
            await self._close(session.backend, session.id)
        return None

    @activity.defn(name=Activity.CLOSE_SESSION)
    @speaks_temporal
    async def close_session(self, call: StageCall) -> Waited:
        """Close it to new jobs, unless it is a loop's; those it has go on.

        Where the provider refuses, the job's answer is not given up for that: the reconciler closes it later.

        Raises:
            TargetUnavailable: The provider does not answer, and will be asked some more times.
        """
        if await self._checkpoints.database.read(loop_jobs.find, call.job_id) is not None:
            return Waited()
        try:
            await self._close(call.backend, call.session)
        except TargetUnavailable as failure:
            if failure.retry_here and activity.info().attempt < (failure.attempts or 1):
                raise
            activity.logger.warning("session %r is left to the reconciler: %s", call.session, failure)
        return Waited()

    async def _close(self, backend: str, id: str) -> None:  # noqa: A002  the provider's word
        await self._paid(backend).close_session(id)
        await self._checkpoints.database.write(sessions.closed, backend, id)

    def _paid(self, name: str) -> HasSessions:
        backend = self._registry.get(name)
        if not isinstance(backend, HasSessions):
            raise InternalError(f"backend {name!r} has no sessions")
        return backend
