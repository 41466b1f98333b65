"""Whether a key that is used again asks for the same."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from qurable.endings import unreachable
from qurable.temporal.in_workflow import MEMO_BODY


async def has_another_body(temporal: Client, workflow_id: str, body_hash: str, patience: timedelta) -> bool:
    """Whether the workflow of a key was started with another body; where it does not say with which, it was not.

    Raises:
        ServiceUnreachable: Temporal does not answer.
        JobNotFound: It is gone.
    """
    try:
        description = await temporal.get_workflow_handle(workflow_id).describe(rpc_timeout=patience)
    except RPCError as failure:
        raise unreachable(failure) from None
    known = (await description.memo()).get(MEMO_BODY)
    return bool(known) and known != body_hash
