"""Whether somebody still wants what a job has started: its workflow runs."""

from datetime import timedelta
from typing import Protocol

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

_RPC = timedelta(seconds=10)
_ENDED = frozenset(
    {
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.TIMED_OUT,
    }
)
"""A status that this version does not know is a workflow that may go on."""


class Owners(Protocol):
    """Knows which jobs run."""

    async def alive(self, job_id: str) -> bool | None:
        """Whether the job's workflow runs; None where nobody can say."""
        ...


class TemporalOwners:
    """Asks Temporal.

    Args:
        client: A connected one. A job's id is the id of its workflow.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def alive(self, job_id: str) -> bool | None:
        """Whether the newest execution of the job runs.

        A job that Temporal does not have, because it was deleted or a backup restored, does not run. None for every
        other failure, a namespace that is not there among them: not knowing is no reason to cancel what was paid for.
        """
        try:
            found = await self._client.get_workflow_handle(job_id).describe(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND and not _is_about_the_namespace(failure):
                return False
            return None
        except RuntimeError:  # a connection that was never made
            return None
        return found.status not in _ENDED


def _is_about_the_namespace(failure: RPCError) -> bool:
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in failure.grpc_status.details)
