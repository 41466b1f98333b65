"""Paid jobs within budgets: reserved before they are sent, settled by what the provider billed, refused in time."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from qurable.contracts.budgets import Budget, BudgetChange, Guardrails, JobBudget, Scope, Standing
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import State
from qurable.errors import JobCancelled
from qurable.requests import AnyJob, sample
from store.database import Database
from store.schema import reservations
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE, RECONCILING, Paid

PROJECT = "budgeted"


def bell(**options: Any) -> AnyJob:
    """A job of the budgeted project, which fails where its device does not answer."""
    alone: dict[str, Any] = {"fallback": {"policy": "none"}}
    return sample(BELL, **{"shots": 100, "backend": DEVICE, "project": PROJECT, **alone, **options})


async def limit(paid: Paid, *, seconds: float | None = None, money: float | None = None) -> None:
    """Set the project's budget for the month; without a limit, take it away."""
    budget = Budget(
        scope=Scope.PROJECT,
        name=PROJECT,
        qpu_seconds=seconds,
        money=money,
        currency="" if money is None else "USD",
    )
    await paid.service.qurable.set_budget(BudgetChange(budget=budget))


async def standing(paid: Paid) -> Standing:
    (found,) = (await paid.service.qurable.budgets()).standings
    return found


async def held(database: Database) -> float:
    """QPU seconds that are reserved and not settled, by anybody."""
    query = select(func.sum(reservations.c.held))
    found: float | None = await database.read(lambda connection: connection.execute(query).scalar())
    return found or 0.0


async def test_a_job_reserves_what_the_provider_is_told_as_its_limit_and_spends_what_was_billed(
    paid_stack: PaidStack,
) -> None:
    """The reservation is there while the job waits, and after it exactly what the provider billed is spent."""
    async with paid_stack() as paid:
        await limit(paid, seconds=1000, money=2000)
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(bell())
        (taken,) = await paid.until_taken()
        waiting = await standing(paid)
        await paid.control.settings(hold=False)
        report = await job.result()
        after = await standing(paid)
        billed = (await paid.one())["billed_seconds"]

    (record,) = report.provider_jobs
    assert record.estimated is not None
    assert record.reserved is not None
    assert record.reserved >= record.estimated.high
    assert taken["cost"] == record.reserved
    assert (waiting.reserved_seconds, waiting.spent_seconds) == (record.reserved, 0)
    assert waiting.reserved_money == pytest.approx(1.6 * record.reserved)
    assert (after.reserved_seconds, after.reserved_money) == (0, 0)
    assert after.spent_seconds == pytest.approx(billed, abs=1e-3)
    assert after.spent_money == pytest.approx(1.6 * billed, abs=1e-2)
    assert after.left_seconds == 1000 - after.spent_seconds


async def test_a_job_over_budget_is_refused_before_anything_is_sent(paid_stack: PaidStack) -> None:
    """By its project's budget or its own, in seconds or in money; nothing stays reserved."""
    async with paid_stack() as paid:
        await limit(paid, seconds=1)
        project = await paid.refused(bell())
        await limit(paid, money=1)
        price = await paid.refused(bell())
        await limit(paid)
        own = await paid.refused(bell(budget=JobBudget(qpu_seconds=3)))
        taken, left = await paid.taken(), await held(paid.service.database)

    assert "project 'budgeted' a month may take 1 QPU seconds, of which 0 are reserved" in str(project)
    assert "`qurable budget set --project budgeted LIMIT`" in str(project)
    assert "may take 1 USD" in str(price)
    assert "the job, by its own budget, may take 3 QPU seconds" in str(own)
    assert taken == []
    assert left == 0


async def test_a_job_over_budget_is_answered_from_the_next_rung(paid_stack: PaidStack) -> None:
    """Passed over where there is no room for the least that it reserves, refused where there is none for what it does."""
    async with paid_stack(strategy=None) as paid:
        await limit(paid, seconds=3)
        shown = await paid.service.qurable.route(bell(fallback={"policy": "table"}))
        planned = await paid.service.run(bell(fallback={"policy": "table"}))
        await limit(paid, seconds=4)
        refused = await paid.service.run(bell(fallback={"policy": "table"}))
        taken = await paid.taken()

    assert shown.rungs[0].name == planned.served_by
    assert "project 'budgeted' a month may take 3 QPU seconds" in shown.considered[0].because
    assert planned.tried == ()
    assert "project 'budgeted' a month may take 3 QPU seconds" in planned.because
    assert [attempt.error.code for attempt in refused.tried] == ["BudgetExceeded"]
    for report in (planned, refused):
        assert report.state is State.DEGRADED
        assert report.served_by != DEVICE
        assert report.qpu_seconds == 0
    assert taken == []


async def test_the_callers_own_limit_is_what_is_reserved(paid_stack: PaidStack) -> None:
    """A smaller one is no more than the job may cost, a larger one has to have room."""
    async with paid_stack() as paid:
        await limit(paid, seconds=50)
        small = await paid.service.run(bell(ibm={"max_execution_time": 3}))
        refused = await paid.refused(bell(ibm={"max_execution_time": 60}))
        (taken,) = await paid.taken()

    assert small.provider_jobs[0].reserved == taken["cost"] == 3
    assert "the job reserves 60 at least" in str(refused)


async def test_a_job_that_was_cancelled_or_failed_is_settled_when_its_bill_is_there(
    paid_stack: PaidStack,
) -> None:
    """Long after its end, by the reconciler: until then its reservation stands."""
    async with paid_stack(**RECONCILING) as paid:
        await limit(paid, seconds=1000)
        await paid.control.settings(run_factor=500.0, usage_lag_seconds=3600.0)
        job = await paid.service.qurable.submit(bell(ibm={"max_execution_time": 400}))
        await paid.until_began(job, "await_done-0")
        await paid.control.advance(30)
        await job.cancel()
        with pytest.raises(JobCancelled):
            await asyncio.wait_for(job.result(), 60)
        cut = await paid.refused(bell(ibm={"max_execution_time": 2}))
        open_ = await standing(paid)
        await paid.control.settings(usage_lag_seconds=0.0)
        await paid.control.advance(7200)
        await until("everything is settled", lambda: _nothing_is_held(paid.service.database), 60)
        after, jobs = await standing(paid), await paid.taken()

    assert "ran into its limit of QPU time" in str(cut)
    assert open_.reserved_seconds == 402
    assert [job["status"] for job in jobs] == ["Cancelled", "Cancelled"]
    assert after.spent_seconds == pytest.approx(sum(job["billed_seconds"] for job in jobs), abs=1e-2)
    assert after.spent_seconds >= 31


async def _nothing_is_held(database: Database) -> bool:
    return await held(database) == 0


async def test_a_job_that_gave_up_its_turn_gives_its_reservation_back(paid_stack: PaidStack) -> None:
    """It was cancelled while it waited to be sent: nothing was, and nothing is held."""
    async with paid_stack(ibm_submissions_per_minute=1) as paid:
        await limit(paid, seconds=1000)
        await paid.service.run(bell())
        second = await paid.service.qurable.submit(bell())
        await paid.until_ended(second, "submit-0", "waiting")
        waiting = await standing(paid)
        await second.cancel()
        with pytest.raises(JobCancelled):
            await asyncio.wait_for(second.result(), 60)
        after = await standing(paid)

    assert waiting.reserved_seconds > 0
    assert after.reserved_seconds == 0


async def test_what_a_terminated_job_had_reserved_comes_back(paid_stack: PaidStack) -> None:
    """Its own clean-up never ran: the reconciler cancels its job at the provider, and books what that cost."""
    async with paid_stack(**RECONCILING) as paid:
        await limit(paid, seconds=1000)
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(bell(limits=Limits(queue=timedelta(hours=1))))
        await paid.until_ended(job, "await_start-0", "waiting")
        before = await held(paid.service.database)
        await paid.service.temporal.get_workflow_handle(job.id).terminate("by an operator")
        await until("nothing is held", lambda: _nothing_is_held(paid.service.database), 60)
        after, taken = await standing(paid), await paid.one()

    assert before > 0
    assert taken["status"] == "Cancelled"
    assert after.spent_seconds == 0


async def test_guardrails_refuse_what_a_project_may_not_send(paid_stack: PaidStack) -> None:
    """Shots and gates of the compiled circuit, and jobs in a month; another project is not concerned."""
    async with paid_stack() as paid:
        set_budget = paid.service.qurable.set_budget
        await set_budget(BudgetChange(guardrails=Guardrails(project=PROJECT, shots=99)))
        shots = await paid.refused(bell())
        await set_budget(BudgetChange(guardrails=Guardrails(project=PROJECT, depth=1)))
        depth = await paid.refused(bell())
        other = await paid.service.run(bell(project="other"))
        await set_budget(BudgetChange(guardrails=Guardrails(project=PROJECT, submissions=1)))
        first = await paid.service.run(bell())
        second = await paid.refused(bell())
        taken = await paid.taken()

    assert "may send 99 shots in a submission at most" in str(shots)
    assert "this job has 100" in str(shots)
    assert "may send ISA circuits of depth 1 at most" in str(depth)
    assert "may send 1 provider jobs a month and has sent 1" in str(second)
    assert (other.state, first.state) == (State.COMPLETED, State.COMPLETED)
    assert len(taken) == 2
