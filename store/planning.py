"""What the store knows that a route is planned on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from qurable.contracts.budgets import Standing
from qurable.contracts.rollout import RolloutEntry
from store import groups, paid_circuits, rollout, shadows, standings


@dataclass(frozen=True)
class Known:
    """All of one moment.

    Attributes:
        rules: Of rollout, those that stand.
        room: What is left of every budget that bounds the job.
        is_new: Whether another job of the project has yet to send one of the circuits to a place that costs money.
        is_shadow: Whether the job is the shadow of another.
        is_group: Whether it runs for several jobs, each of which was planned by itself before.
    """

    rules: Sequence[RolloutEntry]
    room: Sequence[Standing]
    is_new: bool
    is_shadow: bool
    is_group: bool


def look(connection: Connection, job_id: str, user: str, project: str, circuits: Collection[str]) -> Known:
    """Look once, in one transaction.

    Args:
        connection: As everywhere.
        job_id: Of the job.
        user: Of the job; empty where none was named.
        project: Of the job.
        circuits: Canonical hashes of those that may be new; none where nobody wants to know.
    """
    return Known(
        rules=rollout.standing(connection),
        room=standings.room(connection, job_id, user, project),
        is_new=bool(circuits) and paid_circuits.some_new(connection, project, circuits, job_id),
        is_shadow=bool(shadows.answered_for(connection, job_id)),
        is_group=groups.find(connection, job_id) is not None,
    )
