"""No job is paid for twice: rows decide who may send, how fast, and whose job is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from qurable.contracts.executions import (
    PartIntent,
    Phase,
    ProviderFacts,
    ProviderJob,
    Seconds,
    Slice,
    Submission,
    SubmissionKey,
)
from qurable.errors import InternalError
from qurable.ledger import CalledOff, Claimed, NotYet, Sending, Taken
from store import provider_jobs, submissions
from store.clock import moment
from store.database import Database
from store.ledger import StoreLedger
from store.schema import permits
from tests.store.ageing import pass_time

SETTLING = timedelta(seconds=45)
UNLIMITED = Sending("grace", None, SETTLING)
FIVE = Sending("grace", 5, SETTLING)
AT_ONCE = 50


@pytest.fixture
async def another(database: Database) -> AsyncIterator[Database]:
    """The same store, as another worker has it."""
    async with Database(database._engine.url.render_as_string(hide_password=False)) as another:
        yield another


@pytest.fixture
def ledger(database: Database) -> StoreLedger:
    return StoreLedger(database)


@pytest.fixture
def ledgers(database: Database, another: Database) -> Callable[[int], StoreLedger]:
    """One of two workers' ledgers, by turns."""
    both = (StoreLedger(database), StoreLedger(another))
    return lambda turn: both[turn % 2]


def _key(job_id: str = "lab-1", *, ordinal: int = 0) -> SubmissionKey:
    return SubmissionKey(job_id=job_id, backend="ibm:torino", digest="d", ordinal=ordinal)


def _submission(key: SubmissionKey, session: str = "") -> Submission:
    return Submission(key=key, kind="sample", pubs=(), session=session)


def _parts(number: int) -> list[PartIntent]:
    return [
        PartIntent(slices=(Slice(pub=part, start=0, stop=3),), estimate=Seconds(low=1, high=2.5))
        for part in range(number)
    ]


async def _intend(ledger: StoreLedger, key: SubmissionKey, parts: int = 1) -> Sequence[ProviderJob]:
    return await ledger.intend(_submission(key), "lab", _parts(parts))


def _facts(job: str, phase: Phase, *, seconds: float | None = None, complete: bool = False) -> ProviderFacts:
    return ProviderFacts(id=job, phase=phase, qpu_seconds=seconds, usage_complete=complete)


async def test_a_house_has_one_name(ledgers: Callable[[int], StoreLedger]) -> None:
    """Every worker tags what it sends with the same word, from the first moment on."""
    names = await asyncio.gather(*(ledgers(turn).house() for turn in range(20)))

    assert len(set(names)) == 1
    assert 8 <= len(names[0]) <= 40


async def test_parts_are_written_down_once(ledgers: Callable[[int], StoreLedger], database: Database) -> None:
    """Two workers may split a submission at the same moment, and even differently: the first split stands."""
    meant = await asyncio.gather(*(_intend(ledgers(turn), _key(), parts=2 + turn % 3) for turn in range(12)))
    rows = await ledgers(0).parts(_key())

    assert all(list(found) == list(rows) for found in meant)
    assert [row.tag for row in rows] == [_key().tag, f"{_key().tag}-1", f"{_key().tag}-2"][: len(rows)]
    assert all(len(row.tag) < 64 and provider_jobs.is_part_tag(row.tag) for row in rows)
    assert [row.slices for row in rows] == [part.slices for part in _parts(len(rows))]
    assert rows[0].estimate == Seconds(low=1, high=2.5)
    assert rows[0].account == "lab"
    assert await database.read(provider_jobs.of_job, "lab-1") == tuple(rows)
    assert await ledgers(1).parts(_key("other")) == ()


async def test_the_submission_itself_is_kept(ledger: StoreLedger) -> None:
    """Whoever sends a part again, or fetches its result, has the circuits it was made of."""
    submission = _submission(_key(), session="s-1")
    (row,) = await ledger.intend(submission, "lab", _parts(1))

    assert Submission.read(await ledger.submission(_key())) == submission
    assert row.session == "s-1"
    with pytest.raises(InternalError, match="was never written down"):
        await ledger.submission(_key("other"))


async def test_one_of_many_may_send_a_part(ledgers: Callable[[int], StoreLedger]) -> None:
    """An attempt that a worker began keeps everybody from sending until its job must have shown up."""
    await _intend(ledgers(0), _key())
    answers = await asyncio.gather(*(ledgers(turn).claim(_key().tag, UNLIMITED) for turn in range(AT_ONCE)))
    refused = [answer for answer in answers if isinstance(answer, NotYet)]

    assert [answer for answer in answers if isinstance(answer, Claimed)] == [Claimed(1)]
    assert len(refused) == AT_ONCE - 1
    assert all(timedelta(0) < answer.again_in <= SETTLING for answer in refused)
    assert "may still show up" in refused[0].because


async def test_the_right_to_send_comes_back_when_the_attempt_must_have_shown_up(
    ledger: StoreLedger, database: Database
) -> None:
    """A worker may die with the right in its hand."""
    await _intend(ledger, _key())
    first = await ledger.claim(_key().tag, UNLIMITED)
    await pass_time(database, SETTLING - timedelta(seconds=20))
    early = await ledger.claim(_key().tag, UNLIMITED)
    await pass_time(database, timedelta(seconds=20))
    second = await ledger.claim(_key().tag, UNLIMITED)

    assert (first, second) == (Claimed(1), Claimed(2))
    assert isinstance(early, NotYet)
    assert early.again_in <= timedelta(seconds=20)


async def test_claims_are_answered_by_what_the_row_says(ledger: StoreLedger) -> None:
    """A withdrawn submission is called off whatever else it is; a part that has its job is taken."""
    await _intend(ledger, _key())
    await ledger.claim(_key().tag, UNLIMITED)
    await ledger.keep(_key().tag, "p1")
    taken = await ledger.claim(_key().tag, UNLIMITED)
    await ledger.withdraw(_key())
    called_off = await ledger.claim(_key().tag, UNLIMITED)

    assert taken == Taken("p1")
    assert called_off == CalledOff()
    assert await ledger.withdrawn(_key())
    with pytest.raises(InternalError, match="was never meant"):
        await ledger.claim(_key("other").tag, UNLIMITED)


async def test_never_more_than_the_limit_in_any_minute(
    ledgers: Callable[[int], StoreLedger], database: Database
) -> None:
    """IBM counts per user; fifty jobs at once are sent by fives."""
    keys = [_key(f"lab-{number}") for number in range(AT_ONCE)]
    await asyncio.gather(*(_intend(ledgers(turn), key) for turn, key in enumerate(keys)))
    given: list[int] = []
    for _ in range(9):
        answers = await asyncio.gather(
            *(ledgers(turn).claim(key.tag, FIVE) for turn, key in enumerate(keys) if key is not None)
        )
        given.append(sum(isinstance(answer, Claimed) for answer in answers))
        limited = [
            answer for answer in answers if isinstance(answer, NotYet) and "a minute" in answer.because
        ]
        assert all(timedelta(0) < answer.again_in <= timedelta(seconds=60) for answer in limited)
        await pass_time(database, timedelta(seconds=20))
    at_once = await asyncio.gather(
        *(ledgers(turn).claim(key.tag, Sending("ada", 5, SETTLING)) for turn, key in enumerate(keys))
    )

    assert given == [5, 0, 0, 5, 0, 0, 5, 0, 0]
    assert sum(isinstance(answer, Claimed) for answer in at_once) == 5  # another user has a minute of her own
    assert await database.read(lambda it: len(it.execute(select(permits)).all())) == 10  # old ones are gone


async def test_an_account_that_was_told_to_wait_waits(ledger: StoreLedger, database: Database) -> None:
    """The provider's own word stands beside our count; the longest one counts, for this account alone."""
    await _intend(ledger, _key())
    await ledger.held_up(UNLIMITED, timedelta(seconds=90))
    await ledger.held_up(UNLIMITED, timedelta(seconds=10))
    held = await ledger.claim(_key().tag, UNLIMITED)
    await pass_time(database, timedelta(seconds=90))
    free = await ledger.claim(_key().tag, UNLIMITED)

    assert isinstance(held, NotYet)
    assert timedelta(seconds=60) < held.again_in <= timedelta(seconds=90)
    assert "asked this account to wait" in held.because
    assert free == Claimed(1)


async def test_a_slow_request_is_counted_from_its_end(ledger: StoreLedger, database: Database) -> None:
    """The provider counts it when it comes; a minute from the claim would be less than its minute."""
    one, other = Sending("grace", 1, SETTLING), _key("lab-2")
    await _intend(ledger, _key())
    await _intend(ledger, other)
    await ledger.claim(_key().tag, one)
    await pass_time(database, timedelta(seconds=20))
    await ledger.keep(_key().tag, "p1")
    await pass_time(database, timedelta(seconds=45))
    too_soon = await ledger.claim(other.tag, one)
    await pass_time(database, timedelta(seconds=15))
    in_time = await ledger.claim(other.tag, one)

    assert isinstance(too_soon, NotYet)
    assert timedelta(seconds=10) < too_soon.again_in <= timedelta(seconds=15)
    assert in_time == Claimed(1)


async def test_a_refused_attempt_may_be_made_again_at_once_but_was_counted(ledger: StoreLedger) -> None:
    """The provider refused it, and has counted the request all the same; it made no job, so here it counts as none."""
    await _intend(ledger, _key())
    answers = []
    for _ in range(6):
        answers.append(await ledger.claim(_key().tag, FIVE))
        await ledger.release(_key().tag, 1)

    assert answers[:5] == [Claimed(1)] * 5
    assert isinstance(answers[5], NotYet)


async def test_an_attempt_that_thaws_late_does_not_release_the_one_after_it(
    ledger: StoreLedger, database: Database
) -> None:
    """A frozen process learns late that it may not send; meanwhile another has the claim and may be sending."""
    await _intend(ledger, _key())
    await ledger.claim(_key().tag, UNLIMITED)
    await pass_time(database, UNLIMITED.settling)
    second = await ledger.claim(_key().tag, UNLIMITED)
    await ledger.release(_key().tag, 1)
    third = await ledger.claim(_key().tag, UNLIMITED)

    assert second == Claimed(2)
    assert isinstance(third, NotYet)


async def test_the_row_decides_whose_job_is_kept(
    ledgers: Callable[[int], StoreLedger], database: Database
) -> None:
    """Two attempts at once may both have a job; all but one of them learn that theirs is not wanted."""
    await _intend(ledgers(0), _key(), parts=2)
    first, second = await ledgers(0).parts(_key())
    kept = await asyncio.gather(*(ledgers(turn).keep(first.tag, f"p{turn}") for turn in range(20)))
    half = await database.read(submissions.handle, _key().tag)
    await ledgers(0).keep(second.tag, "q")

    assert len(set(kept)) == 1
    assert half is None
    assert await database.read(submissions.handle, _key().tag) == f"{kept[0]},q"
    assert [row.id for row in await ledgers(1).parts(_key())] == [kept[0], "q"]


async def test_a_handle_may_name_many_jobs(ledger: StoreLedger, database: Database) -> None:
    """A large submission becomes more jobs than fit into the column it once had."""
    await _intend(ledger, _key(), parts=40)
    ids = [f"d7k3x9m2p4q8r1t5v6w{part:02}" for part in range(40)]
    for row, sent in zip(await ledger.parts(_key()), ids, strict=True):
        await ledger.keep(row.tag, sent)

    assert await database.read(submissions.handle, _key().tag) == ",".join(ids)


async def test_a_withdrawn_submission_keeps_its_job_so_that_it_can_be_cancelled(ledger: StoreLedger) -> None:
    """The answer to a POST may come after the withdrawal."""
    await _intend(ledger, _key())
    await ledger.claim(_key().tag, UNLIMITED)
    await ledger.withdraw(_key())

    assert await ledger.keep(_key().tag, "p1") == "p1"
    assert [row.id for row in await ledger.parts(_key())] == ["p1"]


async def test_only_the_job_that_was_lost_is_forgotten(ledger: StoreLedger, database: Database) -> None:
    """Another worker may have adopted its successor meanwhile."""
    await _intend(ledger, _key())
    await ledger.keep(_key().tag, "p1")
    await ledger.observe(_key().tag, _facts("p1", Phase.QUEUED))
    await ledger.lose(_key().tag, "p0")
    (still,) = await ledger.parts(_key())
    await ledger.lose(_key().tag, "p1")
    (lost,) = await ledger.parts(_key())

    assert still.id == "p1"
    assert (lost.id, lost.facts) == ("", None)
    assert await database.read(submissions.handle, _key().tag) is None
    assert await ledger.keep(_key().tag, "p2") == "p2"


@pytest.mark.parametrize(
    ("news", "stands"),
    [
        (_facts("p1", Phase.DONE, seconds=3.0, complete=True), True),
        (_facts("p1", Phase.DONE, seconds=None), True),
        (_facts("p1", Phase.RUNNING), False),
        (_facts("p0", Phase.DONE, seconds=9.0, complete=True), False),
    ],
    ids=["the bill", "still no bill", "late news", "another job's"],
)
async def test_what_is_known_of_a_job_only_grows(
    ledger: StoreLedger, news: ProviderFacts, stands: bool
) -> None:
    """Answers overtake each other; a job that has ended does not run again."""
    await _intend(ledger, _key())
    await ledger.keep(_key().tag, "p1")
    known = _facts("p1", Phase.DONE, seconds=1.0)
    await ledger.observe(_key().tag, known)
    await ledger.observe(_key().tag, news)
    (row,) = await ledger.parts(_key())

    assert row.facts == (news if stands else known)


async def test_a_job_that_had_ended_and_is_forgotten_holds_nothing(
    ledger: StoreLedger, database: Database
) -> None:
    """No other bill will come: what was said of it stands, and is final."""
    await _intend(ledger, _key())
    await ledger.keep(_key().tag, "p1")
    await ledger.observe(_key().tag, _facts("p1", Phase.DONE, seconds=1.0))
    await ledger.observe(_key().tag, _facts("p1", Phase.LOST))
    (row,) = await ledger.parts(_key())

    assert row.facts == _facts("p1", Phase.DONE, seconds=1.0, complete=True)


async def test_a_final_bill_stays_final(ledger: StoreLedger) -> None:
    """Metrics of an old job may fail to load; what was paid is known."""
    await _intend(ledger, _key())
    await ledger.keep(_key().tag, "p1")
    await ledger.observe(_key().tag, _facts("p1", Phase.DONE, seconds=3.0, complete=True))
    await ledger.observe(_key().tag, _facts("p1", Phase.DONE))
    (row,) = await ledger.parts(_key())

    assert row.facts == _facts("p1", Phase.DONE, seconds=3.0, complete=True)


async def test_a_withdrawal_and_an_attempt_to_send_never_miss_each_other(
    ledgers: Callable[[int], StoreLedger],
) -> None:
    """Either the sender is called off, or whoever withdraws sees that something may be on its way."""

    async def withdraw(key: SubmissionKey) -> bool:
        await ledgers(0).withdraw(key)
        (row,) = await ledgers(0).parts(key)
        return row.posting_at is not None

    for number in range(AT_ONCE):
        key = _key(f"lab-{number}")
        await _intend(ledgers(0), key)
        seen, claim = await asyncio.gather(withdraw(key), ledgers(1).claim(key.tag, FIVE))

        assert seen or not isinstance(claim, Claimed)


async def test_times_are_the_databases_own(
    database: Database, ledger: StoreLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is a day behind neither waits a day nor sends twice."""
    if database.is_sqlite:
        pytest.skip("SQLite has its workers' clock, since they are on one machine")
    monkeypatch.setattr("store.clock.now", lambda: datetime.now(UTC) - timedelta(days=1))
    await _intend(ledger, _key())
    await ledger.claim(_key().tag, UNLIMITED)
    (row,) = await ledger.parts(_key())

    assert row.posting_at is not None
    assert abs(await database.read(moment) - row.posting_at) < timedelta(hours=1)
    assert abs(datetime.now(UTC) - row.posting_at) < timedelta(hours=1)
