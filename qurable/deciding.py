"""Decide about a job that waits for somebody's word: an update of its workflow, which takes one and refuses all others."""

import asyncio
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.approvals import Decision
from qurable.contracts.base import digest, explain
from qurable.contracts.errors import ErrorDocument
from qurable.errors import (
    DecisionRefused,
    HybridError,
    NoWorker,
    RequestRejected,
    ServiceUnreachable,
    from_document,
)
from qurable.names import DECIDE

_SECONDS = 20.0


def as_decision(**words: Any) -> Decision:
    """A decision from its fields.

    Raises:
        RequestRejected: Naming the field.
    """
    try:
        return Decision(**words)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the decision")) from None


async def decide(temporal: Client, job_id: str, decision: Decision) -> Decision:
    """Send a decision to a job; the same decision sent twice, since an answer was lost, is one.

    Args:
        temporal: Of the service.
        job_id: Of a job that runs.
        decision: With the hash of the plan that is decided about.

    Raises:
        NotAnApprover: Who decides may not.
        DecisionRefused: The job has ended, waits for nobody's word or with another plan, or somebody was first.
        RequestRejected: The cap is below the estimate.
        NoWorker: No worker took it in time; it may count all the same, the job's status tells.
        ServiceUnreachable: Temporal does not answer.
    """
    handle = temporal.get_workflow_handle(job_id)
    try:
        async with asyncio.timeout(_SECONDS):
            taken: Decision = await handle.execute_update(
                DECIDE, decision, id=digest(decision, length=32), result_type=Decision
            )
    except WorkflowUpdateFailedError as failure:
        raise _why(failure.cause) from None
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise NoWorker(
            f"no worker took the decision about job {job_id!r} within {_SECONDS:g} s: start one with `python worker.py`, and "
            "decide again"
        ) from None
    except RPCError as failure:
        if failure.status is RPCStatusCode.NOT_FOUND:  # it ended a moment ago
            raise DecisionRefused(f"job {job_id!r} has ended: there is nothing to decide") from None
        raise ServiceUnreachable(
            f"Temporal does not answer ({failure.status.name}: {failure.message})"
        ) from None
    return taken


def _why(cause: BaseException) -> HybridError:
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return from_document(ErrorDocument.model_validate(cause.details[0]))
    return DecisionRefused(f"the job does not take the decision: {cause}")
