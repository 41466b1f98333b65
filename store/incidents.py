"""Jobs at a provider that nobody wanted: what they were, and what they cost."""

from sqlalchemy import Connection, RowMapping, select, update

from qurable.contracts.executions import Incident, Phase
from store import reservations
from store.database import insert_once, utc
from store.schema import incidents, provider_jobs


def report(connection: Connection, incident: Incident) -> Incident | None:
    """Keep an incident and book its bill; gives back what stands now, None where nothing of it is news.

    The latest word on the same job stands, but for when it was found and for a bill that is final.
    """
    if insert_once(connection, incidents, incident.model_dump()):
        reservations.charge(connection, incident)
        return incident
    same = (incidents.c.backend == incident.backend) & (incidents.c.id == incident.id)
    known = _incident(connection.execute(select(incidents).where(same).with_for_update()).mappings().one())
    news = incident.model_copy(update={"found_at": known.found_at})
    if news == known or (known.usage_complete and not news.usage_complete):
        return None
    connection.execute(update(incidents).where(same).values(**news.model_dump()))
    reservations.charge(connection, news)
    return news


def of_job(connection: Connection, job_id: str) -> tuple[Incident, ...]:
    """Incidents of a job's submissions, oldest first."""
    query = (
        select(incidents)
        .join(provider_jobs, provider_jobs.c.tag == incidents.c.tag)
        .where(provider_jobs.c.job_id == job_id)
        .order_by(incidents.c.found_at, incidents.c.id)
    )
    return tuple(map(_incident, connection.execute(query).mappings()))


def unsettled(connection: Connection) -> tuple[Incident, ...]:
    """Incidents whose bill is not final, oldest first; a job that the provider lost has none."""
    query = (
        select(incidents)
        .where(incidents.c.usage_complete.is_(False), incidents.c.final != Phase.LOST)
        .order_by(incidents.c.found_at, incidents.c.id)
    )
    return tuple(map(_incident, connection.execute(query).mappings()))


def _incident(row: RowMapping) -> Incident:
    return Incident(**{**row, "found_at": utc(row["found_at"])})
