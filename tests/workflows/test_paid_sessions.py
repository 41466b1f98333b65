"""Sessions and batches at the provider: opened for a job, replaced when they end, closed whatever happens.

A session bills while it is open, so one that nobody closes is paid for by the minute.
"""

import asyncio
from typing import Any

import pytest

from emulator.serving import INSTANCE
from qurable.client import Job
from qurable.contracts.changes import Altered
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.reports import State
from qurable.errors import JobCancelled, JobFailed
from qurable.requests import sample
from store import sessions
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.emulator.running import Api
from tests.paid import DEVICE, RECONCILING, Paid

MODES = ("session", "batch")


def bell(mode: str = "session", **options: Any) -> Any:
    """A Bell pair in a session or batch of its own."""
    return sample(BELL, shots=100, backend=DEVICE, ibm=IbmOptions(mode=mode), **options)


async def _until_closed(paid: Paid) -> list[dict[str, Any]]:
    """Sessions of the test, as soon as none takes jobs."""

    async def closed() -> list[dict[str, Any]] | None:
        found = await paid.sessions()
        return None if any(one["accepting"] for one in found) else found

    sessions: list[dict[str, Any]] = await until("every session is closed", closed, 60)
    return sessions


async def _close_elsewhere(paid: Paid) -> None:
    """Somebody with the same account closes every session, as on IBM's own pages."""
    api = Api(paid.emulator, {}, INSTANCE)
    api.key = "emulator"
    for session in await paid.sessions():
        answer = await api.call("DELETE", f"/sessions/{session['id']}/close")
        assert answer.ok, answer.text


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_runs_in_a_session_of_its_own_that_is_closed_behind_it(paid: Paid, mode: str) -> None:
    """The report names it, the provider has no second one."""
    report = await paid.service.run(bell(mode))

    (session,) = await _until_closed(paid)
    job = await paid.one()
    (record,) = report.provider_jobs
    assert report.state is State.COMPLETED
    assert session["mode"] == {"session": "dedicated", "batch": "batch"}[mode]
    assert record.session == job["session_id"] == session["id"]


async def test_a_failed_job_closes_its_session(paid: Paid) -> None:
    """Whatever went wrong, the meter stops."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    (taken,) = await paid.until_taken()
    await paid.control.set_job(taken["id"], status="Failed", reason="calibration lost", reason_code=1517)
    with pytest.raises(JobFailed) as caught:
        await asyncio.wait_for(job.result(), 60)

    assert caught.value.error.code == "ExecutionFailed"
    assert "calibration lost" in caught.value.error.message
    assert len(await _until_closed(paid)) == 1


async def test_a_refused_job_closes_its_session(paid: Paid) -> None:
    """The session was opened before the provider refused the job."""
    await paid.control.fault("POST /jobs", "status", status=400, message="the pubs are unlucky")

    error = await paid.refused(bell())

    assert isinstance(error, JobFailed)
    assert error.error.code == "RequestRejected"
    assert await paid.taken() == []
    assert len(await _until_closed(paid)) == 1


async def test_a_cancelled_job_closes_its_session(paid: Paid) -> None:
    """And its job is withdrawn first."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    await job.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)

    assert (await paid.one())["status"] == "Cancelled"
    assert len(await _until_closed(paid)) == 1


async def test_a_job_that_is_cancelled_while_its_session_is_opened_pays_nothing(paid: Paid) -> None:
    """The request may be on its way when the cancellation comes; a session bills from its first job on, and has none."""
    await paid.control.fault("POST /sessions", "hold")
    job = await paid.service.qurable.submit(bell())
    await paid.control.until_held()
    await job.cancel()
    await paid.control.release()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)

    await paid.control.advance(600)
    assert await paid.taken() == []
    assert [session["billed_seconds"] for session in await paid.sessions()] == [0]


async def test_a_session_that_ended_before_the_job_was_sent_is_replaced(paid: Paid) -> None:
    """The job is answered from a new one, under the next ordinal; both are closed."""
    await paid.control.fault("GET /instances/usage", "hold")
    job = await paid.service.qurable.submit(bell())
    await paid.until_began(job, "submit-0")
    await paid.control.until_held()
    await _close_elsewhere(paid)
    await paid.control.clear()
    report = await _answered(job)

    sessions = await _until_closed(paid)
    assert len(sessions) == 2
    assert (await paid.one())["session_id"] == sessions[1]["id"]
    assert [record.session for record in report.provider_jobs if record.id] == [sessions[1]["id"]]
    (change,) = report.changes
    assert (change.what, change.before) == (Altered.SESSION, sessions[0]["id"])
    assert change.because == "SessionClosed"


async def test_a_session_that_ended_while_the_job_was_queued_is_replaced(paid: Paid) -> None:
    """The provider cancels what was queued in it; that is no wish of anybody's, and the job is sent again."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    await _close_elsewhere(paid)
    await paid.control.settings(hold=False)
    report = await _answered(job)

    sessions = await _until_closed(paid)
    assert [taken["status"] for taken in await paid.taken()] == ["Cancelled", "Completed"]
    assert report.provider_jobs[-1].session == sessions[1]["id"]


async def _answered(job: Job) -> Any:
    report = await asyncio.wait_for(job.result(), 60)
    assert report.state is State.COMPLETED
    return report


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_an_answer_is_not_lost_whose_session_cannot_be_closed(paid: Paid, status: int) -> None:
    """It is paid for; the session is the reconciler's, who comes when the job has ended."""
    await paid.control.fault("PATCH /sessions/{id}", "status", status=status, times=None)

    report = await paid.service.run(bell())
    (session,) = await paid.sessions()
    left = await paid.service.database.read(sessions.of_job, report.id)

    assert report.state is State.COMPLETED
    assert session["accepting"]
    assert [one.closed_at for one in left] == [None]


@pytest.mark.long
async def test_the_reconciler_closes_the_session_of_a_terminated_job(paid_stack: PaidStack) -> None:
    """Nothing of the workflow's own runs after a termination."""
    async with paid_stack(**RECONCILING) as paid:
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(bell())
        await paid.until_ended(job, "await_start-0", "waiting")
        await paid.service.temporal.get_workflow_handle(job.id).terminate("a test")

        assert len(await _until_closed(paid)) == 1
        await paid.until_status((await paid.one())["id"], "Cancelled")


async def test_a_simulator_opens_no_session(paid: Paid) -> None:
    """The option is about the provider's hardware; other places ignore it."""
    report = await paid.service.run(bell().model_copy(update={"backend": "aer"}))

    assert report.state is State.COMPLETED
    assert await paid.sessions() == []
