"""Calls of the activities of a collector, which has jobs share a provider job."""

from qurable.contracts.sharing import CollectorHead, Composed, GroupCall
from qurable.contracts.stages import (
    Waited,
)
from qurable.names import Activity, Queue
from workflows.calling import FIRST, PATIENT, STEADY, run_activity


async def await_turn(head: CollectorHead) -> None:
    """Wait until the account may send one more."""
    await run_activity(
        Activity.AWAIT_TURN,
        head,
        returns=Waited,
        task_queue=Queue.HARDWARE,
        summary=f"wait until {head.backend} may be sent to",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
    )


async def start(call: GroupCall, number: int) -> Composed:
    """Have those who waited together run as one."""
    return await run_activity(
        Activity.START_GROUP,
        call,
        returns=Composed,
        summary=f"group {number + 1}: {len(call.members)} jobs",
        start_to_close_timeout=FIRST.compile,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=PATIENT,
    )
