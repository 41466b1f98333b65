"""What jobs and sessions cost.

A job outside a dedicated session costs its seconds on the QPU, also where it was cancelled there or failed; a
dedicated session costs the seconds it was active, and its jobs cost nothing beside it; a batch costs what its jobs do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emulator.jobs import Job, Session


@dataclass(frozen=True)
class Paid:
    """What was paid.

    Attributes:
        qpu_seconds: Billed.
        price: In USD.
        jobs: How many were billed more than nothing.
    """

    qpu_seconds: float
    price: float
    jobs: int


def billed_seconds(job: Job, sessions: Mapping[str, Session], now: float) -> float:
    """Seconds that a job itself is billed."""
    session = sessions.get(job.session_id or "")
    return 0.0 if session is not None and session.dedicated else job.qpu_time(now)


def session_seconds(session: Session, jobs: Iterable[Job], now: float) -> float:
    """Usage of a session: its active time; of a batch: the QPU time of its jobs."""
    if session.dedicated:
        return session.active_time(now)
    return sum(job.qpu_time(now) for job in jobs if job.session_id == session.id)


def consumed(jobs: Iterable[Job], sessions: Mapping[str, Session], now: float) -> float:
    """Seconds that these jobs and sessions are billed together."""
    dedicated = sum(session.active_time(now) for session in sessions.values() if session.dedicated)
    return dedicated + sum(billed_seconds(job, sessions, now) for job in jobs)


def paid(jobs: Iterable[Job], sessions: Mapping[str, Session], price_per_second: float, now: float) -> Paid:
    """What was paid for all of them."""
    every = list(jobs)
    seconds = consumed(every, sessions, now)
    return Paid(
        seconds, seconds * price_per_second, sum(billed_seconds(job, sessions, now) > 0 for job in every)
    )
