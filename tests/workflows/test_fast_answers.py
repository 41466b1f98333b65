"""`run` with a wait: the report where it comes in time, else the job, which nobody has to start again."""

import asyncio
from datetime import timedelta

from qurable.blocking import BlockingQurable
from qurable.client import Job
from qurable.contracts.reports import JobReport, State
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL, ENDLESS
from tests.conftest import Service


async def test_a_wait_ends_with_the_report_or_the_job(service: Service) -> None:
    """The job that did not answer in time goes on, and is found by what came back."""
    qurable = service.qurable
    report = await qurable.run(BELL, shots=100, backend="aer", wait=timedelta(minutes=5))
    job = await qurable.run(ENDLESS, shots=1, backend="aer", wait=timedelta(milliseconds=1))
    assert isinstance(job, Job)
    await until("it runs", lambda: "await_done-0" in service.journal.steps(job.id), 60)
    alive = await job.status()
    await job.cancel()
    blocking = await asyncio.to_thread(BlockingQurable, service.server.target, home=service.settings.home)
    same = await asyncio.to_thread(blocking.run, BELL, shots=100, backend="aer", wait=timedelta(minutes=5))
    other = await asyncio.to_thread(
        blocking.run, ENDLESS, shots=1, backend="aer", wait=timedelta(milliseconds=1)
    )
    assert isinstance(other, str)
    await asyncio.to_thread(blocking.cancel, other)
    await asyncio.to_thread(blocking.close)

    assert isinstance(same, JobReport)
    assert isinstance(report, JobReport)
    assert sum(report.counts().values()) == 100
    assert not alive.state.final
    for job_id in (job.id, other):
        await _until_cancelled(service, job_id)


async def _until_cancelled(service: Service, job_id: str) -> None:
    async def cancelled() -> bool:
        return (await service.qurable.status(job_id)).state is State.CANCELLED

    await until("the job is cancelled", cancelled, 60)
