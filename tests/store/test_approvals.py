"""One decision for each question, ever, whoever decides at once; and which circuits were sent before."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, update

from qurable.contracts.approvals import Approval, Decision, Question, Terms
from qurable.contracts.budgets import JobBudget, Payer
from qurable.contracts.executions import PartIntent, Seconds, Slice, Submission, SubmissionKey
from qurable.contracts.jobs import JobHead
from qurable.errors import BudgetExceeded
from store import approvals, jobs, paid_circuits
from store.database import Database
from store.ledger import StoreLedger
from store.schema import jobs as rows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT_ONCE = 20


@pytest.fixture
async def another(database: Database) -> AsyncIterator[Database]:
    """The same store, as another worker has it."""
    async with Database(database._engine.url.render_as_string(hide_password=False)) as another:
        yield another


def question(job_id: str = "lab-1", *, rung: int = 0, route: str = "a" * 64, minutes: int = 0) -> Question:
    asked = NOON + timedelta(minutes=minutes)
    return Question(
        job_id=job_id,
        project="lab",
        rung=rung,
        backend="ibm:torino",
        route=route,
        terms=Terms(because="it is dear", timeout=timedelta(hours=1)),
        asked=asked,
        expires=asked + timedelta(hours=1),
    )


def word(by: str, *, approve: bool = True) -> Decision:
    return Decision(approve=approve, by=by, reason=f"says {by}", cap=4.5, route="a" * 64, via="cli", at=NOON)


def accept(connection: Connection, job_id: str) -> None:
    head = JobHead(
        schema_version=1, id=job_id, project="lab", kind="sample", asked="ibm:torino", body_hash="h"
    )
    jobs.accept(connection, head, owner="run", request="r", labels={}, at=NOON)


async def test_the_first_decision_stands_whoever_decides_at_once(
    database: Database, another: Database
) -> None:
    """Two workers write at once, as after a restore; each is told the same."""
    await database.write(approvals.ask, question())
    stores = [database, another] * (AT_ONCE // 2)
    told = await asyncio.gather(
        *(store.write(approvals.ask, question(), word(f"n{at}")) for at, store in enumerate(stores))
    )
    later = await another.write(approvals.ask, question(), word("late", approve=False))
    (kept,) = await database.read(approvals.of_job, "lab-1")

    assert all(one == kept for one in (*told, later))
    assert kept.decision is not None
    assert kept.decision == word(kept.decision.by)


async def test_the_first_question_stands_and_another_plan_is_another_question(database: Database) -> None:
    """Its time runs from when it was first asked; a decision about one plan says nothing of the next."""
    first = await database.write(approvals.ask, question())
    again = await database.write(approvals.ask, question(minutes=30))
    await database.write(approvals.ask, question(), word("grace"))
    other = await database.write(approvals.ask, question(route="b" * 64, minutes=40))
    below = await database.read(approvals.find, "lab-1", 1, "a" * 64)

    assert first == again == Approval(question=question())
    assert other.decision is None
    assert below is None


async def test_what_waits_is_listed_until_it_is_decided_or_its_job_has_ended(database: Database) -> None:
    """Of a job that was planned again, what is asked about its last plan."""
    for job_id in ("lab-1", "lab-2", "lab-3", "lab-4"):
        await database.write(accept, job_id)
    await database.write(approvals.ask, question("lab-1", minutes=5))
    await database.write(approvals.ask, question("lab-2", minutes=1))
    await database.write(approvals.ask, question("lab-3"), word("grace"))
    await database.write(approvals.ask, question("lab-4"))
    await database.write(approvals.ask, question("lab-2", route="b" * 64, minutes=9))

    def end(connection: Connection) -> None:
        connection.execute(update(rows).where(rows.c.id == "lab-4").values(ended_at=NOON))

    await database.write(end)
    waiting = await database.read(approvals.waiting)

    assert [(one.job_id, one.route[0]) for one in waiting] == [("lab-1", "a"), ("lab-2", "b")]


async def test_a_circuit_is_new_until_another_job_of_the_project_has_sent_it(database: Database) -> None:
    """What the job itself has sent does not count, or it would be planned otherwise when it begins again."""

    async def is_new(*circuits: str, project: str = "lab", job_id: str = "lab-2") -> bool:
        return await database.read(paid_circuits.some_new, project, circuits, job_id)

    before = await is_new("c1")
    await database.write(paid_circuits.note, "lab", ["c1", "c2", "c1"], "lab-1")
    await database.write(paid_circuits.note, "lab", ["c2", "c3"], "lab-2")

    assert before
    assert not await is_new("c1", "c2")
    assert await is_new("c1", "c3")
    assert not await is_new("c3", job_id="lab-1")
    assert await is_new("c1", project="other")
    assert await is_new("c2", job_id="lab-1")


async def test_what_is_reserved_stays_within_a_cap_that_is_enough(database: Database) -> None:
    """Down to the least that each part is expected to take; below that nothing is sent, and nothing is left."""
    ledger = StoreLedger(database)
    await database.write(accept, "lab-1")

    async def reserved(cap: JobBudget, *least_and_most: tuple[float, int], ordinal: int) -> list[int | None]:
        key = SubmissionKey(job_id="lab-1", backend="ibm:torino", digest="d", ordinal=ordinal)
        parts = [
            PartIntent(
                slices=(Slice(pub=0, start=at, stop=at + 1),),
                estimate=Seconds(low=least, high=most / 2),
                reserve=most,
                price_per_second=1.6,
                currency="USD",
            )
            for at, (least, most) in enumerate(least_and_most)
        ]
        submission = Submission(key=key, kind="sample", pubs=(), payer=Payer(project="lab", approved=cap))
        return [row.reserved for row in await ledger.intend(submission, "default", parts)]

    cap = JobBudget(qpu_seconds=30.5, price=48.8)
    assert await reserved(cap, (1.9, 5), ordinal=0) == [5]
    assert await reserved(cap, (1.9, 9), (2.5, 30), ordinal=1) == [6, 18]
    with pytest.raises(BudgetExceeded, match="as it was approved for this place"):
        await reserved(cap, (1.6, 4), ordinal=2)
    with pytest.raises(BudgetExceeded, match="as it was approved for this place"):
        await reserved(JobBudget(qpu_seconds=35.4), (6.1, 12), ordinal=3)
    assert await reserved(JobBudget(price=54.4), (3.2, 12), ordinal=4) == [5]


@pytest.mark.parametrize(
    ("approved", "held"),
    [
        (JobBudget(qpu_seconds=9, price=14.4), "may take 9 QPU seconds"),
        (JobBudget(price=14.4), "may take 14.4 USD"),
    ],
)
async def test_what_was_approved_bounds_all_that_is_reserved_there(
    database: Database, approved: JobBudget, held: str
) -> None:
    """A deliberate resubmission counts too; another place has an approval of its own."""
    ledger = StoreLedger(database)
    await database.write(accept, "lab-1")

    async def reserve(backend: str, seconds: int, ordinal: int = 0) -> None:
        key = SubmissionKey(job_id="lab-1", backend=backend, digest="d", ordinal=ordinal)
        part = PartIntent(
            slices=(Slice(pub=0, start=0, stop=1),), reserve=seconds, price_per_second=1.6, currency="USD"
        )
        payer = Payer(project="lab", approved=approved)
        await ledger.intend(Submission(key=key, kind="sample", pubs=(), payer=payer), "default", [part])

    await reserve("ibm:fez", 9)
    await reserve("ibm:torino", 5)
    with pytest.raises(BudgetExceeded) as caught:
        await reserve("ibm:torino", 5, ordinal=1)
    await reserve("ibm:torino", 4, ordinal=2)

    assert f"the job, as it was approved for this place, {held}" in caught.value.message
    assert "approved with a higher cap" in caught.value.message
