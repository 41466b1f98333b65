"""Jobs that cost money: one report says what they cost, and nothing is paid twice on the way to it."""

import asyncio
from datetime import timedelta

import pytest

from qurable.contracts.changes import Altered
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobFailed
from qurable.names import Attribute
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE, Paid


async def test_the_report_says_what_was_paid_to_whom_and_how_long_it_took(paid: Paid) -> None:
    """Queue time, QPU seconds, price, the provider's id and the layout; the provider's own figures, not ours."""
    await paid.control.device("ibm_manila", queue_length=2)

    report = await paid.service.run(sample(BELL, shots=500, backend=DEVICE, project="portfolio"))

    job = await paid.one()
    (record,) = report.provider_jobs
    assert (report.state, report.served_by, report.degraded) == (State.COMPLETED, DEVICE, False)
    assert report.answer_kind is AnswerKind.NOISY_SIMULATOR
    assert (record.id, record.state, record.attempts) == (job["id"], Phase.DONE, 1)
    assert (record.backend, record.account, record.session) == (DEVICE, "default", "")
    assert record.created is not None
    assert record.started is not None
    assert record.finished is not None
    assert record.queue_seconds == (record.started - record.created).total_seconds()
    assert record.queue_seconds >= 2 * 30  # two jobs of half a minute are ahead, by the emulator's clock
    assert report.durations.queue == record.queue_seconds
    assert report.durations.run == (record.finished - record.started).total_seconds()
    assert record.usage_complete
    assert record.qpu_seconds == report.qpu_seconds == pytest.approx(job["billed_seconds"], abs=1e-3)
    assert record.price == report.price == pytest.approx(1.6 * report.qpu_seconds)
    assert (record.currency, report.currency) == ("USD", "USD")
    assert record.estimated is not None
    assert 0.9 * record.estimated.low <= report.qpu_seconds <= 1.1 * record.estimated.high
    assert report.provenance is not None
    assert report.provenance.provider_job == job["id"]
    assert report.provenance.submission in job["tags"]
    (circuit,) = report.provenance.circuits
    assert circuit.layout is not None
    assert len(set(circuit.layout)) == 2
    assert sum(report.counts().values()) == 500
    assert set(report.counts()) <= {"00", "11"}
    assert any("emulated" in warning for warning in report.warnings)
    assert report.incidents == ()
    states = [event.state for event in report.events]
    assert states == sorted(states, key=list(State).index)
    assert {State.SUBMITTED, State.QUEUED, State.RUNNING, State.COMPLETED} <= set(states)


async def test_lists_in_temporal_find_a_job_by_the_providers_id_while_it_waits_and_after(paid: Paid) -> None:
    """An operator has an invoice with the provider's id and wants to know whose it is."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(sample(BELL, shots=100, backend=DEVICE))
    await paid.until_began(job, "await_start-0")
    at_provider = await paid.one()
    temporal = paid.service.temporal.get_workflow_handle(job.id)

    async def attributes() -> dict[str, object]:
        found = (await temporal.describe()).typed_search_attributes
        return {pair.key.name: pair.value for pair in found}

    waiting = await attributes()
    await paid.control.settings(hold=False)
    report = await job.result()
    ended = await attributes()

    assert waiting[Attribute.PROVIDER_JOB] == ended[Attribute.PROVIDER_JOB] == at_provider["id"]
    assert waiting[Attribute.STAGE] == "submitted"
    assert Attribute.QPU_SECONDS not in waiting
    assert ended[Attribute.QPU_SECONDS] == report.qpu_seconds
    assert ended[Attribute.SERVED_BY] == DEVICE


async def test_the_same_key_pays_once(paid: Paid) -> None:
    """A caller that lost its answer asks again with the key of its first attempt."""
    work = sample(BELL, shots=100, backend=DEVICE)

    first, second = await asyncio.gather(paid.service.run(work), paid.service.run(work))

    await paid.one()
    assert first == second


async def test_ibm_chooses_the_device_with_the_shortest_queue_of_this_moment(paid: Paid) -> None:
    """Not by the list that the client has kept, and not one that takes no jobs."""
    state = await paid.control.state()
    wide = [device["name"] for device in state["devices"] if device["qubits"] >= 2]
    try:
        for name in wide:
            await paid.control.device(name, queue_length=40)
        await paid.control.device("ibm_lima", queue_length=1)
        await paid.control.device("ibm_manila", queue_length=0, status="maintenance")
        report = await paid.service.run(sample(BELL, shots=100, backend="ibm"))
    finally:
        for name in wide:
            await paid.control.device(name, queue_length=0, status="active")

    assert report.served_by == "ibm:lima"
    assert (await paid.one())["backend"] == "ibm_lima"


async def test_a_job_that_the_provider_lost_is_sent_again_once_under_the_next_ordinal(paid: Paid) -> None:
    """It answers 404 for the id and lists it under no tag: it is gone, and its answer is still wanted."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(sample(BELL, shots=100, backend=DEVICE))
    (first,) = await paid.until_taken()
    await paid.until_ended(job, "await_start-0", "waiting")
    await paid.control.set_job(first["id"], vanish=True)
    await paid.control.settings(hold=False)

    report = await job.result()

    second = await paid.one()
    assert report.state is State.COMPLETED
    assert [record.id for record in report.provider_jobs] == [first["id"], second["id"]]
    assert [record.state for record in report.provider_jobs] == [Phase.LOST, Phase.DONE]
    assert not set(first["tags"]) & set(second["tags"]) - {first["tags"][-1]}
    assert report.provenance is not None
    assert report.provenance.provider_job == second["id"]
    (change,) = report.changes
    assert (change.what, change.before, change.because) == (Altered.SUBMISSION, first["id"], "JobLost")


@pytest.mark.long
async def test_a_provider_that_loses_every_job_is_not_asked_for_ever(paid: Paid) -> None:
    """Each job may have cost something: the second one lost is the job's end."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(sample(BELL, shots=100, backend=DEVICE))
    for step in ("await_start-0", "await_start-0.1"):
        await paid.until_ended(job, step, "waiting")
        await paid.control.set_job((await paid.one())["id"], vanish=True)
    with pytest.raises(JobFailed) as caught:
        await job.result()

    assert caught.value.error.code == "JobLost"
    assert await paid.taken() == []


@pytest.mark.long
async def test_the_providers_rate_limit_is_a_wait_and_no_failure(paid_stack: PaidStack) -> None:
    """Eight jobs at once where five are taken in a (compressed) minute: all are answered, each paid once."""
    patient = {
        "ibm_send_within": timedelta(seconds=30),
        "ibm_read_timeout": timedelta(seconds=20),
        "heartbeat": timedelta(seconds=20),
    }
    async with paid_stack(**patient) as paid:
        await paid.control.forget_log()
        await paid.control.settings(submissions_per_minute=5)
        work = [sample(BELL, shots=100, backend=DEVICE) for _ in range(8)]
        reports = await asyncio.gather(*map(paid.service.run, work))
        taken, log = await paid.taken(), await paid.control.log()
        failed = [
            entry.failure
            for entry in paid.service.journal.entries
            if entry.step == "submit-0" and entry.how == "failed"
        ]

    posts = [entry for entry in log if (entry["method"], entry["path"][-5:]) == ("POST", "/jobs")]
    assert [report.state for report in reports] == [State.COMPLETED] * 8
    assert sorted(report.provider_jobs[0].id for report in reports) == sorted(job["id"] for job in taken)
    assert len(posts) > len(taken) == 8  # some were refused, or the limit was never felt
    assert failed == []


@pytest.mark.long
async def test_waiting_for_ones_turn_counts_against_no_queue_limit(paid: Paid) -> None:
    """The queue limit is about the provider's queue, and begins when the provider has the job."""
    limits = Limits(queue=timedelta(seconds=10))
    await paid.control.fault("POST /jobs", "status", status=429, headers={"Retry-After": "11"})

    report = await paid.service.run(sample(BELL, shots=100, backend=DEVICE, limits=limits))

    assert report.state is State.COMPLETED
    await paid.one()


@pytest.mark.long
async def test_the_houses_own_permits_spare_the_provider_every_refusal(paid_stack: PaidStack) -> None:
    """Eight jobs at once at five a minute, by the real clock: the provider never has to say no."""
    async with paid_stack(ibm_submissions_per_minute=5) as paid:
        await paid.control.forget_log()
        jobs = [await paid.service.qurable.submit(sample(BELL, shots=100, backend=DEVICE)) for _ in range(8)]
        async with asyncio.timeout(200):
            reports = [await job.result() for job in jobs]
        log = await paid.control.log()

        posts = [entry for entry in log if (entry["method"], entry["path"][-5:]) == ("POST", "/jobs")]
        assert [report.state for report in reports] == [State.COMPLETED] * 8
        assert len(posts) == len(await paid.taken()) == 8
