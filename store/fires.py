"""Jobs that schedules have started, and jobs that they start again: a fire's own jobs carry its marks as labels."""

import json
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, select

from qurable.contracts.fires import Fire
from qurable.contracts.jobs import job_id
from qurable.contracts.schedules import MAX_JOBS_OF_A_FIRE, QueryInput
from store.schema import jobs

SCHEDULE, MOMENT, PLACE = "schedule", "scheduled", "fire"
"""Labels of a job that a schedule started: its name, the moment, and `position/number` among the jobs of the fire."""

AGAIN = "again"
"""Label of a job that another one is run again as: the id of that."""

_TO_THE_SECOND = timedelta(seconds=1)
"""Moments have no fractions: what was accepted just before somebody fires by hand is there."""


@dataclass(frozen=True)
class Standing:
    """Jobs of a fire that are in the store, from when its moment was fired before.

    Attributes:
        requests: Artifact hash of each one's request, by its position from 1.
        number: How many the fire had; 0 where none is in the store.
    """

    requests: dict[int, str]
    number: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be made."""
        return 0 < self.number == len(self.requests)


def standing(connection: Connection, fire: Fire) -> Standing:
    """What is in the store of a fire."""
    positions = {
        job_id(fire.project, fire.key(position)): position for position in range(1, MAX_JOBS_OF_A_FIRE + 1)
    }
    rows = connection.execute(
        select(jobs.c.id, jobs.c.request, jobs.c.labels).where(jobs.c.id.in_(positions), jobs.c.request != "")
    ).all()
    places = [str(json.loads(row.labels).get(PLACE, "")).partition("/")[2] for row in rows]
    numbers = [int(number) for number in places if number.isdecimal()]  # somebody else may hold such a key
    return Standing({positions[row.id]: row.request for row in rows}, max(numbers, default=0))


def matching(connection: Connection, fire: Fire, query: QueryInput) -> list[tuple[str, str, dict[str, str]]]:
    """Jobs that a fire runs again, the newest first, but for those that were run again themselves: they would double.

    Returns:
        Of each its id, the artifact hash of its request, and its labels.
    """
    name, _, value = query.label.partition("=")
    ended = (
        select(jobs.c.id, jobs.c.request, jobs.c.labels)
        .where(
            jobs.c.project == fire.project,
            jobs.c.state.in_(list(query.states)),
            jobs.c.accepted_at >= fire.at - query.within,
            jobs.c.accepted_at < fire.at + _TO_THE_SECOND,
            jobs.c.request != "",
        )
        .order_by(jobs.c.accepted_at.desc(), jobs.c.id)
    )
    found = []
    for row in connection.execute(ended):
        labels: dict[str, str] = json.loads(row.labels)
        if AGAIN in labels or (query.label and labels.get(name) != value):
            continue
        found.append((row.id, row.request, labels))
        if len(found) == query.limit:
            break
    return found
