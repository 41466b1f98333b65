"""Variational loops at a place that costs money: one session over all iterations, no iteration paid twice, a total that holds."""

import asyncio
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from emulator.serving import INSTANCE
from qurable.contracts.optimisations import LoopState, OptimisationStatus, StopReason
from qurable.errors import JobCancelled, JobFailed
from qurable.optimising import Loop
from store import optimisations
from store.optimisations import Block
from tests.chaos.harness import until
from tests.conftest import PaidStack
from tests.emulator.running import Api
from tests.paid import DEVICE, RECONCILING, Paid
from tests.variational_at_hand import H2

_SECONDS = 120


def _wishes(mode: str = "session", **options: Any) -> dict[str, Any]:
    return {
        "backend": DEVICE,
        "shots": 100,
        "seed": 5,
        "optimiser": {"name": "cobyla"},
        "stop": {"evaluations": 3, "tolerance": 1e-12},
        "reference": None,
        "ibm": {"mode": mode, "preflight": "off"},
        **options,
    }


async def _start(paid: Paid, **options: Any) -> Loop:
    return await paid.service.qurable.optimise(H2, "real_amplitudes:1", **_wishes(**options))


async def _until(loop: Loop, what: str, claim: Callable[[OptimisationStatus], bool]) -> OptimisationStatus:
    async def there() -> OptimisationStatus | None:
        status = await loop.status()
        return status if claim(status) else None

    found: OptimisationStatus = await until(what, there, _SECONDS)
    return found


async def _until_closed(paid: Paid, number: int = 1) -> list[dict[str, Any]]:
    """Sessions of the test, as soon as there are so many and none takes jobs."""

    async def closed() -> list[dict[str, Any]] | None:
        found = await paid.sessions()
        over = len(found) >= number and not any(one["accepting"] for one in found)
        return found if over else None

    found: list[dict[str, Any]] = await until("every session is closed", closed, 60)
    return found


@pytest.mark.parametrize("mode", ["session", "batch"])
async def test_one_session_holds_all_iterations_and_is_closed_at_the_end(paid: Paid, mode: str) -> None:
    """Each iteration is one job of the provider's, and so is the last point."""
    loop = await _start(paid, mode=mode)
    report = await asyncio.wait_for(loop.report(), _SECONDS)
    taken = await paid.taken()

    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.EVALUATIONS)
    (session,) = await _until_closed(paid)
    assert session["mode"] == {"session": "dedicated", "batch": "batch"}[mode]
    assert [job["session_id"] for job in taken] == [session["id"]] * 4
    assert report.spent.jobs == 4
    assert report.spent.qpu_seconds > 0


async def test_a_loop_that_goes_on_here_leaves_its_session_there(paid: Paid) -> None:
    """At once, and not when it ends: an open session costs money."""
    spsa = {"optimiser": {"name": "spsa"}, "stop": {"evaluations": 100_000, "tolerance": 1e-12}}
    loop = await _start(paid, **spsa)
    await _until(loop, "an iteration is over", lambda status: status.spent.iterations > 0)
    await loop.switch("aer")
    await _until_closed(paid)
    status = await loop.status()
    await loop.stop()
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert (status.state, status.backend) == (LoopState.RUNNING, "aer")
    assert report.state is LoopState.COMPLETED


@pytest.mark.long
async def test_a_session_that_ends_under_a_loop_is_replaced_by_another(paid: Paid) -> None:
    """The iteration that was queued in it runs in the new one, and so do all that follow."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    await paid.until_taken()
    api = Api(paid.emulator, {}, INSTANCE)
    api.key = "emulator"
    (first,) = await paid.sessions()
    assert (await api.call("DELETE", f"/sessions/{first['id']}/close")).ok
    await paid.control.settings(hold=False)
    report = await asyncio.wait_for(loop.report(), _SECONDS)
    taken = await paid.taken()

    sessions = await _until_closed(paid, 2)
    assert report.state is LoopState.COMPLETED
    assert [one["id"] for one in sessions][:1] == [first["id"]]
    assert len(sessions) == 2
    assert [job["session_id"] for job in taken] == [first["id"]] + [sessions[1]["id"]] * 4
    assert [entry.iteration async for entry in loop.evaluations()] == [0, 1, 2]


@pytest.mark.long
async def test_a_session_that_expires_under_a_loop_is_replaced_by_another(paid: Paid) -> None:
    """As long as sessions may live at the provider; no iteration is lost or answered twice."""
    short = {"mode": "session", "max_time": 30, "preflight": "off"}
    loop = await _start(paid, ibm=short, stop={"evaluations": 10, "tolerance": 1e-12})
    report = await asyncio.wait_for(loop.report(), _SECONDS)
    taken = await paid.taken()
    sessions = await _until_closed(paid, 2)

    answered = [job["session_id"] for job in taken if job["status"] == "Completed"]
    assert report.state is LoopState.COMPLETED
    assert [entry.iteration async for entry in loop.evaluations()] == list(range(10))
    assert len(answered) == 11
    assert 2 <= len(set(answered)) <= len(sessions) < 11


async def test_a_cancelled_loop_withdraws_its_job_and_closes_its_session(paid: Paid) -> None:
    """Whoever gives up pays for nothing more."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    (taken,) = await paid.until_taken()
    await loop.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(loop.report(), _SECONDS)

    assert len(await _until_closed(paid)) == 1
    await paid.until_status(taken["id"], "Cancelled")


@pytest.mark.long
async def test_a_loop_whose_job_fails_rests_without_a_session_and_runs_the_iteration_again(
    paid: Paid,
) -> None:
    """The reason is in its status; resumed, it opens another session, and loses nothing."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    (taken,) = await paid.until_taken()
    await paid.control.set_job(taken["id"], status="Failed", reason="calibration lost", reason_code=1517)
    paused = await _until(loop, "it is paused", lambda status: status.state is LoopState.PAUSED)
    await _until_closed(paid)
    await paid.control.settings(hold=False)
    await loop.resume()
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert "calibration lost" in paused.message
    assert report.state is LoopState.COMPLETED
    assert [(job.purpose, job.iteration, job.ordinal) for job in report.jobs] == [
        ("iteration", 0, 0),
        ("iteration", 0, 1),
        ("iteration", 1, 0),
        ("iteration", 2, 0),
        ("value", 3, 0),
    ]
    assert len(await _until_closed(paid, 2)) == 2


@pytest.mark.long
async def test_a_job_that_somebody_cancels_pauses_its_loop(paid: Paid) -> None:
    """It is no wish about the loop; switched, it runs the iteration elsewhere and leaves nothing behind."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    (taken,) = await paid.until_taken()
    running = await loop.status()
    await paid.service.qurable.cancel(running.job_id)
    paused = await _until(loop, "it is paused", lambda status: status.state is LoopState.PAUSED)
    await loop.switch("fake_manila")
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert running.job_id in paused.message
    assert "cancelled" in paused.message
    assert (await paid.control.job(taken["id"]))["status"] == "Cancelled"
    assert [(place.backend, place.first) for place in report.places] == [("fake_manila", 0)]
    assert len(await paid.taken()) == 1
    assert len(await _until_closed(paid)) == 1


async def test_a_loop_ends_before_it_costs_more_than_its_budget(paid: Paid) -> None:
    """With the best so far; nothing more is sent, not even the last point."""
    loop = await _start(paid, mode="job", budget={"qpu_seconds": 10}, stop={"evaluations": 100})
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.BUDGET)
    assert 0 < report.spent.qpu_seconds <= 10
    assert report.spent.iterations >= 1
    assert report.best is not None
    assert report.value == report.best.value
    assert len(await paid.taken()) == report.spent.iterations


@pytest.mark.long
async def test_a_loop_that_is_stopped_withdraws_its_job_and_closes_its_session(paid: Paid) -> None:
    """It does not wait for the queue; where nothing was evaluated yet, there is no value."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    (taken,) = await paid.until_taken()
    await loop.stop()
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert (report.stopped_by, report.value) == (StopReason.STOPPED, None)
    assert len(await _until_closed(paid)) == 1
    await paid.until_status(taken["id"], "Cancelled")


@pytest.mark.long
async def test_a_loop_that_fails_closes_its_session(paid: Paid) -> None:
    """Whatever went wrong, the meter stops: here the log is not its optimiser's."""
    await paid.control.settings(hold=True)
    loop = await _start(paid)
    await paid.until_taken()
    database = paid.service.database
    prepared = await database.read(optimisations.find, loop.id)
    assert prepared is not None
    wrong = array("d", [9.0] * len(prepared.parameters)).tobytes()
    one = array("d", [0.0]).tobytes()
    await database.write(optimisations.claim, loop.id, "a test")
    await database.write(optimisations.append, loop.id, "a test", Block(0, (1,), wrong, one, one, 100, 0.0))
    await paid.control.settings(hold=False)
    with pytest.raises(JobFailed) as caught:
        await asyncio.wait_for(loop.report(), _SECONDS)

    assert "another version of its optimiser" in caught.value.error.message
    assert len(await _until_closed(paid)) == 1


@pytest.mark.long
async def test_a_loop_that_is_switched_to_where_it_has_no_room_is_paused(paid: Paid) -> None:
    """It would wait for memory for ever, and hear nobody meanwhile."""
    await paid.control.settings(hold=True)
    loop = await paid.service.qurable.optimise(
        {"Z" * 30: 1.0}, "real_amplitudes:1", **_wishes(mode="job", backend="ibm:brisbane")
    )
    (taken,) = await paid.until_taken()
    await loop.switch("aer")
    await paid.control.set_job(taken["id"], status="Failed", reason="calibration lost", reason_code=1517)
    await _until(loop, "it is paused", lambda status: "calibration lost" in status.message)
    await loop.resume()
    paused = await _until(loop, "it is paused again", lambda status: "on 'aer'" in status.message)
    await loop.stop()
    report = await asyncio.wait_for(loop.report(), _SECONDS)

    assert "30 qubits" in paused.message
    assert (report.stopped_by, report.best) == (StopReason.STOPPED, None)


@pytest.mark.long
async def test_the_reconciler_closes_the_session_of_a_terminated_loop(paid_stack: PaidStack) -> None:
    """Nothing of the workflow's own runs after a termination; its job is cancelled."""
    async with paid_stack(**RECONCILING) as paid:
        await paid.control.settings(hold=True)
        loop = await _start(paid)
        (taken,) = await paid.until_taken()
        await paid.service.temporal.get_workflow_handle(loop.id).terminate("a test")

        assert len(await _until_closed(paid)) == 1
        await paid.until_status(taken["id"], "Cancelled")
