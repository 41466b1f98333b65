"""Circuits that projects have sent to places that cost money."""

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from store.clock import moment
from store.database import insert_all
from store.schema import paid_circuits


def note(connection: Connection, project: str, circuits: Collection[str], job_id: str) -> None:
    """Write down that a job has sent circuits, by their canonical hashes; the first that did stands."""
    at = moment(connection)
    rows = [{"project": project, "circuit": circuit, "job_id": job_id, "at": at} for circuit in set(circuits)]
    insert_all(connection, paid_circuits, rows)


def some_new(connection: Connection, project: str, circuits: Collection[str], job_id: str) -> bool:
    """Whether another job of the project has yet to send one of these circuits.

    What the job itself has sent does not count: planned again, it is asked about as it was.
    """
    sent = select(func.count()).where(
        paid_circuits.c.project == project,
        paid_circuits.c.circuit.in_(set(circuits)),
        paid_circuits.c.job_id != job_id,
    )
    known: int = connection.execute(sent).scalar_one()
    return known < len(set(circuits))
