"""The schedule that runs the reconciler: one per namespace, whoever comes first makes it."""

import asyncio
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from qurable.backend import StillWaiting
from qurable.contracts.stages import ReconcileCall
from qurable.names import RECONCILE, RECONCILER_SCHEDULE, Queue

_CATCH_UP = timedelta(minutes=1)
"""One pass makes up for all that were missed; Temporal's own window is a year."""

_BUSY = frozenset(
    {
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,  # as a deadline that has passed on this side is told
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
    }
)
"""Answers of a Temporal that is slow or loaded; every other one says what is wrong."""

_ASK_AGAIN = timedelta(seconds=2)


class Caretaking:
    """Sees to it that the reconciler is scheduled before anything is paid, and asks Temporal once for that.

    Whoever comes while it is asked waits for the same answer: a schedule answers few questions at a time, and
    refuses the rest.

    Args:
        client: A connected one.
        every: The interval.
        call: What each pass is given.
    """

    def __init__(self, client: Client, every: timedelta, call: ReconcileCall) -> None:
        self._client = client
        self._every = every
        self._call = call
        self._asked: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Have it scheduled; without it, nobody would cancel what a terminated job has running.

        Raises:
            StillWaiting: Temporal is too busy for it.
            RPCError: Temporal does not let us.
        """
        if self._asked is None or _in_vain(self._asked):
            self._asked = asyncio.create_task(ensure_schedule(self._client, self._every, self._call))
        try:
            await asyncio.shield(self._asked)  # one who is cancelled leaves it to the others
        except RPCError as failure:
            if failure.status not in _BUSY:
                raise
            raise StillWaiting(
                f"nothing is paid before the reconciler is scheduled, and Temporal is busy ({failure.message})",
                again_in=_ASK_AGAIN,
            ) from None


def _in_vain(asked: "asyncio.Task[None]") -> bool:
    return asked.done() and (asked.cancelled() or asked.exception() is not None)


async def ensure_schedule(client: Client, every: timedelta, call: ReconcileCall | None = None) -> None:
    """Have the reconciler run at an interval; several workers may ask at once.

    A schedule that is there gets this interval; one that an operator has paused stays paused.

    Args:
        client: A connected one.
        every: The interval.
        call: What each pass is given.

    Raises:
        RPCError: Temporal does not answer, or does not let us.
    """
    wanted = _schedule(every, call or ReconcileCall())
    try:
        await client.create_schedule(RECONCILER_SCHEDULE, wanted)
    except ScheduleAlreadyRunningError:

        def updated(found: ScheduleUpdateInput) -> ScheduleUpdate:
            standing = found.description.schedule
            return ScheduleUpdate(
                Schedule(action=wanted.action, spec=wanted.spec, policy=wanted.policy, state=standing.state)
            )

        await client.get_schedule_handle(RECONCILER_SCHEDULE).update(updated)


def _schedule(every: timedelta, call: ReconcileCall) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RECONCILE,
            call,
            id=RECONCILER_SCHEDULE,
            task_queue=Queue.WORKFLOWS,
            static_summary="reconcile paid places with the store",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )
