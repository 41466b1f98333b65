"""A workflow of the caller's own, with a job in it and stages of the caller's around that."""

import uuid
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.worker import Worker

from examples.user_workflow.activities import TASK_QUEUE, agreement, write_program
from examples.user_workflow.workflows import ACTIVITIES, ParityCheck
from qurable.contracts.jobs import Hook, Hooks
from qurable.errors import JobFailed
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import Service


async def test_a_job_runs_inside_a_workflow_of_the_caller(service: Service) -> None:
    """Program, job and judgement are one workflow, each step a checkpoint."""
    async with Worker(
        service.temporal, task_queue=TASK_QUEUE, workflows=[ParityCheck], activities=ACTIVITIES
    ):
        found = await service.temporal.execute_workflow(
            ParityCheck.run, args=[5, "aer"], id=f"parity-{uuid.uuid4()}", task_queue=TASK_QUEUE
        )

    assert found == 1.0


async def test_a_jobs_failure_reaches_the_calling_workflow(service: Service) -> None:
    """The caller's workflow sees which error it was and may handle it."""
    async with Worker(
        service.temporal, task_queue=TASK_QUEUE, workflows=[ParityCheck], activities=ACTIVITIES
    ):
        with pytest.raises(WorkflowFailureError) as failure:
            await service.temporal.execute_workflow(
                ParityCheck.run, args=[9, "fake_manila"], id=f"parity-{uuid.uuid4()}", task_queue=TASK_QUEUE
            )

    causes = _causes(failure.value)
    assert any(getattr(cause, "type", None) == "UnsupportedCircuit" for cause in causes)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = [error]
    while found[-1].__cause__ is not None:
        found.append(found[-1].__cause__)
    return found


async def test_the_callers_stages_run_before_and_after_and_are_kept(service: Service) -> None:
    """A stage before rewrites the request; a stage after adds to the report; both are in the store."""

    @activity.defn(name="more_shots")
    async def more_shots(request: dict[str, Any]) -> dict[str, Any]:
        request["pubs"][0]["shots"] = 77
        return request

    hooks = Hooks(
        before=Hook(activity="more_shots", task_queue="hooks"),
        after=Hook(activity="agreement", task_queue="hooks"),
    )
    async with Worker(
        service.temporal, task_queue="hooks", activities=[more_shots, agreement, write_program]
    ):
        report = await service.run(sample(BELL, shots=10, hooks=hooks))

    assert sum(report.counts().values()) == 77
    assert report.derived == 1.0
    assert (await service.qurable.read_report(report.id)).derived == 1.0


async def test_a_stage_of_the_callers_that_breaks_the_request_fails_the_job(service: Service) -> None:
    """What the caller's stage returns is checked like what the caller sends."""

    @activity.defn(name="spoil")
    async def spoil(request: dict[str, Any]) -> dict[str, Any]:
        return {**request, "pubs": []}

    hooks = Hooks(before=Hook(activity="spoil", task_queue="hooks"))
    async with Worker(service.temporal, task_queue="hooks", activities=[spoil]):
        with pytest.raises(JobFailed, match="at least 1") as failure:
            await service.run(sample(BELL, hooks=hooks))

    assert failure.value.error.code == "RequestRejected"
