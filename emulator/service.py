"""The emulated service: everything there is, and what may be done with it. HTTP is elsewhere."""

import asyncio
import collections
import math
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Self

from emulator import billing
from emulator.answers import Refusal
from emulator.clock import Clock, Setting
from emulator.computing import Calibrated, Computing
from emulator.devices import Device, Devices
from emulator.jobs import Job, Session
from emulator.ledger import Ledger
from emulator.settings import Settings
from emulator.submission import Submission
from emulator.timeline import Timeline
from emulator.tokens import Tokens
from emulator.weather import Weather
from qurable.errors import ChildCrashed, HybridError

_LETTERS = "0123456789abcdefghijklmnopqrstuv"
_MINUTE = 60.0


class Service:
    """One emulator on one folder.

    Args:
        folder: Where jobs are kept.
        speed: Of the clock, where it was never set.

    Raises:
        RequestRejected: Another emulator has the folder.
    """

    def __init__(self, folder: Path, speed: float | None = None) -> None:
        self.ledger = Ledger(folder)
        kept = self.ledger.read()
        there = kept.documents
        self.clock = Clock(Setting(**there["clock"]) if "clock" in there else None)
        if speed is not None:
            self.clock.run_at(speed)
        self.settings = Settings.model_validate(there.get("settings", {}))
        self.devices = Devices(there.get("devices", {}))
        self.tokens = Tokens(there.get("tokens", {}))
        self.weather = Weather(self.clock.now)
        self.jobs = {job.id: job for job in kept.jobs}
        self.sessions = {session.id: session for session in kept.sessions}
        self.timeline = Timeline(self.devices, lambda: self.settings, kept.jobs, kept.sessions)
        self._number = max((job.number for job in kept.jobs), default=0)
        self._computing = Computing(self._material, self._computed, _cores_to_spare())
        self._writing = asyncio.Lock()
        self._submitted: dict[str, collections.deque[float]] = {}
        for job in kept.jobs:
            self._submitted.setdefault(job.user, collections.deque()).append(job.accepted)

    async def __aenter__(self) -> Self:
        """Go on where it was left: jobs without a result are computed."""
        await self._computing.__aenter__()
        await self.keep_settings()
        for job in self.jobs.values():
            if not job.final and job.computed is None:
                self._computing.take(job)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.weather.clear()
        await self._computing.__aexit__(*exception)
        await self.settle()
        await self.ledger.close()

    async def settle(self) -> float:
        """Let happen what is due, and have it on disk; gives back the time."""
        now = self.clock.now()
        self.timeline.advance(now)
        async with self._writing:  # nobody answers what another is still writing
            jobs, sessions = self.timeline.changed_jobs, self.timeline.changed_sessions
            devices = {"devices": self.devices.kept()} if self.timeline.changed_devices else {}
            if jobs or sessions or devices:
                self.timeline.changed_jobs, self.timeline.changed_sessions = {}, {}
                self.timeline.changed_devices = False
                living = [job for job in jobs.values() if job.id in self.jobs]
                await self.ledger.save(living, sessions.values(), devices)
        return now

    async def keep_settings(self) -> None:
        """Have clock, settings, devices and tokens on disk."""
        await self.ledger.save(
            (),
            (),
            {
                "clock": asdict(self.clock.setting),
                "settings": self.settings.model_dump(),
                "devices": self.devices.kept(),
                "tokens": self.tokens.kept(),
            },
        )

    async def accept(
        self, submission: Submission, user: str, instance: str, wanted: Callable[[], Awaitable[bool]]
    ) -> Job:
        """Take a job; it is durable when this returns.

        Args:
            submission: What was sent.
            user: Of the token.
            instance: That pays.
            wanted: Whether whoever sent it still waits once its circuits are read: that may take long on a machine that
                is busy, and requests are held up by faults alone.

        Raises:
            Refusal: The limits, the device, the session or the circuits forbid it.
        """
        now = await self.settle()
        self._admit_rate(user, now)
        device = self.devices[submission.backend]
        device.check_taking_jobs()
        calibrated = device.calibrated_as(submission.calibration_id, now)
        self._check_usage(instance, now)
        self._check_session(submission, instance)
        try:
            estimate = await self._computing.price(
                submission.program, submission.params, self._as_calibrated(device, calibrated)
            )
        except ChildCrashed as error:
            raise Refusal(503, 1000, f"The job could not be read just now: {error.message}") from None
        except HybridError as error:
            raise Refusal(400, 1211, f"The job cannot be read: {error.message}") from None
        if estimate.refusal is not None:
            raise Refusal(400, *estimate.refusal)
        if estimate.executions > self.settings.max_executions:
            raise Refusal(
                400,
                1210,
                f"{estimate.executions:,} executions are more than {self.settings.max_executions:,}: split the job",
            )
        if not await wanted():
            raise Refusal(400, 1211, "The connection broke while the job was read")
        now = await self.settle()  # to read it took time
        self._check_session(submission, instance)
        job = self._drawn(submission, user, instance, estimate.qpu_seconds, now)
        job.calibrated = calibrated
        others = now + device.queue_length * self.settings.seconds_per_queued_job
        job.earliest = max(others, self.timeline.last_in_line(device.name))
        await self.ledger.accept(job, submission.params)
        self.jobs[job.id] = job
        self.timeline.add(job)
        self._computing.take(job)
        return job

    async def cancel(self, job: Job) -> None:
        """Cancel a job.

        Raises:
            Refusal: It has ended.
        """
        now = await self.settle()
        if job.final:
            raise Refusal(409, 1302, f"Job {job.id} is already in its final state {job.status}")
        job.cancel(now)
        self.end(job, now)
        await self.settle()

    def end(self, job: Job, at: float) -> None:
        """A job has ended before its time; nobody computes it any more."""
        self.timeline.end(job, at)
        self._computing.drop(job)

    async def delete(self, job: Job) -> None:
        """Forget a job, whatever its state; what it has cost is forgotten too."""
        now = await self.settle()
        if not job.final:
            job.cancel(now)
            self.end(job, now)
        async with self._writing:
            del self.jobs[job.id]
            await self.ledger.forget(job.id)

    async def open_session(
        self, backend: str, mode: str, max_ttl: float, user: str, instance: str
    ) -> Session:
        """Open a session or a batch.

        Raises:
            Refusal: No such device, or it takes no jobs.
        """
        now = await self.settle()
        self.devices[backend].check_taking_jobs()
        session = Session(
            id=_new_id("s"),
            number=len(self.sessions) + 1,
            user=user,
            instance=instance,
            backend=backend,
            mode=mode,
            max_ttl=max_ttl,
            interactive_ttl=self.settings.session_interactive_ttl_seconds,
            created=now,
        )
        session.become("open", now)
        self.sessions[session.id] = session
        self.timeline.open_session(session)
        self.timeline.changed_sessions[session.id] = session
        await self.settle()
        return session

    async def close_session(self, session: Session, *, cancel: bool) -> None:
        """Take no more jobs; `cancel` its jobs too. It is closed when its last job has ended."""
        now = await self.settle()
        if session.closed is None:
            session.stop_accepting(now)
            self.timeline.changed_sessions[session.id] = session
            if cancel:
                for job in self.timeline.cancel_jobs_of(session, now):
                    self._computing.drop(job)
        await self.settle()

    def queue_everywhere(self, seconds: float) -> None:
        """Put other people's jobs before ours on every device, for so many seconds in all."""
        each = self.settings.seconds_per_queued_job or 1.0
        length = math.ceil(seconds / each)
        if length:
            self.settings = self.settings.changed({"seconds_per_queued_job": seconds / length})
        for device in self.devices:
            device.queue_length = length

    def hold_starts(self, now: float) -> None:
        """Whether jobs start has changed: none starts before now."""
        for device in self.devices:
            device.since = now

    def jobs_of(self, instance: str) -> Iterator[Job]:
        """An instance's jobs, in the order of acceptance."""
        return (job for job in self.jobs.values() if job.instance == instance)

    def consumed(self, instance: str, now: float) -> float:
        """Seconds that an instance was billed."""
        sessions = {key: one for key, one in self.sessions.items() if one.instance == instance}
        return billing.consumed(self.jobs_of(instance), sessions, now)

    def limit_reached(self, instance: str, now: float) -> bool:
        """Whether an instance has consumed what it may."""
        limit = self.settings.usage_limit_seconds
        return limit is not None and self.consumed(instance, now) >= limit

    async def _material(self, job: Job) -> tuple[str, Calibrated]:
        """What a job is computed from."""
        return await self.ledger.params(job.id), self._as_calibrated(
            self.devices[job.backend], job.calibrated
        )

    def _as_calibrated(self, device: Device, at: float) -> Calibrated:
        return Calibrated(device.name, device.properties(at) if device.recalibrated(at) else None)

    def _drawn(self, submission: Submission, user: str, instance: str, estimate: float, now: float) -> Job:
        """A job with what is drawn once: its id, its seed, and how its bill varies."""
        seed = secrets.randbelow(2**31)
        variation = self.settings.bill_variation
        factor = 1.0 + random.Random(seed).uniform(-variation, variation)  # noqa: S311  no secret
        self._number += 1
        return Job(
            id=_new_id("d"),
            number=self._number,
            user=user,
            instance=instance,
            backend=submission.backend,
            program=submission.program,
            params_bytes=len(submission.params),
            tags=submission.tags,
            private=submission.private,
            session_id=submission.session_id,
            cost=submission.cost,
            calibration_id=submission.calibration_id,
            accepted=now,
            tagged=now,
            earliest=now,
            calibrated=now,
            seed=seed,
            noise=self.settings.noise,
            estimate_seconds=estimate,
            qpu_seconds=estimate * factor * self.settings.run_factor,
        )

    def _admit_rate(self, user: str, now: float) -> None:
        limit = self.settings.submissions_per_minute
        if limit is None:
            return
        recent = self._submitted.setdefault(user, collections.deque())
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= limit:
            wait = (recent[0] + _MINUTE - now if recent else _MINUTE) / max(self.clock.speed, 1e-9)
            raise Refusal(
                429,
                1429,
                f"More than {limit} jobs a minute were submitted: wait",
                {"Retry-After": str(max(1, math.ceil(min(wait, 3600.0))))},
            )
        recent.append(now)

    def _check_usage(self, instance: str, now: float) -> None:
        if self.limit_reached(instance, now):
            raise Refusal(
                409,
                1212,
                f"The usage exceeds the instance limit of {self.settings.usage_limit_seconds:g} seconds",
            )

    def _check_session(self, submission: Submission, instance: str) -> None:
        if submission.session_id is None:
            return
        session = self.sessions.get(submission.session_id)
        if session is None or session.instance != instance:
            raise Refusal(404, 1600, f"Session {submission.session_id!r:.80} not found")
        if not session.accepting or session.closed is not None:
            raise Refusal(
                409, 1601, f"Session {session.id} takes no more jobs: it was closed, or has expired"
            )
        if session.backend != submission.backend:
            raise Refusal(
                400, 1602, f"Session {session.id} is on {session.backend!r}, not on {submission.backend!r}"
            )

    async def _computed(self, job: Job, body: str | None, failure: str | None) -> None:
        """A job's result is there, or why there is none."""
        if job.final or job.id not in self.jobs:  # cancelled, or deleted, meanwhile
            return
        if body is not None:
            await self.ledger.keep_result(job.id, body)
        if not job.final:
            job.computed, job.failure = self.clock.now(), failure
            self.timeline.changed_jobs[job.id] = job
            await self.settle()


def _cores_to_spare() -> int:
    """Cores that jobs may be computed on, beside one for whoever waits for them."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _new_id(first: str) -> str:
    return first + "".join(secrets.choice(_LETTERS) for _ in range(19))
