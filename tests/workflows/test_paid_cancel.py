"""A cancelled job leaves nothing at the provider that costs money, in whatever state it is caught."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState

from qurable.client import Job
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import JobReport, State
from qurable.errors import JobCancelled, JobFailed
from qurable.requests import sample
from store import results, submissions
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE, RECONCILING, Paid

_SUBMIT = "POST /jobs"
_JOB = "GET /jobs/{id}"
_RESULTS = "GET /jobs/{id}/results"
_CANCEL = "POST /jobs/{id}/cancel"


LONG = {"max_execution_time": 2000}
"""For a job that is to run for minutes: the provider ends it at what was reserved for it, otherwise."""


def bell(**options: object) -> object:
    """A job whose answer differs every time."""
    return sample(BELL, shots=200, backend=DEVICE, **options)


async def _cancelled(paid: Paid, job: Job) -> JobReport:
    """Cancel a job, and give back what is recorded of it."""
    await job.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)
    report = await paid.recorded(job)
    assert report.state is State.CANCELLED
    return report


async def test_cancelled_while_it_waits_for_its_turn_it_is_never_sent(paid: Paid) -> None:
    """Refused as too fast each time it tries, it has no job at the provider, and gets none."""
    await paid.control.fault(_SUBMIT, "status", status=429, headers={"Retry-After": "1"}, times=None)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "submit-0", "waiting")

    report = await _cancelled(paid, job)

    assert await paid.taken() == []
    assert [record.id for record in report.provider_jobs] == [""]
    assert report.qpu_seconds == 0.0


@pytest.mark.parametrize("after", [False, True], ids=["before it is taken", "after it was taken"])
async def test_cancelled_while_it_is_being_sent_it_is_waited_for_and_withdrawn(
    paid: Paid, *, after: bool
) -> None:
    """A request is not torn apart that may be accepted."""
    await paid.control.settings(hold=True)
    await paid.control.fault(_SUBMIT, "hold", after=after)
    job = await paid.service.qurable.submit(bell())
    await paid.control.until_held()
    await job.cancel()
    await paid.control.release()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)

    taken = await paid.one()
    assert taken["status"] == "Cancelled"
    assert taken["billed_seconds"] == 0
    (record,) = (await paid.recorded(job)).provider_jobs
    assert (record.id, record.state) == (taken["id"], Phase.CANCELLED)


async def test_cancelled_while_it_is_asked_after_it_is_no_failure(paid: Paid) -> None:
    """The look ends with "still running", which Temporal takes for the end of an activity that was told to stop."""
    await paid.control.settings(run_factor=500.0)
    job = await paid.service.qurable.submit(bell(ibm=LONG))
    await paid.until_began(job, "await_done-0")
    await paid.control.fault(_JOB, "hold")
    await paid.control.until_held()
    handle = paid.service.qurable.temporal.get_workflow_handle(job.id)
    await job.cancel()

    async def told() -> bool:
        """Whether the activity has been told to stop."""
        pending = (await handle.describe()).raw_description.pending_activities
        return any(
            one.state == PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED for one in pending
        )

    await until("the look is told to stop", told, 60)
    await paid.control.release()

    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)
    assert (await paid.one())["status"] == "Cancelled"


async def test_cancelled_in_the_queue_it_costs_nothing(paid: Paid) -> None:
    """The provider was asked again whether it worked: the client itself only believes so."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    await paid.control.forget_log()

    report = await _cancelled(paid, job)

    taken = await paid.one()
    asked = [f"{entry['method']} {entry['path']}" for entry in await paid.control.log()]
    confirmed = asked[max(at for at, entry in enumerate(asked) if entry.endswith("/cancel")) + 1 :]
    assert taken["status"] == "Cancelled"
    assert any(entry.startswith("GET") and entry.endswith(taken["id"]) for entry in confirmed)
    assert report.qpu_seconds == 0.0


@pytest.mark.long
async def test_cancelled_while_the_account_is_refused_it_is_left_to_the_reconciler(
    paid_stack: PaidStack,
) -> None:
    """Whoever cancels gets an end, however long the account is refused; its job is called off once it works again."""
    async with paid_stack(**RECONCILING) as paid:
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(bell())
        await paid.until_ended(job, "await_start-0", "waiting")
        await paid.control.tokens(accept=["the key of another"], revoke=True)

        await _cancelled(paid, job)
        taken = await paid.one()
        await paid.control.tokens(accept=None, revoke=False)

        assert taken["status"] == "Queued"
        await paid.until_status(taken["id"], "Cancelled")


async def test_cancelled_on_the_qpu_its_seconds_are_reported(paid: Paid) -> None:
    """What has run is billed, and the report of a cancelled job says so."""
    await paid.control.settings(run_factor=500.0)
    job = await paid.service.qurable.submit(bell(ibm=LONG))
    await paid.until_began(job, "await_done-0")
    taken = await paid.one()
    await paid.control.advance(30)

    report = await _cancelled(paid, job)

    ended = await paid.control.job(taken["id"])
    assert ended["status"] == "Cancelled"
    assert ended["billed_seconds"] >= 29
    assert report.qpu_seconds == pytest.approx(ended["billed_seconds"], abs=1e-3)
    assert report.price == pytest.approx(1.6 * report.qpu_seconds)


async def _cancelled_when_it_had_ended(paid: Paid, job: Job) -> dict[str, Any]:
    """Let the provider's one job end unseen, and cancel ours; gives back the provider's."""
    await paid.control.fault(_JOB, "hold")
    await paid.control.until_held()
    await paid.control.settings(hold=False)
    taken = await paid.one()
    await paid.until_status(taken["id"], "Completed")
    await job.cancel()
    await paid.control.release()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)
    return taken


async def test_a_job_that_had_ended_before_its_cancellation_is_kept_and_said_so(paid: Paid) -> None:
    """It is paid for: its result is fetched and stays in the store, whatever the caller wanted."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    taken = await _cancelled_when_it_had_ended(paid, job)

    report = await paid.recorded(job)
    (key,) = await paid.service.database.read(submissions.of_job, job.id, DEVICE)
    pieces = await paid.service.database.read(results.get, key.tag)
    assert report.error is not None
    assert f"it had ended on {DEVICE!r} before that, and its result is kept" in report.error.message
    assert [(piece.start, piece.stop) for piece in pieces] == [(0, 1)]
    assert report.provider_jobs[0].state is Phase.DONE
    assert report.qpu_seconds > 0
    assert (await paid.control.job(taken["id"]))["status"] == "Completed"


async def test_an_answer_in_time_is_kept_though_an_earlier_job_was_lost(paid: Paid) -> None:
    """The one that the provider lost can neither run nor cost any more; the one after it is paid for."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    (lost,) = await paid.until_taken()
    await paid.until_ended(job, "await_start-0", "waiting")
    await paid.control.set_job(lost["id"], vanish=True)
    await paid.until_ended(job, "await_start-0.1", "waiting")
    await _cancelled_when_it_had_ended(paid, job)

    report = await paid.recorded(job)
    assert report.error is not None
    assert "its result is kept" in report.error.message
    assert [record.state for record in report.provider_jobs] == [Phase.LOST, Phase.DONE]


async def test_cancelled_while_its_result_is_fetched_nothing_is_left(paid: Paid) -> None:
    """The provider's job has ended; ours ends without waiting for the answer that does not come."""
    await paid.control.fault(_RESULTS, "hold")
    job = await paid.service.qurable.submit(bell())
    await paid.control.until_held()
    assert (await job.status()).state is State.POST_PROCESSING

    report = await _cancelled(paid, job)

    assert await paid.alive() == []
    assert report.qpu_seconds > 0


async def test_a_queue_limit_that_passes_withdraws_the_job(paid: Paid) -> None:
    """Nobody waits for it any more, so nobody pays for it."""
    await paid.control.settings(hold=True)

    job = await paid.service.qurable.submit(bell(limits=Limits(queue=timedelta(seconds=0.5))))
    with pytest.raises(JobFailed) as caught:
        await job.result()

    assert caught.value.error.code == "QueueLimitReached"
    assert "limit" in caught.value.error.message
    assert (await paid.one())["status"] == "Cancelled"


async def test_a_job_that_ended_while_it_was_withdrawn_answers_all_the_same(paid: Paid) -> None:
    """The queue limit has passed, and the withdrawal finds a result that is paid for: it is used."""
    await paid.control.settings(hold=True)
    await paid.control.fault(_CANCEL, "hold")
    job = await paid.service.qurable.submit(bell(limits=Limits(queue=timedelta(seconds=0.5))))
    await paid.control.until_held()
    await paid.control.settings(hold=False)
    taken = await paid.one()
    await paid.until_status(taken["id"], "Completed")
    await paid.control.release()
    report = await job.result()

    assert report.state is State.COMPLETED
    assert sum(report.counts().values()) == 200
    assert report.provider_jobs[0].id == taken["id"]


async def test_a_run_limit_that_passes_withdraws_the_job(paid: Paid) -> None:
    """The run limit is counted from the QPU's start, and what has run by then is billed."""
    await paid.control.settings(run_factor=500.0)

    job = await paid.service.qurable.submit(bell(limits=Limits(run=timedelta(seconds=0.5)), ibm=LONG))
    with pytest.raises(JobFailed) as caught:
        await job.result()

    assert caught.value.error.code == "RunLimitReached"
    assert (await paid.one())["status"] == "Cancelled"


async def test_terminated_jobs_are_cancelled_by_the_reconciler(paid_stack: PaidStack) -> None:
    """`temporal workflow terminate` skips every cleanup of the workflow's own: on the QPU as in the queue."""
    async with paid_stack(**RECONCILING) as paid:
        await paid.control.settings(run_factor=500.0)
        running = await paid.service.qurable.submit(bell(ibm=LONG))
        await paid.until_began(running, "await_done-0")
        queued = await paid.service.qurable.submit(bell())
        await paid.until_ended(queued, "await_start-0", "waiting")
        assert [taken["status"] for taken in await paid.taken()] == ["Running", "Queued"]
        for job in (running, queued):
            await paid.service.temporal.get_workflow_handle(job.id).terminate("a test")

        async def gone() -> bool:
            return not await paid.alive()

        await until("nothing is alive at the provider", gone, 60)

        assert [taken["status"] for taken in await paid.taken()] == ["Cancelled", "Cancelled"]
