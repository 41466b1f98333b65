"""Shadow runs of rollout rules: which job is whose shadow, and how the two differed."""

import statistics
from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlalchemy import Connection, func, select, update

from qurable.contracts.shadows import (
    FALSE_ALARM,
    Medians,
    PubDifference,
    ShadowCall,
    ShadowRun,
    ShadowSide,
    ShadowSummary,
)
from store.clock import moment
from store.database import insert_once
from store.schema import shadows

_LOOKED_AT = 500
"""Of each rule's shadows, the newest ones, that are counted and whose medians are shown."""

_SHOWN = 10

_PUBS: TypeAdapter[tuple[PubDifference, ...]] = TypeAdapter(tuple[PubDifference, ...])


def begin(connection: Connection, call: ShadowCall) -> None:
    """Write down that a job is to have a shadow; the first record stands."""
    insert_once(
        connection,
        shadows,
        {
            "job_id": call.job_id,
            "rule": call.shadowing.rule,
            "shadow_id": call.shadow_id,
            "backend": call.shadowing.backend,
            "began_at": moment(connection),
        },
    )


def answered_for(connection: Connection, job_id: str) -> str:
    """The job whose shadow a job is; empty for one that is nobody's."""
    found = connection.execute(select(shadows.c.job_id).where(shadows.c.shadow_id == job_id)).scalar()
    return found or ""


def find(connection: Connection, call: ShadowCall) -> ShadowRun | None:
    """How a shadow ended; None while it runs, and before."""
    query = select(shadows.c.run, shadows.c.pubs).where(
        shadows.c.job_id == call.job_id,
        shadows.c.rule == call.shadowing.rule,
        shadows.c.ended_at.is_not(None),
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _whole(row.run, row.pubs)


def keep(connection: Connection, call: ShadowCall, run: ShadowRun) -> None:
    """Write down how a shadow ended; the first record stands."""
    begin(connection, call)  # a store that was restored may not have it
    connection.execute(
        update(shadows)
        .where(shadows.c.job_id == call.job_id, shadows.c.rule == run.rule, shadows.c.ended_at.is_(None))
        .values(
            ended_at=run.ended,
            run=run.model_dump_json(exclude={"pubs"}),
            pubs=_PUBS.dump_json(run.pubs).decode(),
        )
    )


def look(connection: Connection) -> tuple[ShadowSummary, ...]:
    """What the shadows of each rule have shown of late, by rule and place."""
    counts = select(
        shadows.c.rule, shadows.c.backend, func.count().filter(shadows.c.ended_at.is_(None)).label("running")
    ).group_by(shadows.c.rule, shadows.c.backend)
    ordered = counts.order_by(shadows.c.rule, shadows.c.backend)
    return tuple(
        _summary(connection, row.rule, row.backend, row.running) for row in connection.execute(ordered).all()
    )


def _summary(connection: Connection, rule: str, backend: str, running: int) -> ShadowSummary:
    of_rule = (shadows.c.rule == rule, shadows.c.backend == backend, shadows.c.ended_at.is_not(None))
    newest = select(shadows.c.run).where(*of_rule).order_by(shadows.c.ended_at.desc(), shadows.c.job_id)
    runs = [ShadowRun.read(row.run) for row in connection.execute(newest.limit(_LOOKED_AT))]
    shown = newest.add_columns(shadows.c.pubs).limit(_SHOWN)
    compared = [run for run in runs if run.p_value is not None]
    bound = FALSE_ALARM / max(1, len(compared))
    return ShadowSummary(
        rule=rule,
        backend=backend,
        running=running,
        ended=len(runs),
        unanswered=sum(run.error is not None for run in runs),
        compared=len(compared),
        differing=sum(run.p_value is not None and run.p_value < bound for run in compared),
        bound=bound,
        answers=_medians([run.answer for run in runs if run.error is None]),
        shadows=_medians([run.shadow for run in runs if run.error is None]),
        latest=tuple(_whole(row.run, row.pubs) for row in connection.execute(shown)),
    )


def _medians(sides: Sequence[ShadowSide]) -> Medians:
    """Of the sides, the newest first."""
    if not sides:
        return Medians()
    currency = next((side.currency for side in sides if side.price is not None), "")
    prices = [side.price for side in sides if side.price is not None and side.currency == currency]
    return Medians(
        seconds=statistics.median(side.seconds for side in sides),
        qpu_seconds=statistics.median(side.qpu_seconds for side in sides),
        price=statistics.median(prices) if prices else None,
        currency=currency,
    )


def _whole(run: str, pubs: str) -> ShadowRun:
    return ShadowRun.read(run).model_copy(update={"pubs": _PUBS.validate_json(pubs, extra="ignore")})
