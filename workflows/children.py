"""Jobs of another workflow: each a child that runs as any other job, and is joined where it runs already."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, JobHead, SampleJob, SolveJob
from qurable.errors import BY_CODE, InternalError, JobCancelled
from qurable.names import HYBRID_JOB, Queue
from qurable.temporal.attributes import first_words, keywords
from qurable.temporal.in_workflow import MEMO_BODY

AnyJob = EstimateJob | SampleJob | SolveJob

ASK_AGAIN = timedelta(seconds=1)
"""The first pause before a job that is somebody else's child is asked after."""

_AT_MOST = timedelta(minutes=5)


@dataclass(frozen=True)
class ChildJob:
    """A job that a workflow runs as its child.

    Attributes:
        head: What its workflow reads of it.
        body: Its request, unread where it comes from an activity.
        part_of: Whose it is, for the web UI.
        outlives: Whether it goes on when its parent is closed; otherwise it is told to stop then, so that nothing runs, and
            costs, for nobody.
        search_attributes: Whether the server knows this project's.
    """

    head: JobHead
    body: AnyJob | RawValue
    part_of: str
    outlives: bool = False
    search_attributes: bool = False

    @classmethod
    def of(cls, job: AnyJob, part_of: str, *, outlives: bool = False) -> Self:
        """A job whose request the workflow has."""
        return cls(JobHead.of(job), job, part_of, outlives)

    async def start(self) -> "workflow.ChildWorkflowHandle[Any, RawValue]":
        """The child's handle, once Temporal says that it has begun.

        Raises:
            WorkflowAlreadyStartedError: The job runs, as the child of somebody else.
        """
        policy = workflow.ParentClosePolicy
        return await workflow.start_child_workflow(
            HYBRID_JOB,
            args=[self.head, self.body],
            id=self.head.id,
            task_queue=Queue.WORKFLOWS,
            result_type=RawValue,
            memo={MEMO_BODY: self.head.body_hash},
            search_attributes=keywords(first_words(self.head)) if self.search_attributes else None,
            parent_close_policy=policy.ABANDON if self.outlives else policy.REQUEST_CANCEL,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"{self.head.kind} · {self.part_of} · asked for {self.head.asked}",
            priority=Priority(priority_key=self.head.priority, fairness_key=self.head.project),
        )

    async def run(self) -> ErrorDocument | None:
        """Run it to its end, or join it where an earlier execution has left it running; why it has no answer, if it has none.

        Started again under its id, a job refuses while it runs, and once it has ended gives the end that is recorded: it is
        never paid twice. A cancellation is passed on to the job, and its end is waited for, which may be an answer all the
        same: whether to heed the cancellation then is up to who called.
        """
        pause, told = ASK_AGAIN, False
        while True:
            try:
                child = await self.start()
                if told:
                    child.cancel()
                await child
            except WorkflowAlreadyStartedError:
                pass
            except ChildWorkflowError as failure:
                return self.error_of(failure)
            else:
                return None
            try:
                await workflow.sleep(pause, summary=f"join {self.head.id}")
            except asyncio.CancelledError:
                if not workflow.in_workflow():  # a worker that stops drops its workflows where they are
                    raise
            if not told and _is_called_off():
                await self.tell()
                told = True
            pause = longer(pause, told=told)

    async def tell(self) -> bool:
        """Cancel the job as somebody else's child; False where none of its id runs, or any more."""
        try:
            await workflow.get_external_workflow_handle(self.head.id).cancel()
        except ApplicationError as failure:
            workflow.logger.info("job %s is not there to be cancelled: %s", self.head.id, failure)
            return False
        return True

    def error_of(self, failure: ChildWorkflowError) -> ErrorDocument:
        """Why the job ended without an answer."""
        cause = failure.cause
        if is_cancelled_exception(failure):
            return self.cancelled()
        if isinstance(cause, ApplicationError) and cause.type in BY_CODE and cause.details:
            return ErrorDocument.model_validate(cause.details[0])
        return InternalError(f"job {self.head.id!r} ended with: {cause or failure}").document()

    def cancelled(self) -> ErrorDocument:
        """The end of a job that was called off."""
        return JobCancelled(f"job {self.head.id!r} was cancelled before it had an answer").document()


def longer(pause: timedelta, *, told: bool) -> timedelta:
    """The next pause before a job is asked after; a job that was told to stop soon ends."""
    return ASK_AGAIN if told else min(2 * pause, _AT_MOST)


def _is_called_off() -> bool:
    """Whether whoever asks was cancelled at any time, also while a start was under way, whose refusal hides that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
