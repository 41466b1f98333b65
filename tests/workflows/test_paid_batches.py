"""Batches on a place that is paid: few jobs of the provider's, each paid once, and what failed alone is paid again."""

from typing import Any

import pytest

from qurable.contracts.batches import BatchState
from qurable.contracts.budgets import Budget, BudgetChange, Scope
from qurable.contracts.reports import State
from qurable.requests import AnyJob, sample
from tests.chaos.harness import until
from tests.conftest import PaidStack
from tests.paid import DEVICE, Paid

TURNED = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[2] q;\nbit[2] c;\nry(a) q[0];\ncx q[0], q[1];\nc = measure q;\n'


def jobs(number: int, **options: Any) -> list[AnyJob]:
    """Bindings of one circuit, on the device or nowhere."""
    asked: dict[str, Any] = {"shots": 100, "backend": DEVICE, "fallback": {"policy": "none"}, **options}
    return [sample((TURNED, {"a": 0.1 * at}), **asked) for at in range(number)]


async def test_a_batch_is_one_job_of_the_providers_and_each_item_has_its_share(paid: Paid) -> None:
    """Every job has a price of its own there, and a kill repeats none: chunks are as large as the provider takes."""
    batch = await paid.service.qurable.batch(jobs(30))
    items = [item async for item in batch.results()]
    report = await batch.report()

    taken = await paid.one()
    assert (report.state, report.chunks) == (BatchState.COMPLETED, 1)
    assert [sum(item.counts().values()) for item in items] == [100] * 30
    assert {item.served_by for item in items} == {DEVICE}
    assert report.qpu_seconds == pytest.approx(taken["billed_seconds"], abs=1e-3)
    assert report.price == pytest.approx(1.6 * report.qpu_seconds)
    assert sum(item.price or 0.0 for item in items) == pytest.approx(report.price)
    by_item = sorted(items, key=lambda item: item.item)
    assert by_item[0].counts() == {"00": 100}  # not turned at all
    assert by_item[-1].counts().get("11", 0) > 90  # almost half a turn


async def test_what_failed_at_the_provider_is_run_in_halves_and_nothing_else_again(paid: Paid) -> None:
    """The items of the job that did well are paid once; who runs the batch again pays for none of them."""
    await paid.control.settings(hold=True)
    batch = await paid.service.qurable.batch([*jobs(4), *jobs(4, shots=50)])
    bad, good = await paid.until_taken(2)
    await paid.control.set_job(bad["id"], status="Failed", reason="the wiring", reason_code=1517)
    await paid.until_taken(4)
    await paid.control.settings(hold=False)
    report = await batch.report()
    again = await (await paid.service.qurable.run_batch_again(batch.id)).report()

    taken = await paid.taken()
    assert (report.state, again.state) == (BatchState.COMPLETED, BatchState.COMPLETED)
    assert len(taken) == 4
    assert (taken[0]["id"], taken[1]["id"]) == (bad["id"], good["id"])
    assert [job["status"] for job in taken] == ["Failed", *["Completed"] * 3]
    assert report.qpu_seconds == pytest.approx(sum(job["billed_seconds"] for job in taken), abs=1e-2)


@pytest.mark.long
async def test_a_job_that_somebody_cancelled_at_the_provider_is_paid_again_only_when_asked(
    paid: Paid,
) -> None:
    """Its items end without an answer; a rerun sends these alone."""
    await paid.control.settings(hold=True)
    batch = await paid.service.qurable.batch([*jobs(4), *jobs(4, shots=50)])
    first, _ = await paid.until_taken(2)
    await paid.control.set_job(first["id"], status="Cancelled")
    await paid.control.settings(hold=False)
    report = await batch.report()
    before = await paid.taken()
    again = await (await paid.service.qurable.run_batch_again(batch.id)).report()
    after = await paid.taken()

    assert report.counts == {State.COMPLETED: 4, State.FAILED: 4}
    assert (len(before), len(after)) == (2, 3)
    assert again.counts == {State.COMPLETED: 8}


@pytest.mark.long
async def test_a_batch_stops_at_its_projects_budget_and_goes_on_when_there_is_more(
    paid_stack: PaidStack,
) -> None:
    """Nothing is sent beyond it; what had no room runs again, and nothing else."""
    async with paid_stack() as paid:
        await _limit(paid, seconds=1)
        batch = await paid.service.qurable.batch(jobs(3, project="thrifty"), project="thrifty")
        report = await batch.report()
        refused = await paid.taken()
        await _limit(paid, seconds=1000)
        again = await (await paid.service.qurable.run_batch_again(batch.id)).report()
        taken = await paid.taken()
        (standing,) = (await paid.service.qurable.budgets()).standings

    assert (report.state, refused) == (BatchState.FAILED, [])
    assert {item.error.code for item in report.failed if item.error is not None} == {"BudgetExceeded"}
    assert (again.state, len(taken)) == (BatchState.COMPLETED, 1)
    assert standing.spent_seconds == pytest.approx(again.qpu_seconds, abs=1e-3)


@pytest.mark.long
async def test_a_cancelled_batch_withdraws_what_it_has_at_the_provider(paid: Paid) -> None:
    """Nobody is billed for what nobody waits for."""
    await paid.control.settings(hold=True)
    batch = await paid.service.qurable.batch(jobs(4))
    await paid.until_taken()

    await batch.cancel()
    report = await batch.report()

    assert report.counts == {State.CANCELLED: 4}
    assert await until("it is withdrawn", lambda: _withdrawn(paid))


async def _withdrawn(paid: Paid) -> bool:
    return not await paid.alive()


async def _limit(paid: Paid, *, seconds: float) -> None:
    budget = Budget(scope=Scope.PROJECT, name="thrifty", qpu_seconds=seconds)
    await paid.service.qurable.set_budget(BudgetChange(budget=budget))
