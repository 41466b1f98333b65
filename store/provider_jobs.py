"""Parts of submissions to paid places: one row per part, written before it is sent, until its last bill is known.

Whoever changes a part holds the row of its submission first, so that a withdrawal and an attempt to send never
miss each other, and no two transactions wait for each other.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Update, select, update

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
from store import artifacts, permits, reservations, submissions
from store.artifacts import ArtifactKind
from store.clock import moment
from store.database import insert_all, utc
from store.schema import provider_jobs as rows
from store.schema import reservations as reserved
from store.schema import submissions as wholes

ENDED = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED})
"""Phases that a job at a provider never leaves. A lost job may turn up again."""

_TAG = re.compile(r"qurable-[0-9a-f]{40}(-[0-9]+)?")


_PARTS = select(rows, reserved.c.reserved).outerjoin(reserved, reserved.c.tag == rows.c.tag)


def part_tag(submission: str, part: int) -> str:
    """The tag of a part: the first has the submission's own."""
    return submission if part == 0 else f"{submission}-{part}"


def is_part_tag(tag: str) -> bool:
    """Whether a provider's tag may be that of a part."""
    return _TAG.fullmatch(tag) is not None


def intend(
    connection: Connection, submission: Submission, account: str, parts: Sequence[PartIntent]
) -> tuple[ProviderJob, ...]:
    """Write down a submission and its parts unless some are there; gives back the rows that stand, in order.

    What they may cost is reserved in the same transaction.

    Raises:
        BudgetExceeded: A budget has no room; nothing was written.
        GuardrailBroken: The project has sent enough this month; nothing was written.
    """
    key = submission.key
    submissions.intend(connection, key)
    _lock(connection, key.tag)
    standing = of_submission(connection, key.tag)
    if standing:
        return standing
    body = submission.model_dump_json().encode()
    (document,) = artifacts.put(connection, ArtifactKind.SUBMISSION, [body])
    connection.execute(update(wholes).where(wholes.c.tag == key.tag).values(document=document))
    at = moment(connection)
    insert_all(
        connection,
        rows,
        [
            {
                "tag": part_tag(key.tag, number),
                "submission": key.tag,
                "job_id": key.job_id,
                "part": number,
                "backend": key.backend,
                "account": account,
                "session": submission.session,
                "slices": json.dumps([piece.model_dump() for piece in part.slices]),
                "estimate": None if part.estimate is None else part.estimate.model_dump_json(),
                "attempts": 0,
                "intended_at": at,
                "closed": False,
            }
            for number, part in enumerate(parts)
        ],
    )
    tagged = [(part_tag(key.tag, number), part) for number, part in enumerate(parts)]
    reservations.reserve(connection, key, submission.payer, tagged)
    return of_submission(connection, key.tag)


def document(connection: Connection, key: SubmissionKey) -> bytes:
    """The submission whose parts were written down, as JSON.

    Raises:
        InternalError: None were.
    """
    kept: str | None = connection.execute(select(wholes.c.document).where(wholes.c.tag == key.tag)).scalar()
    if kept is None:
        raise InternalError(f"submission {key.tag!r} to {key.backend!r} was never written down")
    return artifacts.get(connection, [kept])[kept]


def of_submission(connection: Connection, submission: str) -> tuple[ProviderJob, ...]:
    """The parts of a submission, in order."""
    query = _PARTS.where(rows.c.submission == submission).order_by(rows.c.part)
    return tuple(map(_part, connection.execute(query)))


def of_job(connection: Connection, job_id: str) -> tuple[ProviderJob, ...]:
    """Every part of every submission of a job, in the order they were meant."""
    query = _PARTS.where(rows.c.job_id == job_id).order_by(rows.c.intended_at, rows.c.submission, rows.c.part)
    return tuple(map(_part, connection.execute(query)))


def find(connection: Connection, tag: str) -> ProviderJob | None:
    """One part by its tag."""
    row = connection.execute(_PARTS.where(rows.c.tag == tag)).one_or_none()
    return None if row is None else _part(row)


def claim(connection: Connection, tag: str, sending: Sending) -> Claimed | NotYet | Taken | CalledOff:
    """Take the right to send a part, and note that an attempt begins now."""
    row = _need(connection, tag)
    if submissions.is_withdrawn(connection, row.submission):
        return CalledOff()
    if row.provider_id is not None:
        return Taken(row.provider_id)
    if row.posting_at is not None:
        rest = utc(row.posting_at) + sending.settling - moment(connection)
        if rest > timedelta(0):
            return NotYet(rest, "an earlier attempt may still show up")
    permit = permits.take(connection, sending, tag)
    if isinstance(permit, NotYet):
        return permit
    attempt: int = row.attempts + 1
    connection.execute(_change(tag).values(attempts=attempt, posting_at=permit, checked_at=None))
    return Claimed(attempt)


def release(connection: Connection, tag: str, attempt: int) -> None:
    """An attempt is over and made no job, unless a later one has begun: here it does not count, however many there were.

    The permit stays used: the provider may have counted the request.
    """
    connection.execute(
        _change(tag).where(rows.c.attempts == attempt).values(posting_at=None, attempts=attempt - 1)
    )
    reservations.settle(connection, tag)
    permits.used(connection, tag)


def never_sent(connection: Connection, tag: str, attempt: int) -> None:
    """An attempt is over before anything left, unless a later one has begun: it is not counted, here or by the provider."""
    _locked(connection, tag)
    undone = connection.execute(
        _change(tag).where(rows.c.attempts == attempt).values(posting_at=None, attempts=attempt - 1)
    )
    if undone.rowcount:
        reservations.settle(connection, tag)
        permits.give_back(connection, tag)


def keep(connection: Connection, tag: str, provider_id: str) -> str:
    """Give a part its job unless it has one; gives back the id that stands.

    A withdrawn submission keeps it too, so that it can be cancelled. Once all parts have theirs, the submission's
    handle names them.
    """
    row = _need(connection, tag)
    if row.provider_id is not None:
        kept: str = row.provider_id
        return kept
    connection.execute(_change(tag).values(provider_id=provider_id, checked_at=None, closed=False))
    reservations.settle(connection, tag)
    permits.used(connection, tag)
    ids = [part.id for part in of_submission(connection, row.submission)]
    if all(ids):
        connection.execute(
            update(wholes)
            .where(wholes.c.tag == row.submission)
            .values(handle=",".join(ids), submitted_at=moment(connection))
        )
    return provider_id


def lose(connection: Connection, tag: str, provider_id: str) -> None:
    """Forget a part's job, if it is still this one."""
    row = _locked(connection, tag)
    if row is None or row.provider_id != provider_id:
        return
    connection.execute(_change(tag).values(provider_id=None, facts=None, checked_at=None, closed=False))
    reservations.settle(connection, tag)
    connection.execute(update(wholes).where(wholes.c.tag == row.submission).values(handle=None))


def observe(connection: Connection, tag: str, facts: ProviderFacts) -> None:
    """Keep what the provider says of the part's job, unless it is of another job or older than what is known."""
    row = _locked(connection, tag)
    if row is None or row.provider_id != facts.id:
        return
    known = None if row.facts is None else ProviderFacts.read(row.facts)
    if known is not None and known.phase in ENDED and facts.phase is Phase.LOST:
        # A provider that has forgotten a job which had ended says no more of its bill: what it said stands, and holds nothing.
        facts = known.model_copy(update={"usage_complete": True})
    if known is not None and _outdated(facts, known):
        return
    connection.execute(_change(tag).values(facts=facts.model_dump_json()))
    reservations.settle(connection, tag)


def _outdated(facts: ProviderFacts, known: ProviderFacts) -> bool:
    """A job that has ended does not run again, and a bill that is final does not become open again."""
    ran_again = known.phase in ENDED and facts.phase not in ENDED
    return ran_again or (known.usage_complete and not facts.usage_complete)


@dataclass(frozen=True)
class OpenSubmission:
    """A submission whose story is not over: a job may run, a bill may come, or a duplicate show up.

    Attributes:
        key: Identity.
        withdrawn: Whether it was withdrawn.
        parts: Its rows, in order.
        age: Since the last of: it was meant, an attempt to send one of its parts began.
        checked: Since its tags were last looked up for duplicates, None before that.
    """

    key: SubmissionKey
    withdrawn: bool
    parts: tuple[ProviderJob, ...]
    age: timedelta
    checked: timedelta | None


def open_submissions(connection: Connection) -> list[OpenSubmission]:
    """Every submission whose story is not over, oldest first."""
    tags = connection.execute(
        select(rows.c.submission).where(rows.c.closed.is_(False)).order_by(rows.c.intended_at)
    ).scalars()
    found = (open_submission(connection, tag) for tag in dict.fromkeys(tags))
    return [story for story in found if story is not None]


def open_submission(connection: Connection, tag: str) -> OpenSubmission | None:
    """One of them by its tag, as it is now; None where its story is over or nobody ever meant it."""
    query = (
        _PARTS.add_columns(wholes.c.digest, wholes.c.ordinal, wholes.c.withdrawn)
        .join(wholes, wholes.c.tag == rows.c.submission)
        .where(rows.c.submission == tag)
        .order_by(rows.c.part)
    )
    found = connection.execute(query).all()
    if not found or all(row.closed for row in found):
        return None
    first, at = found[0], moment(connection)
    checks = [row.checked_at for row in found]
    return OpenSubmission(
        key=SubmissionKey(
            job_id=first.job_id, backend=first.backend, digest=first.digest, ordinal=first.ordinal
        ),
        withdrawn=first.withdrawn,
        parts=tuple(map(_part, found)),
        age=at - max(utc(row.posting_at or row.intended_at) for row in found),
        checked=None if None in checks else at - max(map(utc, checks)),
    )


def check(connection: Connection, submission: str, parts: Sequence[ProviderJob], *, over: bool) -> bool:
    """Note that the tags of a submission were looked up for duplicates; whether nothing had changed meanwhile.

    Parts that were sent or kept anew since the caller read them are for another look. `over` says that nothing is
    left to wait for: the story ends here.
    """
    _lock(connection, submission)
    standing = of_submission(connection, submission)
    if list(map(_sending, standing)) != list(map(_sending, parts)):
        return False
    connection.execute(
        update(rows).where(rows.c.submission == submission).values(checked_at=moment(connection), closed=over)
    )
    reservations.settle_submission(connection, submission)
    return True


def _sending(part: ProviderJob) -> tuple[str, int, datetime | None]:
    """What changes whenever a part is sent or kept anew; an attempt that was not counted leaves its number to the next."""
    return part.id, part.attempts, part.posting_at


def _lock(connection: Connection, submission: str) -> None:
    connection.execute(select(wholes.c.tag).where(wholes.c.tag == submission).with_for_update())


def _locked(connection: Connection, tag: str) -> Row[Any] | None:
    """A part's row, with its submission's held."""
    submission = connection.execute(select(rows.c.submission).where(rows.c.tag == tag)).scalar()
    if submission is None:
        return None
    _lock(connection, submission)
    return connection.execute(select(rows).where(rows.c.tag == tag)).one_or_none()


def _need(connection: Connection, tag: str) -> Row[Any]:
    row = _locked(connection, tag)
    if row is None:
        raise InternalError(f"part {tag!r} was never meant: its row has to be written before it is sent")
    return row


def _change(tag: str) -> Update:
    return update(rows).where(rows.c.tag == tag)


def _part(row: Row[Any]) -> ProviderJob:
    return ProviderJob(
        tag=row.tag,
        part=row.part,
        backend=row.backend,
        account=row.account,
        session=row.session,
        slices=tuple(Slice.model_validate(piece) for piece in json.loads(row.slices)),
        estimate=None if row.estimate is None else Seconds.read(row.estimate),
        reserved=row.reserved,
        id=row.provider_id or "",
        attempts=row.attempts,
        posting_at=None if row.posting_at is None else utc(row.posting_at),
        facts=None if row.facts is None else ProviderFacts.read(row.facts),
    )
