"""An expectation value to a precision at a price: rounds of jobs that end where they should, and are never paid twice."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from emulator.serving import INSTANCE
from qurable.contracts.precise import PreciseEnd, PreciseReport
from qurable.errors import JobCancelled, JobFailed, KeyReused, RequestRejected
from qurable.precise import as_precise
from tests.chaos.harness import until
from tests.conftest import PaidStack, Service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, Paid, save_account

_CIRCUIT = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nry(0.7) q[0];\ncx q[0], q[1];\n'
_OBSERVABLE = {"II": 0.5, "ZZ": 0.25, "IZ": 1.0, "XX": 0.5}
_TRUTH = 0.5 + 0.25 + 0.7648421872844885 + 0.5 * 0.644217687237691
"""ZZ is 1, IZ is cos 0.7, XX is sin 0.7."""

_PRICE = 1.6
"""USD per QPU second, as the emulator bills."""


async def test_a_precision_is_reached_with_shots_where_they_help(service: Service) -> None:
    """Its key finds it again; every round is a job with a report of its own."""
    key = uuid.uuid4().hex
    wishes: dict[str, Any] = {"precision": 0.01, "backend": "aer", "seed": 4, "key": key}
    report = await service.qurable.precise(_CIRCUIT, _OBSERVABLE, **wishes)
    again = await service.qurable.precise(_CIRCUIT, _OBSERVABLE, **wishes)
    rounds = [await service.qurable.result(done.job_id) for done in report.rounds]
    with pytest.raises(KeyReused):
        await service.qurable.precise(_CIRCUIT, _OBSERVABLE, **{**wishes, "precision": 0.02})

    assert report == again
    assert (report.ended, report.reached) == (PreciseEnd.PRECISION, True)
    assert report.standard_error <= 0.01
    assert abs(report.value - _TRUTH) < 4 * report.standard_error
    assert report.interval[0] < report.value < report.interval[1]
    assert len(rounds) >= 2
    assert (
        report.shots == sum(shots for _, shots in report.groups) == sum(sum(d.shots) for d in report.rounds)
    )
    assert len(report.groups) == 2
    # Readings of XX spread as far as those of the Z products, at half the size.
    by_letters = {observable.terms[0].pauli[0]: shots for observable, shots in report.groups}
    assert by_letters["Z"] > 1.2 * by_letters["X"]
    assert [done.standard_error for done in report.rounds] == sorted(
        (done.standard_error for done in report.rounds), reverse=True
    )


async def test_limits_end_it_and_are_named(service: Service) -> None:
    """With the value as far as it is known; a constant takes no rounds at all."""
    few = await service.qurable.precise(
        _CIRCUIT, _OBSERVABLE, precision=1e-4, max_shots=5_000, backend="aer", seed=4
    )
    constant = await service.qurable.precise(_CIRCUIT, {"II": 0.5}, precision=0.01, backend="aer")
    with pytest.raises(JobFailed, match="not even a first round"):
        await service.qurable.precise(_CIRCUIT, _OBSERVABLE, precision=0.01, max_shots=10, backend="aer")

    assert (few.ended, few.reached) == (PreciseEnd.SHOTS, False)
    assert few.shots <= 5_000
    assert abs(few.value - _TRUTH) < 4 * few.standard_error
    assert (constant.value, constant.standard_error, constant.rounds) == (0.5, 0.0, ())


async def test_it_is_watched_and_cancelled_by_its_id(service: Service) -> None:
    """From anywhere, and the round that runs goes with it."""
    started = await service.qurable.start_precise(
        _CIRCUIT, _OBSERVABLE, precision=1e-6, max_shots=10**12, backend="fake_manila"
    )
    found = service.qurable.attach_precise(started.id)

    async def begun() -> bool:
        return bool((await found.progress()).rounds)

    await until("a round has ended", begun)
    await found.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(found.report(), 60)


@pytest.mark.long
async def test_no_more_is_spent_than_is_allowed_and_nothing_twice(paid: Paid) -> None:
    """Each round has what is left as its budget; a reset finds every round again, and the provider sees no other job."""
    client = paid.service.qurable
    wishes: dict[str, Any] = {"precision": 0.001, "max_qpu_seconds": 30, "backend": DEVICE}
    started = await client.start_precise(_CIRCUIT, _OBSERVABLE, **wishes, ibm={"resilience_level": 0})
    report = await started.report()
    taken = await paid.taken()
    await _reset(paid.service, started.id)
    again = await client.attach_precise(started.id).report()

    assert (report.ended, report.reached) == (PreciseEnd.QPU_SECONDS, False)
    assert 0 < report.qpu_seconds <= 30
    assert len(report.rounds) >= 1
    assert len(taken) == len(report.rounds)
    assert sum(job["cost"] for job in taken) >= report.qpu_seconds
    assert "budget" in report.because
    assert again == report
    assert len(await paid.taken()) == len(taken)


@pytest.mark.long
async def test_a_round_that_is_paid_for_and_brings_nothing_is_counted(paid: Paid) -> None:
    """The provider ends the second one at its limit of QPU time: nobody has its values, and all have its bill."""
    await paid.control.settings(hold=True)
    started = await paid.service.qurable.start_precise(
        _CIRCUIT,
        _OBSERVABLE,
        precision=0.001,
        max_qpu_seconds=60,
        backend=DEVICE,
        ibm={"resilience_level": 0, "preflight": "off"},
    )
    await paid.until_taken(1)
    await paid.control.settings(run_factor=1000, hold=False)  # of the jobs that are accepted from now on
    report = await started.report()
    taken = await paid.taken()

    assert (report.ended, len(report.rounds), len(report.lost)) == (PreciseEnd.FAILED, 1, 1)
    assert [job["status"] for job in taken] == ["Completed", "Cancelled"]
    assert report.lost[0].qpu_seconds == pytest.approx(taken[1]["billed_seconds"], abs=0.01)
    assert report.lost[0].qpu_seconds > 1
    assert report.qpu_seconds == pytest.approx(sum(job["billed_seconds"] for job in taken), abs=0.01)
    assert report.shots == sum(report.rounds[0].shots)


@pytest.mark.long
async def test_no_more_money_is_spent_than_is_allowed(
    paid_stack: PaidStack, emulated_ibm: EmulatorProcess, tmp_path: Path
) -> None:
    """At the account's price, as the provider billed it; a limit in money of another country lets nothing be sent."""
    file = tmp_path / "accounts.json"
    save_account(file, "priced", url=emulated_ibm.url, token="emulator", instance=INSTANCE)
    account = {"name": "priced", "filename": str(file), "price_per_second": _PRICE, "currency": "USD"}
    async with paid_stack(ibm_accounts={"default": account}) as paid:
        client = paid.service.qurable
        wishes: dict[str, Any] = {"max_price": 20, "backend": DEVICE, "ibm": {"resilience_level": 0}}
        enough = await (await client.start_precise(_CIRCUIT, _OBSERVABLE, precision=0.05, **wishes)).report()
        first = await paid.taken()
        short = await (
            await client.start_precise(_CIRCUIT, _OBSERVABLE, precision=0.001, **wishes, currency="USD")
        ).report()
        taken = await paid.taken()
        with pytest.raises(JobFailed, match="in EUR is not known"):
            await client.precise(_CIRCUIT, _OBSERVABLE, precision=0.05, **wishes, currency="EUR")

        assert (enough.ended, enough.reached) == (PreciseEnd.PRECISION, True)
        assert (short.ended, short.reached) == (PreciseEnd.PRICE, False)
        for report, jobs in ((enough, first), (short, taken[len(first) :])):
            billed = sum(job["price"] for job in jobs)
            assert len(jobs) == len(report.rounds)
            assert report.price == pytest.approx(billed, abs=0.01)
            assert 0 < billed <= 20
            assert report.currency == "USD"
        assert "the price limit would be passed after" in short.because
        assert "budget" in short.because
        assert len(await paid.taken()) == len(taken)


async def _reset(service: Service, workflow_id: str) -> None:
    """As `temporal workflow reset --type FirstWorkflowTask` does."""
    first = 0
    async for event in service.temporal.get_workflow_handle(workflow_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            first = event.event_id
            break
    await service.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=service.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="a test",
            workflow_task_finish_event_id=first,
            request_id=f"reset-{workflow_id}",
        )
    )


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"precision": 0}, "precision"),
        ({"precision": -1}, "precision"),
        ({"precision": 0.1, "max_price": 0}, "max_price"),
        ({"precision": 0.1, "max_qpu_seconds": -2}, "max_qpu_seconds"),
        ({"precision": 0.1, "currency": "USD"}, "name a max_price"),
        ({"precision": 0.1, "fallback": "table"}, "leave fallback at 'none'"),
        ({"precision": 0.1, "mitigation": "zne"}, "leave these out"),
        ({}, "precision"),
    ],
)
def test_what_means_nothing_is_refused_by_name(wishes: dict[str, Any], words: str) -> None:
    """Before anything is started."""
    with pytest.raises(RequestRejected, match=words):
        as_precise(_CIRCUIT, "ZZ", **wishes)


def test_one_hermitian_observable_is_estimated() -> None:
    """Neither several, nor one with imaginary parts."""
    with pytest.raises(RequestRejected, match="Hermitian"):
        as_precise(_CIRCUIT, {"ZZ": 1j}, precision=0.1)
    with pytest.raises(RequestRejected, match="one value"):
        as_precise(_CIRCUIT, ["ZZ", "XX"], precision=0.1)


@pytest.mark.long
async def test_stated_intervals_hold_the_truth(service: Service) -> None:
    """Of 40 with seeds of their own at least 33 at 95 %: fewer come by chance less than once in a thousand times."""
    wishes: dict[str, Any] = {"precision": 0.04, "pilot_shots": 150, "backend": "aer"}
    reports: list[PreciseReport] = []
    for first in range(0, 40, 10):
        reports += await asyncio.gather(
            *(
                service.qurable.precise(_CIRCUIT, _OBSERVABLE, **wishes, seed=1_000 * seed)
                for seed in range(first, first + 10)
            )
        )

    assert all(report.reached for report in reports)
    inside = sum(report.interval[0] < _TRUTH < report.interval[1] for report in reports)
    assert inside >= 33
