"""Cuts: the plan of each, who runs it, and its report."""

import zlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from qurable.contracts.cutting import CutPlan, CutReport, CutState
from qurable.errors import KeyReused
from store.clock import moment
from store.database import insert_once, utc
from store.schema import cuttings


@dataclass(frozen=True)
class Held:
    """What the store has of a cut.

    Attributes:
        plan: As it was made; it never changes.
        state: Where it stands.
        report: None while it runs for the first time, that of the run before while what failed runs again.
        began: When it was planned.
    """

    plan: CutPlan
    state: CutState
    report: CutReport | None
    began: datetime


def begin(connection: Connection, plan: CutPlan, owner: str) -> None:
    """Keep a plan; one that is there stays, and this execution takes the cut over.

    Raises:
        KeyReused: The cut's key belongs to one with another body.
    """
    job = plan.job
    row = {
        "id": job.cut_id,
        "project": job.estimate.project,
        "body_hash": job.body_hash,
        "owner": owner,
        "state": CutState.RUNNING,
        "plan": zlib.compress(plan.model_dump_json().encode()),
        "report": None,
        "began_at": moment(connection),
        "ended_at": None,
        "ended_by": "",
    }
    if not insert_once(connection, cuttings, row):
        take_over(connection, job.cut_id, owner, job.body_hash)


def take_over(
    connection: Connection, cut_id: str, owner: str, body_hash: str = "", *, again: bool = False
) -> None:
    """Make an execution the one that runs a cut; one that has ended is opened for another run where that is wanted.

    Raises:
        KeyReused: Its key belongs to a cut with another body.
    """
    known = connection.execute(
        select(cuttings.c.body_hash, cuttings.c.state).where(cuttings.c.id == cut_id).with_for_update()
    ).one()
    if body_hash and known.body_hash != body_hash:
        raise KeyReused(
            f"the idempotency key of cut {cut_id!r} already belongs to one with another body: use a new key for a new cut",
            job_id=cut_id,
        )
    opened = again and known.state in {CutState.FAILED, CutState.CANCELLED}
    state = CutState.RUNNING if opened else known.state
    connection.execute(update(cuttings).where(cuttings.c.id == cut_id).values(owner=owner, state=state))


def find(connection: Connection, cut_id: str) -> Held | None:
    """A cut; None where there is no such one."""
    row = connection.execute(select(cuttings).where(cuttings.c.id == cut_id)).mappings().one_or_none()
    if row is None:
        return None
    report = None if row["report"] is None else CutReport.read(zlib.decompress(row["report"]))
    return Held(
        CutPlan.read(zlib.decompress(row["plan"])), CutState(row["state"]), report, utc(row["began_at"])
    )


def runs(connection: Connection, cut_id: str, owner: str) -> bool:
    """Whether this execution may start jobs of a cut: it runs it, and nobody has called it off."""
    row = connection.execute(
        select(cuttings.c.owner, cuttings.c.state).where(cuttings.c.id == cut_id)
    ).one_or_none()
    return row is not None and (row.owner, row.state) == (owner, CutState.RUNNING)


def call_off(connection: Connection, cut_id: str, owner: str) -> None:
    """Have nobody start another job of a cut for this execution."""
    connection.execute(
        update(cuttings)
        .where(cuttings.c.id == cut_id, cuttings.c.owner == owner, cuttings.c.state == CutState.RUNNING)
        .values(state=CutState.CANCELLED)
    )


def end(connection: Connection, report: CutReport, owner: str) -> CutReport:
    """Keep a report; the first one of an execution stands and is given back."""
    row = (
        connection.execute(select(cuttings).where(cuttings.c.id == report.id).with_for_update())
        .mappings()
        .one()
    )
    if row["ended_by"] == owner and row["report"] is not None:
        return CutReport.read(zlib.decompress(row["report"]))
    connection.execute(
        update(cuttings)
        .where(cuttings.c.id == report.id)
        .values(
            state=report.state,
            report=zlib.compress(report.model_dump_json().encode()),
            ended_at=report.ended,
            ended_by=owner,
        )
    )
    return report
