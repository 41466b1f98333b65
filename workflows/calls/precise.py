"""The call of the activity that allots the shots of an estimate at a price."""

from qurable.contracts.precise import PreciseCall, PreciseStep
from qurable.names import Activity
from workflows.calling import FIRST, STEADY, run_activity


async def step(call: PreciseCall) -> PreciseStep:
    """Take in a round, and decide on the next."""
    return await run_activity(
        Activity.PRECISE,
        call,
        returns=PreciseStep,
        summary="decide on the next round",
        start_to_close_timeout=FIRST.stage,
        heartbeat_timeout=FIRST.heartbeat,
        retry_policy=STEADY,
    )
