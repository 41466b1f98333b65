"""Jobs that come one by one and wait for each other: one provider job, and each its own answer and its own part of the bill."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from functools import partial
from math import cos
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from circuits.statistics import bound, histogram, permutation_test
from qurable.client import Job
from qurable.contracts.budgets import BudgetChange, Guardrails
from qurable.contracts.reports import JobReport, State
from qurable.errors import JobCancelled
from qurable.names import COLLECTOR, Activity
from qurable.requests import AnyJob, estimate, sample
from store.ledger import StoreLedger
from store.schema import seats
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service, Stack
from tests.fakes.paid import Provider
from tests.fakes.seeded import SeededBackend
from tests.paid import DEVICE, ONE_PLACE, Paid
from tests.sharing import LONG, PATTERN, SHORT, exact, read, together, writing

ROTATION = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit[1] q;\nrx(theta) q[0];\n'


async def results(*jobs: Job) -> list[JobReport]:
    """The reports of jobs, within two minutes."""
    async with asyncio.timeout(120):
        return [await job.result() for job in jobs]


async def test_jobs_that_wait_for_each_other_are_one_provider_job(paid: Paid) -> None:
    """Each has its own counts, and a part of the bill by its shots; the parts add up to it."""
    work = [writing(number, project="alike") for number in range(5)]
    reports = await results(*await together(paid, *work))
    taken = await paid.one()
    shares = [report.shared for report in reports if report.shared]
    group = await paid.service.qurable.read_report(shares[0].group)

    assert [read(report) for report in reports] == list(range(5))
    assert {report.state for report in reports} == {State.COMPLETED}
    assert [(share.group, share.provider_jobs, share.members) for share in shares] == [
        (group.id, (taken["id"],), 5)
    ] * 5
    assert exact([report.qpu_seconds for report in reports]) == round(Decimal(str(group.qpu_seconds)), 9) > 0
    assert exact([report.price or 0.0 for report in reports]) == round(Decimal(str(group.price)), 9) > 0
    assert exact([share.run_seconds for share in shares]) == round(Decimal(str(group.durations.run)), 9)
    assert sorted(group.members) == sorted(job.job_id for job in work)
    assert all(report.provider_jobs == () for report in reports)
    assert not any("batch_window" in text for report in reports for text in report.warnings)
    assert all(report.durations.run == group.durations.run > 0 for report in reports)
    states = [event.state for event in reports[0].events]
    assert {State.SUBMITTED, State.RUNNING, State.COMPLETED} <= set(states)
    assert states == sorted(states, key=list(State).index)
    assert reports[0].provenance is not None
    assert reports[0].provenance.provider_job == taken["id"]


ANGLES = (0.3, 1.1, 1.9, 2.6)


def turning(number: int, times: int = 1, **options: Any) -> AnyJob:
    """A job whose counts no angle of 0 or pi makes certain; `times` bindings of it, or one."""
    values = {
        f"t{bit}": angle + 0.3 * number if times == 1 else [angle + 0.1 * at for at in range(times)]
        for bit, angle in enumerate(ANGLES)
    }
    return sample((PATTERN, values), **{"shots": 200, **options})


async def test_a_place_that_takes_seeds_gives_a_member_the_counts_of_a_job_alone(stack: Stack) -> None:
    """One seed, a sweep by the rule, and a seed for each binding: a group changes nothing about them."""
    qpu = SeededBackend("qpu", Provider(), finishes=True)
    seeds: list[dict[str, Any]] = [{"seed": 11}, {"seed": 12}, {"seed": 11}, {"seeds": (7, 2**31 - 1, 7)}]
    work = [turning(number, 1 + 2 * (number > 1), backend="qpu", **own) for number, own in enumerate(seeds)]
    async with stack(backends={"qpu": qpu}) as service:
        qpu.ledger = StoreLedger(service.database)
        alone = [await service.run(job, key=f"alone-{number}") for number, job in enumerate(work)]
        *first, last = work
        jobs = [await service.qurable.submit(job, batch_window=LONG) for job in first]
        for job in jobs:
            await until(f"{job.id} waits", partial(_waits, job), 60)
        reports = await results(*jobs, await service.qurable.submit(last, batch_window=SHORT))

    assert len(qpu.provider.jobs) == len(work) + 1
    assert {report.shared.members for report in reports if report.shared} == {len(work)}
    for one, other in zip(reports, alone, strict=True):
        assert one.results == other.results
        assert len(one.counts()) > 2
    assert reports[0].counts() != reports[1].counts()


async def _waits(job: Job) -> bool:
    return (await job.status()).stage == Activity.AWAIT_GROUP


async def test_counts_of_members_come_from_the_distribution_of_jobs_alone(paid: Paid) -> None:
    """The emulator's devices draw as IBM's do, without a seed: so counts are compared as samples; false alarm 10^-3."""
    work = [turning(number, shots=1000, backend=DEVICE, project="drawn") for number in range(3)]
    shared = await results(*await together(paid, *work))
    alone = await results(*[await paid.service.qurable.submit(job, key=f"drawn-{job.key}") for job in work])
    tables = [histogram(report.counts(), len(ANGLES)) for report in (*shared, *alone)]
    *verdicts, mixed_up = (
        permutation_test(one, other, seed=at).p_value
        for at, (one, other) in enumerate(
            [*zip(tables[:3], tables[3:6], strict=True), (tables[0], tables[5])]
        )
    )

    assert len({report.shared.group for report in shared if report.shared}) == 1
    assert all(report.shared is None for report in alone)
    assert min(verdicts) >= bound(len(verdicts))
    assert mixed_up < bound(len(verdicts)), "it could tell one member's counts from another's"


@pytest.mark.long
async def test_estimates_share_too_and_a_sweep_pays_for_all_its_bindings(paid: Paid) -> None:
    """Expectation values of each caller's own angles."""
    angles: list[list[float]] = [[0.0], [0.5, 1.0, 2.0], [3.0]]
    work = [
        estimate(
            (ROTATION, "Z", {"theta": values}),
            precision=0.02,
            backend=DEVICE,
            project="sweeps",
            batch_window=LONG,
        )
        for values in angles
    ]
    reports = await results(*await together(paid, *work))

    await paid.one()
    for report, values in zip(reports, angles, strict=True):
        (result,) = report.results
        found = result.evs.values  # type: ignore[union-attr]
        assert found == pytest.approx([cos(value) for value in values], abs=0.12)  # six standard errors
    assert [report.shared.part for report in reports if report.shared] == [0.2, 0.6, 0.2]


async def test_who_is_called_off_while_it_waits_is_in_no_group(paid: Paid) -> None:
    """Nothing is paid for it, and it keeps nobody waiting."""
    leaver = await paid.service.qurable.submit(writing(1, project="leavers"))
    await paid.until_ended(leaver, "await_group-0", "waiting")
    await leaver.cancel()
    with pytest.raises(JobCancelled):
        await leaver.result()

    (report,) = await results(await paid.service.qurable.submit(writing(2, project="leavers", window=SHORT)))

    await paid.one()
    assert read(report) == 2
    assert report.shared is not None
    assert report.shared.members == 1


async def test_who_is_called_off_later_leaves_the_group_alone(paid: Paid) -> None:
    """What the others wait for is not cancelled, and the leaver hears what becomes of its part."""
    await paid.control.settings(hold=True)
    stays, leaves = await together(paid, writing(3, project="late"), writing(4, project="late"))
    await paid.until_taken()
    await leaves.cancel()
    with pytest.raises(JobCancelled):
        await leaves.result()
    alive = await paid.alive()
    await paid.control.settings(hold=False)
    (report,) = await results(stays)

    assert len(alive) == 1
    assert (await paid.one())["status"] == "Completed"
    assert read(report) == 3
    assert report.shared is not None
    assert report.shared.members == 2
    assert report.qpu_seconds == pytest.approx((await paid.one())["billed_seconds"] / 2, abs=0.01)
    assert report.shared.group in (await paid.recorded(leaves)).because


async def test_what_a_group_is_refused_each_member_asks_alone(paid: Paid) -> None:
    """Together they have more shots than the project may send at once; each of them has not."""
    await paid.service.qurable.set_budget(BudgetChange(guardrails=Guardrails(project="careful", shots=150)))
    reports = await results(
        *await together(paid, writing(5, project="careful"), writing(6, project="careful"))
    )

    assert len(await paid.taken()) == 2
    assert [read(report) for report in reports] == [5, 6]
    assert all(report.shared is None and len(report.provider_jobs) == 1 for report in reports)
    assert all(
        any("GuardrailBroken" in text or "shots" in text for text in report.warnings) for report in reports
    )


@pytest.mark.long
async def test_a_group_that_fails_is_run_singly(paid: Paid) -> None:
    """The provider's job of the group is lost for all; each member pays for its own after that, once."""
    await paid.control.settings(hold=True)
    jobs = await together(paid, writing(7, project="unlucky"), writing(8, project="unlucky"))
    (first,) = await paid.until_taken()
    await paid.control.set_job(first["id"], status="Failed", reason="calibration lost", reason_code=1517)
    await paid.control.settings(hold=False)
    reports = await results(*jobs)

    taken = await paid.taken()
    of_members = [record.id for report in reports for record in report.provider_jobs]
    assert [read(report) for report in reports] == [7, 8]
    assert len(of_members) == len(set(of_members)) == 2
    assert {first["id"], *of_members} <= {job["id"] for job in taken}
    assert all("its group" in " ".join(report.warnings) for report in reports)


async def test_options_of_its_own_send_a_job_alone_and_the_report_says_so(paid: Paid) -> None:
    """It does not wait for its window."""
    (report,) = await results(
        await paid.service.qurable.submit(writing(9, budget={"qpu_seconds": 60}, project="spender"))
    )

    assert read(report) == 9
    assert report.shared is None
    assert any("a budget of its own" in text for text in report.warnings)


async def test_a_place_that_costs_nothing_never_waits(service: Service) -> None:
    """There is nothing to save; the same job may say the same everywhere."""
    report = await service.run(BELL, shots=100, seed=7, backend="aer", batch_window="10min")
    plain = await service.run(BELL, shots=100, seed=7, backend="aer")

    assert report.counts() == plain.counts()
    assert (report.shared, report.warnings) == (None, plain.warnings)


@pytest.mark.long
async def test_a_terminated_group_is_cancelled_at_the_provider_and_run_singly(paid: Paid) -> None:
    """Somebody ends its job in the web UI: nobody waits for ever, and what was sent is not left alone."""
    await paid.control.settings(hold=True)
    jobs = await together(paid, writing(10, project="ended"), writing(11, project="ended"))
    (first,) = await paid.until_taken()
    group = await _group_of(paid, jobs[0])
    await paid.service.temporal.get_workflow_handle(group).terminate("by hand")
    await paid.until_status(first["id"], "Cancelled")
    await paid.control.settings(hold=False)
    reports = await results(*jobs)

    assert [read(report) for report in reports] == [10, 11]
    assert len(await paid.taken()) == 3


async def _group_of(paid: Paid, job: Job) -> str:
    """The group that a job is in."""
    query = select(seats.c.group_id).where(seats.c.job_id == job.id)
    found = await paid.service.database.read(lambda connection: connection.execute(query).scalar())
    return str(found)


@pytest.mark.long
async def test_who_waits_in_a_collector_that_somebody_ended_joins_another(
    paid: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector's memory is worth nothing: the seat is in the store."""
    monkeypatch.setattr("activities.seats._OVERDUE", timedelta(0))
    job = await paid.service.qurable.submit(writing(12, project="orphans", window="3s"))
    await paid.until_ended(job, "join_group-0", "done")
    collectors = [
        one.id
        async for one in paid.service.temporal.list_workflows(
            f'WorkflowType="{COLLECTOR}" AND ExecutionStatus="Running"'
        )
        if one.id.startswith("orphans-")
    ]
    for one in collectors:
        await paid.service.temporal.get_workflow_handle(one).terminate("by hand")
    (report,) = await results(job)

    assert read(report) == 12
    assert report.shared is not None
    await paid.one()


@pytest.mark.long
async def test_a_collector_goes_on_as_another_run_and_late_ones_are_in_the_next_group(
    paid_stack: PaidStack,
) -> None:
    """On a server that soon suggests it: whoever waits by then waits on, and nobody is in two groups."""
    async with paid_stack(server_flags={"limit.historyCount.suggestContinueAsNew": "12"}) as paid:
        rounds = []
        for number in range(4):
            rounds.append(await together(paid, writing(number), writing(number + 4), writing(number + 8)))
            await paid.until_taken(number + 1)
        reports = [await results(*jobs) for jobs in rounds]
        runs = [
            one.run_id async for one in paid.service.temporal.list_workflows(f'WorkflowType="{COLLECTOR}"')
        ]
        taken = await paid.taken()

    assert [[read(report) for report in found] for found in reports] == [
        [number, number + 4, number + 8] for number in range(4)
    ]
    groups = [{report.shared.group for report in found if report.shared} for found in reports]
    assert all(len(found) == 1 for found in groups)
    assert len(set().union(*groups)) == len(taken) == 4
    assert len(runs) > 1


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_two_hundred_jobs_are_at_most_ten_provider_jobs(paid_stack: PaidStack) -> None:
    """Started together, with a window of two seconds, on an account that may send five a minute.

    On a machine so busy that they come to wait over minutes, each further minute may send five more: nobody is held up for
    jobs that have yet to come.
    """
    everyday = {
        "poll_shortest": timedelta(seconds=1),
        "poll_longest": timedelta(seconds=60),
        "heartbeat": timedelta(seconds=20),
        "ibm_send_within": timedelta(seconds=30),
        "ibm_read_timeout": timedelta(seconds=20),
    }
    async with paid_stack(ibm_submissions_per_minute=5, **everyday) as paid, asyncio.timeout(840):
        work = [writing(number % 16, window="2s") for number in range(200)]
        jobs = await asyncio.gather(*map(paid.service.qurable.submit, work))
        reports = [await job.result() for job in jobs]
        taken = await paid.taken()
        came = await paid.service.database.read(
            lambda connection: connection.execute(select(seats.c.joined_at)).scalars().all()
        )
        shares = [report.shared for report in reports if report.shared]
        bills = {
            share.group: (await paid.service.qurable.read_report(share.group)).qpu_seconds for share in shares
        }

    assert [read(report) for report in reports] == [number % 16 for number in range(200)]
    assert [report.warnings for report in reports if report.shared is None] == []
    assert len(came) == 200
    arriving = (max(came) - min(came)).total_seconds()
    assert (
        len(taken) == len(bills) <= max(10, 5 * (1 + int(arriving / 60)) + 2)
    )  # 200 who wait are two groups
    for group, bill in bills.items():
        assert exact([share.qpu_seconds for share in shares if share.group == group]) == round(
            Decimal(str(bill)), 9
        )
    print(f"200 jobs, which came over {arriving:.0f} s, in {len(taken)} provider jobs")


@pytest.mark.long
async def test_a_group_needs_nobodys_word_where_none_of_its_members_did(
    paid_stack: PaidStack, tmp_path: Path
) -> None:
    """Together they are over the rule's shots: it is about what one asks for, and nobody could tell whose job it is."""
    rules = tmp_path / "asking.yaml"
    rules.write_text(
        f"{ONE_PLACE.read_text(encoding='utf-8')}\napproval:\n  - when: {{shots_over: 150}}\n    approvers: [grace]\n",
        encoding="utf-8",
    )
    async with paid_stack(strategy=rules) as paid:
        reports = await results(*await together(paid, writing(1), writing(2)))
        asked = (await paid.service.qurable.approvals()).waiting
        taken = await paid.taken()

    assert [read(report) for report in reports] == [1, 2]
    assert len(taken) == 1
    assert asked == ()
