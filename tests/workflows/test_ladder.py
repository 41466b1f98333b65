"""A job that asked for hardware is answered from below where that does not answer: labelled, in time, nothing left running."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import JobReport, State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobFailed
from qurable.names import Attribute
from qurable.requests import estimate, sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service
from tests.paid import DEVICE, RECONCILING, Paid

_TWIN = "fake_manila"
_SIX = BELL.replace("q[2]", "q[6]").replace("c[2]", "c[6]")


def bell(**options: Any) -> Any:
    """A Bell pair on the device."""
    return sample(BELL, shots=100, **{"backend": DEVICE, **options})


def _is_degraded(report: JobReport, served_by: str, why: str) -> None:
    """The label, and one sentence that says who was asked, why that did not answer, and who did."""
    assert (report.state, report.degraded, report.served_by) == (State.DEGRADED, True, served_by)
    assert report.because.startswith(f"asked was {report.asked!r}; ")
    assert why in report.because
    assert f"{served_by!r} answered" in report.because
    assert report.events[-1].state is State.DEGRADED
    assert sum(report.counts().values()) == 100


async def _until_nothing_is_left(paid: Paid) -> None:
    """Every job of the test has ended at the provider."""

    async def none_alive() -> bool:
        return not await paid.alive()

    await until("nothing is left at the provider", none_alive, 60)


async def test_a_device_in_maintenance_is_answered_for_by_its_twin(paid_stack: PaidStack) -> None:
    """Nothing is sent, and the label is found by search attributes too."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        report = await paid.service.run(bell())
        await _until_found(paid.service, report.id)

        _is_degraded(report, _TWIN, "is not available")
        assert report.answer_kind is AnswerKind.NOISY_SIMULATOR
        assert report.tried == ()
        assert report.route.table
        assert await paid.taken() == []
        assert (await paid.service.qurable.results(report.id)).pubs[0] is not None
        assert (await paid.service.qurable.read_report(report.id)).counts() == report.counts()


async def _until_found(service: Service, job_id: str) -> None:
    query = f"{Attribute.DEGRADED} = true AND WorkflowId = '{job_id}'"

    async def listed() -> bool:
        return [entry.id async for entry in service.temporal.list_workflows(query)] == [job_id]

    await until("the job is listed as degraded", listed, 60)


async def test_an_outage_while_it_is_planned_ends_on_the_twin(
    paid_stack: PaidStack,
) -> None:
    """It is asked some times, as an outage may be a hiccup, and then passed over."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.fault(".*", "outage")
        report = await paid.service.run(bell())

    _is_degraded(report, _TWIN, DEVICE)


async def test_a_queue_limit_ends_on_the_twin_and_takes_the_job_back(paid_stack: PaidStack) -> None:
    """What waited at the provider is cancelled there before another answers."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.settings(hold=True)
        report = await paid.service.run(bell(limits=Limits(queue=timedelta(seconds=3))))
        job = await paid.one()
        results = await paid.service.qurable.results(report.id)
        recorded = await paid.service.qurable.read_report(report.id)

    _is_degraded(report, _TWIN, "its limit of 0:00:03 is reached")
    assert [(attempt.backend, attempt.error.code) for attempt in report.tried] == [
        (DEVICE, "QueueLimitReached")
    ]
    assert job["status"] == "Cancelled"
    assert [record.id for record in report.provider_jobs] == [job["id"]]
    assert results.pubs[0] is not None
    assert recorded.counts() == report.counts()


@pytest.mark.long
async def test_a_deadline_leaves_time_for_the_rungs_below(paid_stack: PaidStack) -> None:
    """The place that was asked gets its share of the time, and the answer comes before all of it is gone."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.settings(hold=True)
        report = await paid.service.run(bell(limits=Limits(total=timedelta(seconds=30))))
        job = await paid.one()

    _is_degraded(report, _TWIN, "the rest is for the places below it")
    assert [attempt.error.code for attempt in report.tried] == ["DeadlineAtRisk"]
    assert report.durations.total < 30
    assert job["status"] == "Cancelled"


@pytest.mark.long
async def test_a_provider_that_goes_silent_after_the_job_was_sent_is_left_to_the_reconciler(
    paid_stack: PaidStack,
) -> None:
    """The answer does not wait for it, and the job is cancelled as soon as it can be asked again."""
    async with paid_stack(strategy=None, **RECONCILING) as paid:
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(bell(limits=Limits(total=timedelta(seconds=30))))
        await paid.until_ended(job, "await_start-0", "waiting")
        await paid.control.fault(".*", "outage")
        report = await asyncio.wait_for(job.result(), 60)
        await paid.control.clear()
        await _until_nothing_is_left(paid)

    _is_degraded(report, _TWIN, DEVICE)
    assert report.durations.total < 30


@pytest.mark.long
async def test_a_result_that_cannot_be_fetched_in_time_is_answered_for(paid_stack: PaidStack) -> None:
    """It has run and is paid for, which the report says; the deadline counts more."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.fault("GET /jobs/{id}/results", "status", status=503, times=None)
        report = await paid.service.run(bell(limits=Limits(total=timedelta(seconds=30))))
        job = await paid.one()

    _is_degraded(report, _TWIN, DEVICE)
    assert report.durations.total < 30
    assert job["status"] == "Completed"
    assert report.qpu_seconds > 0


async def test_a_circuit_that_is_too_wide_for_device_and_twin_is_simulated(paid_stack: PaidStack) -> None:
    """Both have five qubits; the ideal simulator has as many as there is memory for."""
    async with paid_stack(strategy=None) as paid:
        report = await paid.service.run(sample(_SIX, shots=100, backend=DEVICE))

    _is_degraded(report, "aer", "needs 6 qubits")
    assert report.answer_kind is AnswerKind.SIMULATOR
    assert [entry.taken for entry in report.route.considered[:2]] == [False, False]


async def test_without_a_ladder_it_fails_as_it_is(paid_stack: PaidStack) -> None:
    """The caller's own word stands above the table."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        with pytest.raises(JobFailed) as caught:
            await paid.service.run(bell(fallback="none"))

    assert caught.value.error.code == "TargetClosed"


async def test_an_answer_that_is_not_certain_enough_is_refused(service: Service) -> None:
    """By the number that it gives itself; where nothing else may answer, the job fails with it."""
    floor = {"kind": "standard_error", "value": 1e-6}
    work = estimate((BELL, "ZI"), precision=0.1, backend="aer", fallback=Fallback(floor=floor))
    with pytest.raises(JobFailed) as caught:
        await service.run(work)

    assert caught.value.error.code == "ConfidenceTooLow"
    assert "standard_error of at most 1e-06" in caught.value.error.message


async def test_a_route_is_planned_without_a_job(paid: Paid) -> None:
    """Nothing is sent, and nothing is kept."""
    before = await paid.service.qurable.list()
    route = await paid.service.qurable.route(bell())
    refused = await paid.service.qurable.route(sample(_SIX, shots=100, backend=DEVICE))

    assert [rung.name for rung in route.rungs] == [DEVICE]
    assert route.rungs[0].estimate.qpu_seconds is not None
    assert route.rungs[0].estimate.survival is not None
    assert refused.rungs == ()
    assert await paid.service.qurable.list() == before
    assert await paid.taken() == []
