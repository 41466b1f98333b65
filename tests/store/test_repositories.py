"""Every write of the store may come twice, and from two workers at once: the first one stands."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import Piece, SubmissionKey
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobEvent, JobReport, StageRecord, State
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import InternalError
from store import artifacts, catalogue, jobs, results, submissions, transpiles
from store.artifacts import ArtifactKind
from store.database import Database
from store.schema import metadata

AT = datetime(2026, 5, 4, 3, 2, 1, 234567, tzinfo=UTC)
KEY = SubmissionKey(job_id="lab-1", backend="aer", digest="d")
PATIENCE = timedelta(seconds=30)


def _head(*, job_id: str = "lab-1", body: str = "body", project: str = "lab") -> JobHead:
    return JobHead(schema_version=1, id=job_id, project=project, kind="sample", asked="aer", body_hash=body)


def _accept(connection: Connection, /, *, owner: str = "first", at: datetime = AT, **head: str) -> jobs.Owned:
    return jobs.accept(connection, _head(**head), owner=owner, request="r", labels={"who": "me"}, at=at)


def _report(state: State = State.COMPLETED, *, served_by: str = "aer", job_id: str = "lab-1") -> JobReport:
    error = None if state is State.COMPLETED else ErrorDocument(code="InternalError", message="no")
    return JobReport(
        id=job_id, project="lab", kind="sample", state=state, asked="aer", served_by=served_by, error=error
    )


def _stage(worker: str) -> tuple[str, StageRecord, bytes]:
    record = StageRecord(stage="transpile", started=AT, ended=AT + timedelta(seconds=1), worker=worker)
    return "transpile-0", record, worker.encode()


def _events(*states: State) -> list[JobEvent]:
    return [JobEvent(state=state, at=AT, backend="aer", detail="as told") for state in states]


def _snapshot(name: str, version: str = "1") -> TargetSnapshot:
    return TargetSnapshot(name=name, answer_kind=AnswerKind.SIMULATOR, version=version)


@dataclass(frozen=True)
class Write:
    """A write, and what has to be there before it."""

    name: str
    do: Callable[[Connection], Any]
    needs_job: bool = True


WRITES = (
    Write("accept", _accept, needs_job=False),
    Write("add_events", lambda it: jobs.add_events(it, "lab-1", _events(State.VALIDATED, State.COMPILED))),
    Write("finish_stages", lambda it: jobs.finish_stages(it, "lab-1", [_stage("w")])),
    Write("end", lambda it: jobs.end(it, _report(), at=AT)),
    Write("put_artifacts", lambda it: artifacts.put(it, ArtifactKind.CIRCUIT, [b"one", b"two"])),
    Write("intend", lambda it: submissions.intend(it, KEY)),
    Write("settle_handle", lambda it: submissions.settle_handle(it, KEY, "handle")),
    Write("withdraw", lambda it: submissions.withdraw(it, KEY)),
    Write("put_pieces", lambda it: results.put(it, "t", [Piece(pub=0, start=0, stop=2, data=b"x")])),
    Write("fill", lambda it: _fill(it)),
    Write("publish", lambda it: catalogue.publish(it, [_snapshot("aer"), _snapshot("qpu")])),
)

every_write = pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])

WHEN = frozenset({"created_at", "intended_at", "submitted_at", "held_until", "seen_at"})
"""Columns that hold the moment of the write itself."""


def _fill(connection: Connection, /) -> None:
    transpiles.claim(connection, "k", "w", PATIENCE)
    transpiles.fill(connection, "k", b"isa", '{"compiled": 1}', 2.5)


def _everything(connection: Connection, /, *, but: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """All that the store holds."""
    return {
        table.name: sorted(
            repr({name: value for name, value in row.items() if name not in but})
            for row in connection.execute(select(table)).mappings()
        )
        for table in metadata.sorted_tables
    }


@pytest.fixture
async def another(database: Database) -> AsyncIterator[Database]:
    """The same store, as another worker has it."""
    async with Database(database._engine.url.render_as_string(hide_password=False)) as another:
        yield another


async def _ready(database: Database, write: Write) -> None:
    if write.needs_job:
        await database.write(_accept)


@every_write
async def test_a_write_that_comes_twice_changes_nothing(database: Database, write: Write) -> None:
    """A worker may die between its write and the word of it."""
    await _ready(database, write)
    await database.write(write.do)
    once = await database.read(_everything, but=frozenset({"seen_at"}))
    await database.write(write.do)

    assert await database.read(_everything, but=frozenset({"seen_at"})) == once
    assert any(once.values())


@every_write
async def test_a_write_of_many_workers_at_once_is_one_write(
    database: Database, another: Database, write: Write
) -> None:
    """A stage that was given to a second worker may still run on the first."""
    await _ready(database, write)
    await asyncio.gather(*(store.write(write.do) for store in (database, another) * 4))
    together = await database.read(_everything, but=WHEN)
    await database.write(write.do)

    assert await database.read(_everything, but=WHEN) == together


async def test_two_workers_that_keep_the_same_things_in_another_order_do_not_lock_each_other_out(
    database: Database, another: Database
) -> None:
    """PostgreSQL ends one of two transactions that wait for each other."""
    bodies = [os.urandom(64) for _ in range(200)]

    for turn in range(10):
        one, other = ([body + bytes([turn]) for body in order] for order in (bodies, bodies[::-1]))
        await asyncio.gather(
            database.write(artifacts.put, ArtifactKind.CIRCUIT, one),
            another.write(artifacts.put, ArtifactKind.CIRCUIT, other),
        )


async def test_the_first_to_accept_owns_the_job(database: Database) -> None:
    """What is asked is written once."""
    owned = await database.write(_accept)
    row = await database.read(jobs.find, "lab-1")

    assert owned == jobs.Owned("body", State.ACCEPTED, None)
    assert row is not None
    assert (row.owner, row.request, row.project, jobs.labels_of(row)) == ("first", "r", "lab", {"who": "me"})
    assert await database.read(jobs.owned_by, "lab-1", "first") == owned
    assert await database.read(jobs.owned_by, "lab-1", "second") is None
    assert await database.read(jobs.owned_by, "lab-2", "first") is None


async def test_an_open_job_of_a_lost_execution_is_taken_over(database: Database) -> None:
    """Temporal was restored from yesterday's copy: the job goes on under its new execution."""
    await database.write(_accept)
    taken = await database.write(_accept, owner="second")

    assert taken.report is None
    assert await database.read(jobs.owned_by, "lab-1", "second") is not None
    assert await database.read(jobs.owned_by, "lab-1", "first") is None


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.CANCELLED])
async def test_an_ended_job_gives_its_report_to_a_later_execution(database: Database, state: State) -> None:
    """The same key is the same job, also after Temporal's retention."""
    await database.write(_accept)
    await database.write(jobs.end, _report(state), at=AT)
    again = await database.write(_accept, owner="second")

    assert again == jobs.Owned("body", state, _report(state))
    assert await database.read(jobs.owned_by, "lab-1", "second") is None


async def test_an_ended_job_does_not_end_again_for_its_own_execution(database: Database) -> None:
    """Its workflow may be replayed from before the report; it goes on and finds every stage done."""
    await database.write(_accept)
    await database.write(jobs.end, _report(), at=AT)

    assert await database.write(_accept) == jobs.Owned("body", State.COMPLETED, None)


async def test_another_body_takes_nothing_over(database: Database) -> None:
    """The hash that is given back tells the conflict; the job stays with its owner."""
    await database.write(_accept)
    found = await database.write(_accept, owner="second", body="another")

    assert found.body_hash == "body"
    assert await database.read(jobs.owned_by, "lab-1", "first") is not None


async def test_the_first_report_stands(database: Database) -> None:
    """Two executions may both come to an end; a caller that has read one must not read another later."""
    await database.write(_accept)
    first = await database.write(jobs.end, _report(), at=AT)
    second = await database.write(
        jobs.end, _report(State.FAILED, served_by="other"), at=AT + timedelta(seconds=5)
    )
    row = await database.read(jobs.need, "lab-1")

    assert first == second == await database.read(jobs.find_report, "lab-1")
    assert (row.state, row.served_by) == ("completed", "aer")


async def test_a_report_is_kept_without_its_results(database: Database) -> None:
    """They are kept as pieces; twice would be too often for 50 MB."""
    await database.write(_accept)
    kept = await database.write(jobs.end, _report(), at=AT)

    assert kept.results == ()


async def test_the_first_of_a_state_stands_and_order_is_kept(database: Database) -> None:
    """The times of a report are those of what happened, not of the retry."""
    await database.write(_accept)
    await database.write(jobs.add_events, "lab-1", _events(State.ACCEPTED, State.VALIDATED))
    late = [JobEvent(state=state, at=AT + timedelta(hours=1)) for state in (State.VALIDATED, State.COMPILED)]
    await database.write(jobs.add_events, "lab-1", late)
    await database.write(jobs.add_events, "lab-1", late, rung=1)
    events = await database.read(jobs.events_of, "lab-1")

    assert [event.state for event in events] == [
        State.ACCEPTED, State.VALIDATED, State.COMPILED, State.VALIDATED, State.COMPILED,
    ]  # fmt: skip
    assert [event.at for event in events[:3]] == [AT, AT, AT + timedelta(hours=1)]
    assert (await database.read(jobs.need, "lab-1")).state == State.COMPILED


async def test_a_late_event_does_not_open_an_ended_job(database: Database) -> None:
    """A slow worker's note that it runs must not make a completed job running."""
    await database.write(_accept)
    await database.write(jobs.end, _report(), at=AT)
    await database.write(jobs.add_events, "lab-1", _events(State.RUNNING))

    assert (await database.read(jobs.need, "lab-1")).state == State.COMPLETED


async def test_whatever_a_message_holds_is_kept(database: Database) -> None:
    """A null byte of a stranger's text, which PostgreSQL does not take, must not stop the job from ending."""
    await database.write(_accept, job_id="lab-2")
    event = JobEvent(state=State.FAILED, at=AT, detail="θ \0 \U0001f600 " + "x" * 5000)
    await database.write(jobs.add_events, "lab-2", [event])
    (kept,) = await database.read(jobs.events_of, "lab-2")

    assert kept.detail.startswith("θ � \U0001f600 x")
    assert len(kept.detail) == 2000


async def test_the_first_end_of_a_stage_stands(database: Database) -> None:
    """Two workers may both have done the work; one answer counts."""
    await database.write(_accept)

    assert await database.write(jobs.finish_stages, "lab-1", [_stage("first")])
    assert not await database.write(jobs.finish_stages, "lab-1", [_stage("second")])
    assert await database.read(jobs.outputs, "lab-1") != {}
    (stage,) = await database.read(jobs.stages_of, "lab-1")
    assert (stage.worker, stage.started, stage.took) == ("first", AT, timedelta(seconds=1))


async def test_merged_stages_are_first_only_together(database: Database) -> None:
    """A merged activity whose last part was done by another has not done all of it."""
    await database.write(_accept)
    await database.write(jobs.finish_stages, "lab-1", [_stage("first")])
    validate = ("validate", _stage("second")[1].model_copy(update={"stage": "validate"}), b"")

    assert not await database.write(jobs.finish_stages, "lab-1", [validate, _stage("second")])
    assert set(await database.read(jobs.outputs, "lab-1")) == {"validate", "transpile-0"}


async def test_a_job_that_was_never_accepted_is_named(database: Database) -> None:
    """A defect should say which job it is about."""
    with pytest.raises(InternalError, match="'lab-9' was never accepted"):
        await database.read(jobs.need, "lab-9")


async def test_jobs_are_listed_newest_first_and_filtered(database: Database) -> None:
    """Pages go on before the last moment that was seen."""
    for number in range(6):
        project = "lab" if number % 2 else "other"
        at = AT + timedelta(minutes=number)
        await database.write(_accept, job_id=f"{project}-{number}", project=project, at=at)
    await database.write(jobs.end, _report(job_id="lab-3"), at=AT)

    async def listed(**filters: Any) -> list[str]:
        return [job.id for job in await database.read(jobs.summaries, **filters)]

    assert await listed() == ["lab-5", "other-4", "lab-3", "other-2", "lab-1", "other-0"]
    assert await listed(project="lab") == ["lab-5", "lab-3", "lab-1"]
    assert await listed(states=[State.COMPLETED]) == ["lab-3"]
    assert await listed(states=[State.COMPLETED, State.ACCEPTED], project="lab", limit=2) == [
        "lab-5",
        "lab-3",
    ]
    assert await listed(limit=2, before=AT + timedelta(minutes=4)) == ["lab-3", "other-2"]


async def test_artifacts_come_back_by_the_hash_of_their_bytes(database: Database) -> None:
    """In the order they were given, each kept once."""
    keys = await database.write(artifacts.put, ArtifactKind.ISA, [b"b", b"a", b"b"])

    assert keys[0] == keys[2] != keys[1]
    assert await database.read(artifacts.get, keys) == {keys[0]: b"b", keys[1]: b"a"}
    with pytest.raises(InternalError, match="does not have the artifacts"):
        await database.read(artifacts.get, ["nowhere"])


async def test_fifty_megabytes_are_kept(database: Database) -> None:
    """As a circuit and as a result."""
    body = os.urandom(50 * 10**6)
    (key,) = await database.write(artifacts.put, ArtifactKind.CIRCUIT, [body])
    await database.write(results.put, "t", [Piece(pub=0, start=0, stop=1, data=body)])
    (piece,) = await database.read(results.get, "t")

    assert (await database.read(artifacts.get, [key]))[key] == body
    assert piece.data == body


async def test_a_submission_has_the_first_handle_it_was_given(database: Database, another: Database) -> None:
    """The loser of two that submitted cancels its own job."""
    stand = await asyncio.gather(
        *(
            store.write(submissions.settle_handle, KEY, name)
            for store, name in ((database, "a"), (another, "b"))
        )
    )

    assert len(set(stand)) == 1
    assert await database.read(submissions.handle, KEY.tag) == stand[0]


async def test_a_withdrawn_submission_is_remembered_as_that(database: Database) -> None:
    """Also one that was withdrawn before it was made: it must not be made afterwards."""
    other = KEY.model_copy(update={"backend": "qpu"})
    await database.write(submissions.intend, KEY)
    await database.write(submissions.withdraw, other)

    assert await database.read(submissions.of_job, "lab-1", KEY.backend) == [KEY]
    assert await database.read(submissions.of_job, "lab-1", "qpu") == [other]
    assert await database.read(submissions.is_withdrawn, other.tag)
    assert not await database.read(submissions.is_withdrawn, KEY.tag)


async def test_the_first_piece_of_a_range_stands(database: Database) -> None:
    """An answer that somebody may have read does not change."""
    pieces = [
        Piece(pub=1, start=0, stop=2, data=b"c", notes={"method": "mps"}, seconds=0.5),
        Piece(pub=0, start=2, stop=4, data=b"b"),
        Piece(pub=0, start=0, stop=2, data=b"a"),
    ]
    await database.write(results.put, "t", pieces)
    await database.write(results.put, "t", [Piece(pub=0, start=0, stop=2, data=b"other")])

    assert await database.read(results.get, "t") == pieces[::-1]
    assert await database.read(results.ranges, "t") == {(0, 0, 2), (0, 2, 4), (1, 0, 2)}


async def test_one_of_many_gets_to_transpile(database: Database, another: Database) -> None:
    """The others wait for what it makes of it."""
    claims = await asyncio.gather(
        *(
            store.write(transpiles.claim, "k", f"w{number}", PATIENCE)
            for number in range(5)
            for store in (database, another)
        )
    )
    claimed = await asyncio.gather(
        *(database.write(transpiles.claim, "k", f"w{number}", PATIENCE) for number in range(5))
    )

    # One holder may claim again, so that a retry of its stage goes on at once.
    assert sum(isinstance(claim, transpiles.Ours) for claim in claims) == 2
    assert sum(isinstance(claim, transpiles.Ours) for claim in claimed) == 1
    assert {type(claim) for claim in claims} == {transpiles.Ours, transpiles.Busy}


async def test_a_filled_claim_is_a_hit_for_everybody(database: Database, another: Database) -> None:
    """With the seconds that it saves, and the circuit's bytes in the same transaction."""
    await database.write(_fill)
    hit = await another.write(transpiles.claim, "k", "other", PATIENCE)
    await another.write(transpiles.fill, "k", b"other", "other", 9.0)

    assert hit == transpiles.Hit('{"compiled": 1}', 2.5)
    assert await another.write(transpiles.claim, "k", "third", PATIENCE) == hit
    (key,) = await database.write(artifacts.put, ArtifactKind.ISA, [b"isa"])
    assert await database.read(artifacts.get, [key]) == {key: b"isa"}


async def test_a_claim_that_brought_nothing_is_taken_over(database: Database) -> None:
    """Its holder was killed."""
    await database.write(transpiles.claim, "k", "killed", timedelta(0))

    assert isinstance(await database.write(transpiles.claim, "k", "next", PATIENCE), transpiles.Ours)
    assert isinstance(await database.write(transpiles.claim, "k", "third", PATIENCE), transpiles.Busy)


async def test_a_claim_that_failed_is_let_go_by_its_holder_alone(database: Database) -> None:
    """So that nobody waits for a circuit that cannot be compiled."""
    await database.write(transpiles.claim, "k", "holder", PATIENCE)
    await database.write(transpiles.release, "k", "stranger")
    still = await database.write(transpiles.claim, "k", "next", PATIENCE)
    await database.write(transpiles.release, "k", "holder")

    assert isinstance(still, transpiles.Busy)
    assert isinstance(await database.write(transpiles.claim, "k", "next", PATIENCE), transpiles.Ours)


async def test_backends_are_described_by_whoever_described_them_last(database: Database) -> None:
    """Another worker's backends stay."""
    await database.write(catalogue.publish, [_snapshot("qpu"), _snapshot("aer")])
    await database.write(catalogue.publish, [_snapshot("aer", "2")])

    assert await database.read(catalogue.offered, "aer") == _snapshot("aer", "2")
    assert await database.read(catalogue.offered, "qpu") == _snapshot("qpu")


async def test_a_backend_that_is_not_available_anywhere_is_not_offered(database: Database) -> None:
    """Neither one that says so, nor one that nobody has described."""
    gone = _snapshot("gpu").model_copy(update={"available": False, "reason": "no GPU"})
    await database.write(catalogue.publish, [gone])

    assert await database.read(catalogue.offered, "gpu") is None
    assert await database.read(catalogue.offered, "unheard_of") is None
