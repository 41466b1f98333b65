"""What happens by itself: jobs start and end, sessions go idle, expire and close, devices come back.

Nothing ticks. Whoever asks first lets all that is due happen, in the order of its times, so that an emulator that
nobody asks costs nothing and a clock that is put forward by a day makes the same day.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from emulator.devices import Device, Devices
from emulator.jobs import RUNNING, Job, Session
from emulator.settings import Settings


@dataclass(frozen=True)
class Event:
    """Something that is due.

    Attributes:
        at: When.
        order: Among events of one time: ends first, then sessions, then starts.
        happen: Makes it happen.
    """

    at: float
    order: int
    happen: Callable[[], None]


class Timeline:
    """Jobs and sessions of all devices. A device runs one job at a time, in the order of acceptance.

    Args:
        devices: On offer.
        settings: Those of now.
        jobs: That there are, in order.
        sessions: That there are.
    """

    def __init__(
        self,
        devices: Devices,
        settings: Callable[[], Settings],
        jobs: Iterable[Job],
        sessions: Iterable[Session],
    ) -> None:
        self._devices = devices
        self._settings = settings
        self._open: dict[str, list[Job]] = {}
        self._sessions: dict[str, list[Session]] = {}
        self._free: dict[str, float] = {}
        self.changed_jobs: dict[str, Job] = {}
        self.changed_sessions: dict[str, Session] = {}
        self.changed_devices = False
        for job in jobs:
            self.add(job)
            if job.finished is not None:
                self._free[job.backend] = max(self._free.get(job.backend, 0.0), job.finished)
        for session in sessions:
            self.open_session(session)

    def add(self, job: Job) -> None:
        """A job was accepted."""
        if not job.final:
            self._open.setdefault(job.backend, []).append(job)

    def open_session(self, session: Session) -> None:
        """A session was opened."""
        if session.closed is None:
            self._sessions.setdefault(session.backend, []).append(session)

    def queued(self, backend: str) -> list[Job]:
        """Jobs of ours that wait for a device, in order."""
        return [job for job in self._open.get(backend, ()) if job.started is None]

    def last_in_line(self, backend: str) -> float:
        """When the last of the waiting jobs may start at the earliest; whoever comes later does not overtake it."""
        return max((job.earliest for job in self.queued(backend)), default=0.0)

    def running(self, backend: str) -> Job | None:
        """The job that a device runs."""
        return next((job for job in self._open.get(backend, ()) if job.started is not None), None)

    def advance(self, now: float) -> None:
        """Let happen what is due."""
        for device in self._devices:
            if (
                device.until is None
                and not self._open.get(device.name)
                and not self._sessions.get(device.name)
            ):
                continue
            while (event := min(self._due(device, now), key=_sooner, default=None)) is not None:
                event.happen()

    def end(self, job: Job, at: float) -> None:
        """A job has come to its end: the device is free, its session may go idle."""
        self.changed_jobs[job.id] = job
        self._open[job.backend].remove(job)
        if job.started is not None:
            self._free[job.backend] = max(self._free.get(job.backend, 0.0), at)
            session = self._session_of(job)
            if session is not None:
                session.last_finished = at
                self.changed_sessions[session.id] = session

    def cancel_jobs_of(self, session: Session, at: float) -> list[Job]:
        """Cancel a session's jobs; gives back which."""
        cancelled = self._jobs_of(session)
        for job in cancelled:
            job.cancel(at, f"Session {session.id} was closed")
            self.end(job, at)
        return cancelled

    def _due(self, device: Device, now: float) -> Iterator[Event]:
        return (event for event in self._coming(device) if event.at <= now)

    def _coming(self, device: Device) -> Iterator[Event]:
        if device.until is not None:
            yield Event(device.until, 0, partial(self._come_back, device, device.until))
        running = self.running(device.name)
        if running is not None and (ends := running.ends) is not None and running.status == RUNNING:
            yield Event(ends, 1, partial(self._end_by_itself, running, ends))
        for session in list(self._sessions.get(device.name, ())):
            yield from self._coming_of(session)
        if running is None and device.runs_jobs and not self._settings().hold:
            job, when = self._next(device)
            if job is not None:
                yield Event(when, 4, partial(self._start, job, when))

    def _coming_of(self, session: Session) -> Iterator[Event]:
        pending = self._jobs_of(session)
        if session.expires is not None and session.accepting:
            yield Event(session.expires, 3, partial(self._expire, session, session.expires))
        if pending:
            return
        if session.closing is not None:
            drained = max(session.closing, session.last_finished or 0.0)
            yield Event(drained, 2, partial(self._close, session, drained))
        elif session.state == "active":
            idle = (session.last_finished or session.created) + session.interactive_ttl
            yield Event(idle, 2, partial(self._become, session, "inactive", idle))

    def _next(self, device: Device) -> tuple[Job | None, float]:
        """Who starts next, and when; jobs of the active session go first and skip other people's queue."""
        active = next((one for one in self._sessions.get(device.name, ()) if one.state == "active"), None)
        chosen: tuple[float, bool, int] | None = None
        job: Job | None = None
        for waiting in self._open.get(device.name, ()):
            inside = active is not None and waiting.session_id == active.id
            if active is not None and active.dedicated and not inside:
                continue  # the device is the session's own
            when = max(
                waiting.accepted if inside else waiting.earliest,
                self._free.get(device.name, 0.0),
                device.since,
            )
            if chosen is None or (when, not inside, waiting.number) < chosen:
                job, chosen = waiting, (when, not inside, waiting.number)
        return job, 0.0 if chosen is None else chosen[0]

    def _start(self, job: Job, at: float) -> None:
        job.start(at, self._settings().prepare_seconds)
        self.changed_jobs[job.id] = job
        session = self._session_of(job)
        if session is not None:
            session.last_started = at
            if session.state != "active":
                self._become(session, "active", at)
            self.changed_sessions[session.id] = session

    def _end_by_itself(self, job: Job, at: float) -> None:
        job.end(at)
        self.end(job, at)

    def _come_back(self, device: Device, at: float) -> None:
        device.come_back(at)
        self.changed_devices = True

    def _expire(self, session: Session, at: float) -> None:
        session.stop_accepting(at)
        self.changed_sessions[session.id] = session
        for job in self._jobs_of(session):
            if job.started is None:
                job.fail(at, f"Session {session.id} has lived its {session.max_ttl:g} s")
                self.end(job, at)

    def _become(self, session: Session, state: str, at: float) -> None:
        session.become(state, at)
        self.changed_sessions[session.id] = session
        if session.dedicated and state != "active":  # the device was its own until now
            self._free[session.backend] = max(self._free.get(session.backend, 0.0), at)

    def _close(self, session: Session, at: float) -> None:
        self._become(session, "closed", at)
        self._sessions[session.backend].remove(session)

    def _jobs_of(self, session: Session) -> list[Job]:
        return [job for job in self._open.get(session.backend, ()) if job.session_id == session.id]

    def _session_of(self, job: Job) -> Session | None:
        sessions = self._sessions.get(job.backend, ())
        return next((session for session in sessions if session.id == job.session_id), None)


def _sooner(event: Event) -> tuple[float, int]:
    return (event.at, event.order)
