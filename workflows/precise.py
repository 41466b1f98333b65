"""One expectation value to a precision at a price: decide on a round, run it as a job, take it in, until there is no other."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, JobHead
from qurable.contracts.precise import Precise, PreciseCall, PreciseReport, PreciseState
from qurable.errors import BY_CODE, BudgetExceeded, HybridError, InternalError, WorkerOutdated
from qurable.names import HYBRID_JOB, PRECISE, Queue
from qurable.temporal.in_workflow import MEMO_BODY
from workflows import stages
from workflows.failures import as_failure, document_of, final

_ASK_AGAIN = timedelta(seconds=1)
_ASK_AGAIN_AT_MOST = timedelta(minutes=1)


@workflow.defn(name=PRECISE, failure_exception_types=[HybridError])
class PreciseEstimate:
    """Rounds of jobs until a precision is reached, or a limit would be passed."""

    @workflow.init
    def __init__(self, asked: Precise) -> None:
        self._asked = asked
        self._state: PreciseState | None = None

    @workflow.run
    async def run(self, asked: Precise) -> PreciseReport:
        """The report."""
        if asked.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the request has schema version {asked.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers"
                )
            )
        try:
            return await self._rounds()
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            raise as_failure(document_of(failure)) from failure

    async def _rounds(self) -> PreciseReport:
        step = await stages.precise(PreciseCall(precise=self._asked))
        while step.report is None:
            assert step.job is not None  # noqa: S101  a step is one of the two
            self._show(step.state)
            refusal = await self._round(step.job, may_fail=bool(step.state.rounds))
            step = await stages.precise(
                PreciseCall(
                    precise=self._asked,
                    state=step.state,
                    step=step.model_copy(update={"job": None}),
                    ended="" if refusal else step.job.job_id,
                    refusal=refusal,
                )
            )
        self._show(step.state)
        return step.report

    async def _round(self, job: EstimateJob, *, may_fail: bool) -> ErrorDocument | None:
        """Run a round to its end, or join it where an earlier run has left it; why it has no answer, if it has none.

        One that no budget let pass has cost nothing, and may be planned smaller. Where there were rounds before, what they
        brought is worth having without this one.

        Asked for again under its key it is the same job, and once it has ended gives its report: it is never paid twice.
        """
        pause = _ASK_AGAIN
        while True:
            try:
                await self._child(job)
            except WorkflowAlreadyStartedError:
                await self._wait(job.job_id, pause)
                pause = min(2 * pause, _ASK_AGAIN_AT_MOST)
            except ChildWorkflowError as failure:
                if is_cancelled_exception(failure):
                    raise
                error = _error_of(failure)
                if may_fail or error.code == BudgetExceeded.__name__:
                    return error
                raise as_failure(error) from failure
            else:
                return None

    async def _child(self, job: EstimateJob) -> None:
        head = JobHead.of(job)
        await workflow.execute_child_workflow(
            HYBRID_JOB,
            args=[head, job],
            id=head.id,
            task_queue=Queue.WORKFLOWS,
            result_type=RawValue,
            memo={MEMO_BODY: head.body_hash},
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"{head.kind} · a round of {self._asked.id} · asked for {head.asked}",
            priority=Priority(priority_key=head.priority, fairness_key=head.project),
        )

    async def _wait(self, job_id: str, pause: timedelta) -> None:
        """Wait for a round that an earlier run started; where this one is cancelled, so is the round."""
        try:
            await workflow.sleep(pause, summary=f"join {job_id}")
        except asyncio.CancelledError:
            await workflow.get_external_workflow_handle(job_id).cancel()
            raise

    def _show(self, state: PreciseState) -> None:
        self._state = state
        lines = [
            f"precision {self._asked.precision:g}",
            "",
            "| round | shots | value | standard error | price |",
        ]
        lines.append("| ---: | ---: | ---: | ---: | ---: |")
        lines += [
            f"| {done.number} | {sum(done.shots):,} | {done.value:.6g} | {done.standard_error:.3g} | "
            f"{'' if done.price is None else f'{done.price:.2f} {state.currency}'} |"
            for done in state.rounds
        ]
        workflow.set_current_details("\n".join(lines))

    @workflow.query
    def progress(self) -> PreciseState:
        """The rounds so far."""
        return self._state or PreciseState(id=self._asked.id)


def _error_of(failure: ChildWorkflowError) -> ErrorDocument:
    cause = failure.cause
    if isinstance(cause, ApplicationError) and cause.type in BY_CODE and cause.details:
        return ErrorDocument.model_validate(cause.details[0])
    return InternalError(f"a round ended with: {cause or failure}").document()
