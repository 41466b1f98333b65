"""Cuts in the store: one plan for a key, one execution that runs it, one report of each execution."""

from datetime import UTC, datetime

import pytest

from qurable.contracts.cutting import CutJob, CutPlan, CutPrice, CutReport, CutState
from qurable.cutting import as_cut
from qurable.errors import KeyReused
from store import cuttings
from store.database import Database
from tests.circuits_at_hand import BELL


def _job(key: str, label: str = "ZZ") -> CutJob:
    return as_cut((BELL, [label]), key=key, backend="aer")


def _plan(job: CutJob, seed: int = 1) -> CutPlan:
    return CutPlan(job=job, price=CutPrice(circuit="bell", width=2, qubits=1), seed=seed)


def _report(plan: CutPlan, state: CutState, warning: str = "") -> CutReport:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    return CutReport(
        id=plan.job.cut_id,
        project="default",
        state=state,
        price=plan.price,
        accepted=moment,
        ended=moment,
        warnings=(warning,),
    )


async def test_the_first_plan_of_a_key_stands(database: Database) -> None:
    """A second attempt at planning may find other cuts; jobs of the first may run."""
    job = _job("a")
    await database.write(cuttings.begin, _plan(job, 1), "first")
    await database.write(cuttings.begin, _plan(job, 2), "second")

    held = await database.read(cuttings.find, job.cut_id)

    assert held is not None
    assert (held.plan, held.state, held.report) == (_plan(job, 1), CutState.RUNNING, None)
    with pytest.raises(KeyReused):
        await database.write(cuttings.begin, _plan(_job("a", "XX")), "third")


async def test_only_the_execution_that_runs_a_cut_may_start_jobs(database: Database) -> None:
    """Not one whose cut was taken over, nor one that was called off."""
    job = _job("b")
    await database.write(cuttings.begin, _plan(job), "first")
    assert await database.read(cuttings.runs, job.cut_id, "first")

    await database.write(cuttings.take_over, job.cut_id, "second")
    await database.write(cuttings.call_off, job.cut_id, "first")  # too late: it is not its own any more

    assert not await database.read(cuttings.runs, job.cut_id, "first")
    assert await database.read(cuttings.runs, job.cut_id, "second")
    await database.write(cuttings.call_off, job.cut_id, "second")
    assert not await database.read(cuttings.runs, job.cut_id, "second")


async def test_the_first_report_of_an_execution_stands_and_a_rerun_has_its_own(database: Database) -> None:
    """An activity that ran twice gives back what was kept; what failed may be run again, what has an answer may not."""
    job = _job("c")
    plan = _plan(job)
    await database.write(cuttings.begin, plan, "first")

    kept = await database.write(cuttings.end, _report(plan, CutState.FAILED, "one"), "first")
    again = await database.write(cuttings.end, _report(plan, CutState.FAILED, "two"), "first")
    assert kept == again == _report(plan, CutState.FAILED, "one")
    await database.write(cuttings.take_over, job.cut_id, "second", again=True)
    assert await database.read(cuttings.runs, job.cut_id, "second")
    await database.write(cuttings.end, _report(plan, CutState.COMPLETED), "second")
    await database.write(cuttings.take_over, job.cut_id, "third", again=True)

    held = await database.read(cuttings.find, job.cut_id)
    assert held is not None
    assert (held.state, held.report) == (CutState.COMPLETED, _report(plan, CutState.COMPLETED))
