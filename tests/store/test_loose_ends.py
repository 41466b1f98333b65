"""What the reconciler reads: submissions that are not over, incidents, strays and open sessions."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from qurable.contracts.executions import (
    Incident,
    IncidentKind,
    PartIntent,
    Phase,
    ProviderFacts,
    Submission,
    SubmissionKey,
)
from qurable.ledger import Sending
from store import house, incidents, provider_jobs, sessions, strays, submissions
from store.database import Database
from tests.store.ageing import pass_time

KEY = SubmissionKey(job_id="lab-1", backend="qpu", digest="d", ordinal=2)
SENDING = Sending("grace", None, timedelta(seconds=30))
MINUTE = timedelta(minutes=1)
FOUND = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def _sent(connection: Connection, /, key: SubmissionKey = KEY) -> None:
    submission = Submission(key=key, kind="sample", pubs=())
    provider_jobs.intend(connection, submission, "default", [PartIntent(slices=())])
    provider_jobs.claim(connection, key.tag, SENDING)
    provider_jobs.keep(connection, key.tag, "p1")


def _incident(*, billed: float | None, complete: bool, final: Phase = Phase.CANCELLED) -> Incident:
    return Incident(
        kind=IncidentKind.DUPLICATE,
        tag=KEY.tag,
        backend="qpu",
        id="p2",
        found_at=FOUND,
        final=final,
        billed_seconds=billed,
        usage_complete=complete,
    )


async def test_a_submission_is_open_until_its_second_look(database: Database) -> None:
    """And is read with all that a decision needs."""
    await database.write(_sent)
    await pass_time(database, MINUTE)
    (story,) = await database.read(provider_jobs.open_submissions)
    looked = await database.write(provider_jobs.check, KEY.tag, story.parts, over=False)
    await pass_time(database, MINUTE)
    (again,) = await database.read(provider_jobs.open_submissions)
    ended = await database.write(provider_jobs.check, KEY.tag, again.parts, over=True)

    assert looked
    assert ended
    assert (story.key, story.withdrawn, story.checked) == (KEY, False, None)
    assert [part.id for part in story.parts] == ["p1"]
    assert MINUTE <= story.age < 2 * MINUTE
    assert again.checked is not None
    assert MINUTE <= again.checked < 2 * MINUTE
    assert await database.read(provider_jobs.open_submissions) == []


async def test_a_look_at_what_has_changed_does_not_count(database: Database) -> None:
    """A part that was sent again while its tag was looked up needs another look."""
    await database.write(_sent)
    (story,) = await database.read(provider_jobs.open_submissions)
    await database.write(provider_jobs.lose, KEY.tag, "p1")
    counted = await database.write(provider_jobs.check, KEY.tag, story.parts, over=True)
    (still,) = await database.read(provider_jobs.open_submissions)

    assert not counted
    assert still.checked is None


async def test_a_withdrawn_submission_is_still_open(database: Database) -> None:
    """Its job may run, whoever withdrew it."""
    await database.write(_sent)
    await database.write(submissions.withdraw, KEY)
    (story,) = await database.read(provider_jobs.open_submissions)

    assert story.withdrawn


async def test_the_latest_word_on_an_incident_stands(database: Database) -> None:
    """But not for when it was found, nor once its bill is final."""
    await database.write(_sent)
    first = await database.write(incidents.report, _incident(billed=None, complete=False))
    open_bill = await database.read(incidents.unsettled)
    later = _incident(billed=2.5, complete=True).model_copy(update={"found_at": FOUND + MINUTE})
    second = await database.write(incidents.report, later)
    again = await database.write(incidents.report, later)
    late = await database.write(incidents.report, _incident(billed=None, complete=False))

    assert first == _incident(billed=None, complete=False)
    assert second == _incident(billed=2.5, complete=True)
    assert again is late is None
    assert open_bill == (_incident(billed=None, complete=False),)
    assert await database.read(incidents.of_job, "lab-1") == (_incident(billed=2.5, complete=True),)
    assert await database.read(incidents.of_job, "lab-2") == ()
    assert await database.read(incidents.unsettled) == ()


async def test_the_bill_of_a_lost_job_is_not_waited_for(database: Database) -> None:
    """Nobody knows it any more."""
    await database.write(incidents.report, _incident(billed=None, complete=False, final=Phase.LOST))

    assert await database.read(incidents.unsettled) == ()


async def test_a_stray_is_old_when_it_was_seen_long_ago(database: Database) -> None:
    """The provider's times say nothing: after a restore all its jobs are old, and their owners are on their way."""
    fresh = await database.write(strays.note, "qpu", ["a", "b"], MINUTE)
    await pass_time(database, MINUTE)
    old = await database.write(strays.note, "qpu", ["b", "c"], MINUTE)
    await database.write(strays.note, "qpu", [], MINUTE)
    back = await database.write(strays.note, "qpu", ["a", "b"], MINUTE)
    elsewhere = await database.write(strays.note, "other", ["b"], MINUTE)

    assert (fresh, old, back, elsewhere) == (set(), {"b"}, set(), set())


async def test_sessions_are_open_until_they_are_closed(database: Database) -> None:
    """A session bills while it is open, whatever became of its job."""
    for _ in range(2):
        await database.write(
            sessions.opened, "s1", job_id="lab-1", rung=1, backend="qpu", account="lab", mode="session"
        )
    young = await database.read(sessions.left_open, MINUTE)
    await pass_time(database, MINUTE)
    (old,) = await database.read(sessions.left_open, MINUTE)
    await database.write(sessions.closed, "qpu", "s1")
    (closed,) = await database.read(sessions.of_job, "lab-1")
    await database.write(sessions.closed, "qpu", "s1")

    assert young == ()
    assert (old.id, old.job_id, old.rung, old.backend) == ("s1", "lab-1", 1, "qpu")
    assert (old.account, old.mode, old.closed_at) == ("lab", "session", None)
    assert closed.closed_at is not None
    assert await database.read(sessions.of_job, "lab-1") == (closed,)
    assert await database.read(sessions.left_open, MINUTE) == ()


async def test_nothing_was_sent_before_the_house_had_a_name(database: Database) -> None:
    """Nothing older than that can be astray."""
    before = await database.read(house.minted_at)
    await database.write(house.name)

    assert before is None
    assert await database.read(house.minted_at) is not None


async def test_facts_of_a_job_that_ended_keep_it_open_until_the_bill_is_final(database: Database) -> None:
    """The row says so by itself: only a look closes it."""
    await database.write(_sent)
    facts = ProviderFacts(id="p1", phase=Phase.DONE, qpu_seconds=1.0, usage_complete=True)
    await database.write(provider_jobs.observe, KEY.tag, facts)
    (story,) = await database.read(provider_jobs.open_submissions)

    assert story.parts[0].facts == facts
