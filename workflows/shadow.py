"""Shadows of answers: a job that is answered runs at a second place too, and nobody waits for that."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from qurable.contracts.shadows import ShadowCall
from qurable.errors import HybridError
from qurable.names import SHADOW, Queue
from workflows.calls import shadows
from workflows.children import AnyJob, ChildJob

_LAST = 5
"""Priority of all that belongs to shadows."""

_TO_BEGIN = timedelta(seconds=5)
"""A server that has not said by then that the shadow has begun lets the answer go all the same."""


async def begin(call: ShadowCall) -> None:
    """Start the shadow of a job that has its answer; whatever becomes of it, the answer stands.

    Temporal starts no child of a workflow that has ended, so this waits for one round trip; a cancellation that comes
    meanwhile comes too late for the job.
    """
    starting = asyncio.create_task(
        workflow.start_child_workflow(
            SHADOW,
            call,
            id=f"qurable-shadow-{call.shadow_id}",
            task_queue=Queue.WORKFLOWS,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"shadow of {call.job_id} on {call.shadowing.backend}",
            priority=Priority(priority_key=_LAST, fairness_key=call.project),
        )
    )
    with contextlib.suppress(asyncio.CancelledError):
        await workflow.wait([starting], timeout=_TO_BEGIN.total_seconds())
    if starting.done() and not starting.cancelled() and starting.exception() is not None:
        workflow.logger.warning("no shadow of job %s begins: %s", call.job_id, starting.exception())


@workflow.defn(name=SHADOW, failure_exception_types=[HybridError])
class Shadow:
    """Run a job at a second place, and write down how that differs from its answer."""

    @workflow.run
    async def run(self, call: ShadowCall) -> RawValue:
        """What was found."""
        planned = await shadows.plan(call)
        ended = planned.request is None or await _run_to_its_end(planned.request, call)
        return await shadows.compare(call, ended=ended)


async def _run_to_its_end(job: AnyJob, call: ShadowCall) -> bool:
    """Run a job that outlives this workflow; whether it is known to have ended, with an answer or without."""
    try:
        await (await ChildJob.of(job, f"shadow of {call.job_id}", outlives=True).start())
    except WorkflowAlreadyStartedError:
        return False  # an earlier execution of this shadow has started it
    except ChildWorkflowError as failure:
        workflow.logger.warning("the shadow of job %s has no answer: %s", call.job_id, failure.cause)
    return True
