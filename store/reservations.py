"""What is reserved for jobs at places that cost money, and what they really cost.

A part of a submission has one reservation, made in the transaction that writes the part down. What is held and spent
of it follows from the part's row and its incidents, and is written in the transactions that change those: nobody can
die between a bill and its booking.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from qurable.contracts.budgets import Payer
from qurable.contracts.executions import Incident, PartIntent, Phase, ProviderFacts, SubmissionKey
from store import approved, limits
from store.clock import moment
from store.database import insert_once
from store.schema import incidents, provider_jobs, reservations, submissions

_ENDED = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED})


def reserve(
    connection: Connection, key: SubmissionKey, payer: Payer, parts: Sequence[tuple[str, PartIntent]]
) -> None:
    """Reserve what the parts of a submission may cost, all or nothing.

    Args:
        connection: Of the transaction that writes the parts down.
        key: Of the submission.
        payer: On whose account.
        parts: With their tags.

    Raises:
        BudgetExceeded: A budget has no room.
        GuardrailBroken: The project has sent enough this month.
    """
    at = moment(connection)
    month = f"{at:%Y-%m}"
    capped = approved.within_cap(connection, key, payer, [part for _, part in parts])
    limits.check_room(connection, key, payer, capped, month)
    for (tag, _), part in zip(parts, capped, strict=True):
        row = {
            "submission": key.tag,
            "job_id": key.job_id,
            "project": payer.project,
            "user": payer.user,
            "backend": key.backend,
            "month": month,
            "made_at": at,
            "reserved": part.reserve,
            "held": part.reserve or 0.0,
            "unsent": False,
            "price_per_second": part.price_per_second,
            "currency": part.currency,
        }
        if not insert_once(connection, reservations, {"tag": tag, "spent": 0.0, **row}):
            # A job that a restored store did not know was booked before its owner came back.
            connection.execute(update(reservations).where(reservations.c.tag == tag).values(**row))


def settle_submission(connection: Connection, submission: str) -> None:
    """Settle every part of a submission."""
    query = (
        select(reservations.c.tag).where(reservations.c.submission == submission).order_by(reservations.c.tag)
    )
    for tag in connection.execute(query).scalars().all():
        settle(connection, tag)


def settle(connection: Connection, tag: str) -> None:
    """Book what is known of a part by now: what it holds still, and what was billed for it and its duplicates.

    The reservation is locked before anything is read, so that of two who book at once the later sees all.
    """
    mine = reservations.c.tag == tag
    reserved: float | None = connection.execute(
        select(reservations.c.reserved).where(mine).with_for_update()
    ).scalar()
    part = connection.execute(
        select(provider_jobs, submissions.c.withdrawn)
        .join(submissions, submissions.c.tag == provider_jobs.c.submission)
        .where(provider_jobs.c.tag == tag)
    ).one_or_none()
    billed = func.coalesce(func.sum(incidents.c.billed_seconds), 0.0)
    unwanted: float = connection.execute(select(billed).where(incidents.c.tag == tag)).scalar_one()
    over, own = (True, 0.0) if part is None else _end_of(part)
    unsent = over and part is not None and part.provider_id is None and not unwanted
    connection.execute(
        update(reservations)
        .where(mine)
        .values(held=0.0 if over else reserved or 0.0, spent=own + unwanted, unsent=unsent)
    )


def _end_of(part: Row[Any]) -> tuple[bool, float]:
    """Whether nothing more will be billed for a part's own job, and what was (QPU seconds).

    A part without a job is over once nobody may send it any more and no attempt can be under way. Of a job that the
    provider has lost no bill is to be had: its reservation ends with its story.
    """
    if part.provider_id is None:
        return part.closed or (part.withdrawn and part.posting_at is None), 0.0
    if part.facts is None:
        return False, 0.0
    facts = ProviderFacts.read(part.facts)
    is_final = facts.phase in _ENDED and facts.usage_complete
    if is_final or (facts.phase is Phase.LOST and part.closed):
        return True, facts.qpu_seconds or 0.0
    return False, 0.0


def charge(connection: Connection, incident: Incident) -> None:
    """Book a job that nobody wanted: to whoever its part belongs to, else to the house."""
    if incident.billed_seconds:
        at = moment(connection)
        unknown = {
            "tag": incident.tag,
            "submission": incident.tag,
            "job_id": "",
            "project": "",
            "user": "",
            "backend": incident.backend,
            "month": f"{at:%Y-%m}",
            "made_at": at,
            "held": 0.0,
            "spent": 0.0,
            "unsent": False,
            "currency": "",
        }
        insert_once(connection, reservations, unknown)
    settle(connection, incident.tag)
