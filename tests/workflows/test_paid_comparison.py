"""Hedged runs and comparisons that pay: the loser is withdrawn at the provider, confirmed, and its bill is in the report."""

import asyncio

import pytest

from qurable.comparing import Comparison
from qurable.contracts.comparisons import ComparisonReport, PlannedComparison
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import read_request
from qurable.contracts.reports import State
from qurable.errors import JobCancelled
from qurable.requests import sample
from store import comparisons
from store.shelf import StoreShelf
from tests.circuits_at_hand import BELL
from tests.paid import DEVICE, Paid
from tests.workflows.test_paid_cancel import LONG

_CANCEL = "POST /jobs/{id}/cancel"


async def _hedged(paid: Paid, key: str, after: str, **options: object) -> Comparison:
    job = sample(BELL, shots=200, seed=7, key=key, **options)
    return await paid.service.qurable.hedge(job, on=[DEVICE, "aer"], after=after)


async def _report(comparison: Comparison) -> ComparisonReport:
    return await asyncio.wait_for(comparison.report(), 60)


async def test_a_loser_in_the_queue_is_cancelled_and_the_provider_is_asked_again(paid: Paid) -> None:
    """A cancellation that was only sent is no end: the report waits for the provider's own word."""
    await paid.control.settings(hold=True)
    report = await _report(await _hedged(paid, "hedged-in-queue", "1s"))

    taken = await paid.one()
    loser, winner = report.legs
    asked = [f"{entry['method']} {entry['path']}" for entry in await paid.control.log()]
    confirmed = asked[max(at for at, entry in enumerate(asked) if entry.endswith("/cancel")) + 1 :]
    assert report.decided is not None
    assert (report.decided.place, winner.state) == ("aer", State.COMPLETED)
    assert taken["status"] == "Cancelled"
    assert any(entry.startswith("GET") and entry.endswith(taken["id"]) for entry in confirmed)
    assert loser.withdrawal is not None
    assert loser.withdrawal.confirmed
    assert [(bill.id, bill.state) for bill in loser.provider_jobs] == [(taken["id"], Phase.CANCELLED)]
    assert (loser.qpu_seconds, report.qpu_seconds) == (0.0, 0.0)


@pytest.mark.long
async def test_a_loser_on_the_qpu_costs_what_it_has_run(paid: Paid) -> None:
    """The report says how much, and the sum has it."""
    await paid.control.settings(run_factor=500.0)
    comparison = await _hedged(paid, "hedged-on-qpu", "1h", ibm=LONG)
    taken = (await paid.until_taken())[0]
    await paid.until_status(taken["id"], "Running")
    await paid.control.advance(30)
    second = await paid.service.qurable.hedge(
        sample(BELL, shots=200, seed=7, key="hedged-on-qpu-too", ibm=LONG), on=[DEVICE, "aer"], after="1s"
    )
    report = await _report(second)
    await comparison.cancel()
    with pytest.raises(JobCancelled):
        await _report(comparison)
    cancelled = await comparison.stored()

    billed = (await paid.control.job(taken["id"]))["billed_seconds"]
    assert billed >= 29
    assert cancelled.qpu_seconds == pytest.approx(billed, abs=1e-3)
    assert cancelled.legs[0].withdrawal is not None
    assert cancelled.legs[0].withdrawal.confirmed
    assert (cancelled.legs[1].state, cancelled.legs[1].job_id) == (None, "")
    assert report.decided is not None
    assert report.decided.place == "aer"
    assert await paid.alive() == []


@pytest.mark.long
async def test_a_loser_that_was_faster_is_kept_and_said_so(paid: Paid) -> None:
    """The provider had finished it before the cancellation came: it is paid for, so its result stays."""
    await paid.control.settings(hold=True)
    await paid.control.fault(_CANCEL, "hold")
    comparison = await _hedged(paid, "hedged-race", "1s")
    await paid.control.until_held()
    taken = await paid.one()
    await paid.control.settings(hold=False)
    await paid.until_status(taken["id"], "Completed")
    early = await asyncio.wait_for(comparison.answer(), 60)
    await paid.control.release()
    report = await _report(comparison)

    loser = report.legs[0]
    assert loser.withdrawal is not None
    assert (loser.withdrawal.confirmed, loser.withdrawal.finished) == (True, True)
    assert taken["id"] in loser.withdrawal.because
    assert loser.qpu_seconds > 0
    assert report.qpu_seconds == loser.qpu_seconds
    assert early.served_by == "aer"
    assert (await paid.control.job(taken["id"]))["status"] == "Completed"


@pytest.mark.long
async def test_the_budget_is_for_all_places_together(paid: Paid) -> None:
    """Two devices that may cost share it evenly; a simulator leaves it alone."""
    job = sample(BELL, shots=100, key="shared-budget", budget={"qpu_seconds": 60.0})
    comparison = await paid.service.qurable.compare(job, on=[DEVICE, "ibm:lima", "aer"])
    report = await _report(comparison)

    kept = await paid.service.database.read(comparisons.find, comparison.id)
    assert kept is not None
    shelf = StoreShelf(paid.service.database)
    planned = PlannedComparison.read(await shelf.artifact(kept[0]))
    requests = [read_request(await shelf.artifact(leg.request)) for leg in planned.legs]

    assert [leg.state for leg in report.legs] == [State.COMPLETED] * 3
    assert [request.budget.qpu_seconds for request in requests] == [30.0] * 3
    assert all(leg.qpu_seconds > 0 for leg in report.legs[:2])
    assert report.qpu_seconds == pytest.approx(sum(leg.qpu_seconds for leg in report.legs))
