"""Whatever a paid place has of this house is wanted by somebody, or cancelled, and its bill is known."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, update

from activities.bills import bill_of
from qurable.contracts.executions import IncidentKind, Phase, Submission, SubmissionKey
from qurable.contracts.routes import Route, Rung
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from store import sessions, submissions
from store.database import Database
from store.ledger import StoreLedger
from store.schema import provider_jobs as rows
from tests.activities.paid_house import GRACE, KEY, House, forget
from tests.fakes.paid import SETTLING, PaidScriptedBackend, Provider
from tests.fakes.scripted import ScriptedBackend
from tests.store.ageing import pass_time

QUESTIONS = [question.__name__ for question in Conformance(ScriptedBackend("x"), MemoryShelf()).questions]


@pytest.fixture
def house(database: Database) -> House:
    return House(database, PaidScriptedBackend("qpu", Provider(), StoreLedger(database)))


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_fake_conforms(house: House, question: str) -> None:
    """A fake that broke the Protocol would make every test that uses it worthless."""
    house.qpu.finishes = question not in {"a_withdrawn_job_stays_withdrawn"}
    asked: Callable[[], Awaitable[None]] = getattr(Conformance(house.qpu, MemoryShelf()), question)
    await asked()


async def test_a_job_without_an_owner_is_cancelled_and_settled(house: House) -> None:
    """Its workflow was terminated: nobody will fetch what it pays for."""
    job = await house.sent()
    first = await house.reconcile()
    withdrawn = await house.database.read(submissions.is_withdrawn, KEY.tag)
    await house.until_over()

    assert (first.looked, first.cancelled, first.settled) == (1, 1, 1)
    assert house.provider.cancellations == [job.handle]
    assert withdrawn
    assert await house.incidents() == ()


async def test_a_job_with_an_owner_is_left_alone(house: House) -> None:
    """It looks after itself, however long it waits."""
    await house.sent(alive=True)
    reports = [await house.reconcile() for _ in range(3)]

    assert [report.alive for report in reports] == [1, 1, 1]
    assert house.provider.cancellations == []
    assert not await house.database.read(submissions.is_withdrawn, KEY.tag)


async def test_what_a_living_job_has_withdrawn_is_cancelled(house: House) -> None:
    """It went on to the next rung while the provider was down."""
    job = await house.sent(alive=True)
    await house.qpu.ledger.withdraw(KEY)
    await house.reconcile()

    assert house.provider.cancellations == [job.handle]


async def test_nothing_is_done_while_temporal_does_not_answer(house: House) -> None:
    """Not knowing is no reason to cancel what was paid for."""
    await house.sent(alive=None)
    await house.database.write(
        sessions.opened, "s1", job_id="lab-1", rung=0, backend="qpu", account="default", mode="session"
    )
    await pass_time(house.database, GRACE)
    report = await house.reconcile()

    assert (report.unknown, report.cancelled) == (2, 0)
    assert house.provider.cancellations == house.provider.closed_sessions == []
    assert not await house.database.read(submissions.is_withdrawn, KEY.tag)


async def test_what_has_just_begun_is_left_alone(house: House) -> None:
    """Its workflow may be about to be there."""
    await house.qpu.submit(Submission(key=KEY, kind="sample", pubs=()))
    report = await house.reconcile()

    assert (report.looked, report.young) == (1, 1)
    assert house.provider.cancellations == []


async def test_a_provider_that_is_down_is_asked_again(house: House) -> None:
    """Trouble with one place ends neither the pass nor the search."""
    job = await house.sent()
    house.provider.down = True
    first = await house.reconcile()
    house.provider.down = False
    await house.reconcile()

    assert first.unreached == 2  # the submission and the strays
    assert house.provider.cancellations == [job.handle]


async def test_a_defect_in_one_leaves_the_others_be(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One document that nobody can read must not keep every other job running."""
    broken = KEY.model_copy(update={"job_id": "lab-0"})
    bad, good = await house.sent(broken), await house.sent()
    cancel = house.qpu.cancel

    async def failing(key: SubmissionKey) -> Any:
        if key == broken:
            raise ArithmeticError("broken on purpose")
        return await cancel(key)

    monkeypatch.setattr(house.qpu, "cancel", failing)
    report = await house.reconcile()

    assert report.unreached == 1
    assert await house.database.read(
        submissions.is_withdrawn, broken.tag
    )  # whoever is about to send is called off
    assert house.provider.cancellations == [good.handle]
    assert house.provider.alive() == [bad.handle]


async def test_an_attempt_nobody_knows_the_end_of_is_found_when_it_shows_up(house: House) -> None:
    """The worker died between POST and answer, and the tag index is slow."""
    await house.sent()
    await house.database.write(_forget_id)
    house.provider.hidden = {"p0"}
    early = await house.reconcile()
    house.provider.hidden = set()
    late = await house.reconcile()
    await house.until_over()

    assert (early.cancelled, late.cancelled) == (0, 1)
    assert house.provider.cancellations == ["p0"]


def _forget_id(connection: Connection, /) -> None:
    connection.execute(update(rows).values(provider_id=None))


async def test_a_duplicate_that_shows_up_late_is_an_incident(house: House) -> None:
    """The index showed it only after the job had ended: the second look finds it, and says what it cost."""
    job = await house.sent(alive=True)
    house.provider.end(job.handle, Phase.DONE, 2.0)
    await house.qpu.state(job)
    house.owners.says.clear()
    house.provider.end(house.provider.post(KEY.tag), Phase.DONE, 3.5)
    house.provider.hidden = {"p1"}
    first = await house.reconcile()
    house.provider.hidden = set()
    await pass_time(house.database, SETTLING)
    second = await house.reconcile()
    (incident,) = await house.incidents()

    assert first.incidents == ()
    assert (second.closed, len(second.incidents)) == (1, 1)
    assert (incident.kind, incident.id, incident.tag) == (IncidentKind.DUPLICATE, "p1", KEY.tag)
    assert (incident.final, incident.billed_seconds, incident.usage_complete) == (Phase.DONE, 3.5, True)
    assert (await house.reconcile()).looked == 0


async def test_a_duplicate_stands_in_the_price_as_in_the_seconds(house: House) -> None:
    """It was charged like any other job."""
    job = await house.sent()
    house.provider.end(job.handle, Phase.DONE, 10.0)
    house.provider.end(house.provider.post(KEY.tag), Phase.DONE, 5.0)
    await house.reconcile()
    target = (await house.qpu.target()).model_copy(update={"price_per_second": 1.6, "currency": "USD"})
    route = Route(rungs=(Rung(target=target, because="it was asked for"),))

    bill = (await house.database.read(bill_of, KEY.job_id, route)).fields()

    assert (bill["qpu_seconds"], bill["currency"]) == (15.0, "USD")
    assert bill["price"] == pytest.approx(24.0)


async def test_a_duplicate_of_a_doubtful_submission_is_cancelled_while_the_job_lives(house: House) -> None:
    """The sooner it is found the less it costs."""
    job = await house.sent(alive=True)
    await house.database.write(lambda it: it.execute(update(rows).values(attempts=2)) and None)
    twin = house.provider.post(KEY.tag, await house.qpu.ledger.house())
    report = await house.reconcile()
    (incident,) = await house.incidents()

    assert house.provider.cancellations == [twin]
    assert house.provider.alive() == [job.handle]
    assert (incident.id, incident.final, incident.billed_seconds) == (twin, Phase.CANCELLED, 0.0)
    assert report.incidents == (incident,)


async def test_bills_are_asked_for_until_they_are_final(house: House) -> None:
    """Usage is zero while a job runs, and comes minutes after its end: for kept jobs, and for unwanted ones."""
    job = await house.sent(alive=True)
    house.provider.bills = False
    house.provider.end(job.handle, Phase.DONE, 0.0)
    await house.qpu.state(job)
    await house.database.write(lambda it: it.execute(update(rows).values(attempts=2)) and None)
    twin = house.provider.post(KEY.tag)
    open_bill = await house.reconcile()
    house.provider.bill(job.handle, 2.0)
    house.provider.bill(twin, 0.75)
    paid = await house.reconcile()
    (row,) = await house.qpu.ledger.parts(KEY)
    (incident,) = await house.incidents()

    assert (open_bill.settled, paid.settled) == (0, 2)
    assert row.facts is not None
    assert (row.facts.qpu_seconds, incident.billed_seconds) == (2.0, 0.75)
    assert incident.usage_complete


async def test_a_job_that_the_store_does_not_know_is_cancelled_as_an_orphan(house: House) -> None:
    """The store was restored from a copy, and the job's workflow is gone: nobody comes by within the grace."""
    job = await house.sent()
    await house.database.write(forget)
    at_once = await house.reconcile()
    waiting = house.provider.alive()
    await pass_time(house.database, GRACE)
    later = await house.reconcile()
    (incident,) = later.incidents

    assert (at_once.orphans, waiting) == (0, [job.handle])
    assert (later.orphans, later.cancelled) == (1, 1)
    assert (incident.kind, incident.id, incident.tag) == (IncidentKind.ORPHAN, job.handle, KEY.tag)
    assert house.provider.cancellations == [job.handle]
    assert (await house.reconcile()).orphans == 0


async def test_a_duplicate_that_ended_before_anybody_saw_it_is_never_silent(house: House) -> None:
    """The index was slower than both looks, and the story is over; the bill is reported all the same."""
    job = await house.sent()
    house.provider.end(job.handle, Phase.DONE, 2.0)
    await house.until_over()
    twin = house.provider.post(KEY.tag, await house.qpu.ledger.house())
    house.provider.end(twin, Phase.DONE, 3.5)
    await house.reconcile()
    await pass_time(house.database, GRACE)
    await house.reconcile()
    (incident,) = await house.incidents()

    assert (incident.kind, incident.id, incident.billed_seconds) == (IncidentKind.DUPLICATE, twin, 3.5)
    assert house.provider.cancellations == []


async def test_what_had_ended_before_a_store_was_restored_is_its_past(house: House) -> None:
    """It was wanted, answered and paid for; only this copy of the store does not know."""
    job = await house.sent()
    house.provider.end(job.handle, Phase.DONE, 2.0)
    await house.until_over()
    await house.database.write(forget)
    for _ in range(3):
        report = await house.reconcile()
        await pass_time(house.database, GRACE)

        assert (report.orphans, report.incidents) == (0, ())


async def test_a_job_whose_owner_comes_by_is_adopted_by_a_restored_store(house: House) -> None:
    """Whoever polls it writes the row again; it is no orphan."""
    job = await house.sent(alive=True)
    await house.reconcile()  # it was no stray then: its grace begins when its row is gone
    await pass_time(house.database, GRACE)
    await house.database.write(forget)
    await house.reconcile()
    await house.qpu.state(job)
    await pass_time(house.database, GRACE)
    report = await house.reconcile()

    assert (report.alive, report.orphans) == (1, 0)
    assert house.provider.cancellations == []
    assert [row.id for row in await house.qpu.ledger.parts(KEY)] == [job.handle]


async def test_a_stray_is_given_back_to_a_row_without_a_job(house: House) -> None:
    """The copy was made between intent and answer; the job itself lives."""
    job = await house.sent(alive=True)
    await house.database.write(_forget_id)
    await house.reconcile()
    await pass_time(house.database, GRACE)
    report = await house.reconcile()

    assert report.adopted == 1
    assert house.provider.cancellations == []
    assert [row.id for row in await house.qpu.ledger.parts(KEY)] == [job.handle]


async def test_a_strangers_job_is_no_business_of_ours(house: House) -> None:
    """Tags are the provider's users' own; only what this house sent is touched."""
    await house.qpu.ledger.house()
    house.provider.post("qurable-experiment")
    house.provider.post(await house.qpu.ledger.house(), "made by hand")
    house.provider.post(KEY.tag, "of-another-house")
    for _ in range(3):
        await house.reconcile()
        await pass_time(house.database, GRACE)

    assert house.provider.cancellations == []


@pytest.mark.parametrize(("alive", "closed"), [(False, ["s1"]), (True, [])])
async def test_a_session_without_an_owner_is_closed(house: House, alive: bool, closed: list[str]) -> None:
    """It bills while it is open."""
    house.owners.says["lab-1"] = alive
    await house.database.write(
        sessions.opened, "s1", job_id="lab-1", rung=0, backend="qpu", account="default", mode="session"
    )
    await pass_time(house.database, GRACE)
    await house.reconcile()
    await house.reconcile()

    assert house.provider.closed_sessions == closed
