"""Run a job from inside a workflow of your own.

@workflow.run
async def run(self, program: str) -> dict[str, int]:
    report = await run_job(program, step="sample", shots=1000)
    return report.counts()
"""

from typing import Any

from temporalio import workflow

from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobReport
from qurable.contracts.stages import ReadRequest
from qurable.names import HYBRID_JOB, READ_STORE, Queue
from qurable.requests import as_job

MEMO_BODY = "body"
"""Where a job's workflow keeps the digest of its request, compared when a key is used again."""


async def run_job(work: Any, *, step: str, **options: Any) -> JobReport:
    """Run a job as a child of the calling workflow and give back its report.

    The job's key is made of the calling execution and the step, so that a replay, a retry and a reset find the job
    that is there, and a new execution starts one of its own.

    Args:
        work: A job, or something to sample, as for `Qurable.run`.
        step: Names the call within the workflow; another name is another job.
        **options: Fields of the job, except `key`.

    Raises:
        ChildWorkflowError: The job failed or was cancelled; the cause's `type` is the error's class.
    """
    info = workflow.info()
    job = as_job(work, key=f"{info.workflow_id}/{info.first_execution_run_id}/{step}", **options)
    head = JobHead.of(job)
    report: JobReport = await workflow.execute_child_workflow(
        HYBRID_JOB,
        args=[head, job],
        id=head.id,
        task_queue=Queue.WORKFLOWS,
        result_type=JobReport,
        memo={MEMO_BODY: head.body_hash},
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        static_summary=f"{head.kind} · {step} · asked for {head.asked}",
    )
    if report.results or not report.results_in_store:
        return report
    return await _with_results(report.id, step)


async def _with_results(job_id: str, step: str) -> JobReport:
    """The report with the results that were too large to travel in it."""
    whole: JobReport = await workflow.execute_child_workflow(
        READ_STORE,
        ReadRequest(what="report", job_id=job_id),
        id=f"qurable-read-{job_id}-{workflow.info().run_id}-{step}",
        task_queue=Queue.WORKFLOWS,
        result_type=JobReport,
    )
    return whole
