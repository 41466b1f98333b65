"""Health of backends: every call to a place is counted, a place that is out of order is left alone, and probed for free.

A call that goes well is counted in memory and written some seconds later, many together, so that it costs a job
nothing; a kill loses these counts and nothing else. A fault is written at once, for all workers.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from sqlalchemy import Connection
from temporalio.common import MetricMeter

from activities.boundary import note_fault
from activities.health_probes import HealthProbes, kept, on_its_own
from backends.registry import Registry
from fallback.breaker import BreakerRules, after_fault, after_success, is_bounded, is_fault
from fallback.health import Health, check_health, health_of
from qurable.contracts.health import BackendHealth, Breaker, BreakerState
from qurable.errors import HybridError, RetriesExhausted
from store import health
from store.database import Database
from store.health import Calls, Look, Retries, Window

T = TypeVar("T")

_FLUSH_SECONDS = 10.0
_FRESH_SECONDS = 1.0
"""So old may be what a route is planned on: jobs that come in a row share a look."""

_DESCRIBE = "describe"
_NUMBERS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

_log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """Calls that are not written yet."""

    count: int = 0
    seconds: float = 0.0


class HealthWatch:
    """Watches the health of all backends; one for each worker process.

    Args:
        database: Shared by all workers.
        registry: Whom to probe.
        rules: From where on a backend is left alone, and how often what failed is tried again.
        meter: For metrics of this process.
    """

    def __init__(
        self, database: Database, registry: Registry, rules: BreakerRules, meter: MetricMeter
    ) -> None:
        self._database = database
        self._registry = registry
        self._rules = rules
        self._known: dict[str, Health] = {}
        self._looked = float("-inf")
        self._tallies: dict[tuple[str, str, str], _Tally] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._probes = HealthProbes(database, registry, rules, meter, self._changed)
        self._breakers = meter.create_gauge(
            "qurable_backend_breaker", "0 closed, 1 half open, 2 open: no job is sent there"
        )
        self._rates = meter.create_gauge_float(
            "qurable_backend_error_rate", "share of a backend's latest calls that ended in its fault"
        )
        self._faults = meter.create_counter(
            "qurable_backend_faults", "calls that ended in a backend's fault, by its code"
        )

    async def __aenter__(self) -> Self:
        await self.look()
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is not written is, and probes are left to others: one under way is taken for lost in time."""
        await self._probes.stop()
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])
        await self._flush()

    # Reading

    async def look(self) -> Mapping[str, Health]:
        """What planners are told of every backend, as of just now, or of when the store last answered."""
        if time.monotonic() - self._looked > _FRESH_SECONDS:
            await self.backends()
        return self._known

    async def backends(self) -> Mapping[str, BackendHealth]:
        """All that is known of every backend that was ever called, in one look; nothing where the store does not answer."""
        seen = await kept(self._database.read(health.look, self._rules.window))
        if seen is None:
            return {}
        self._see(seen)
        return seen.backends

    def _see(self, seen: Look) -> None:
        self._looked = time.monotonic()
        self._known = {name: health_of(known) for name, known in seen.backends.items()}
        for name, known in seen.backends.items():
            self._rates.set(known.error_rate, {"backend": name})
            self._show(name, known.breaker)
            if known.breaker.until is not None:
                self._probes.set_alarm(name, (known.breaker.until - seen.at).total_seconds())

    def _show(self, name: str, breaker: Breaker) -> None:
        self._breakers.set(_NUMBERS[breaker.state], {"backend": name})

    async def _changed(self, name: str, breaker: Breaker) -> None:
        """It was time for a probe, of this worker or another."""
        self._show(name, breaker)
        await self.backends()

    def check(self, name: str) -> None:
        """Whether a place may be asked, as of the last look.

        Raises:
            BreakerOpen: Not now.
        """
        check_health(name, self._known.get(name))

    def leaves_alone(self, name: str) -> bool:
        """Whether a place is not asked for now, as of the last look."""
        known = self._known.get(name)
        return known is not None and known.open

    # Counting

    async def described(self, name: str, describing: Coroutine[Any, Any, T]) -> T:
        """What a place says of itself, unless it is left alone; how it went is counted.

        Raises:
            BreakerOpen: It is not asked for now.
            HybridError: Its own.
        """
        try:
            self.check(name)
        except HybridError:
            describing.close()
            raise
        began = time.monotonic()
        try:
            found = await describing
        except HybridError as error:
            await self.went_wrong(name, _DESCRIBE, time.monotonic() - began, error)
            note_fault(name, error)
            raise
        self.went_well(name, _DESCRIBE, time.monotonic() - began)
        return found

    def went_well(self, name: str, asked: str, seconds: float) -> None:
        """A call to a place went well."""
        self._count(name, asked, "", seconds)

    async def went_wrong(self, name: str, asked: str, seconds: float, error: HybridError) -> None:
        """A call to a place failed; whether that is the place's fault is the error's to say."""
        if not is_fault(error):
            return
        self._faults.add(1, {"backend": name, "code": error.code})
        if self.leaves_alone(name):  # it can only be closed by a probe, and there may be many who fail
            self._count(name, asked, error.code, seconds)
            return
        before = self._taken(name)
        calls = [*before, Calls(asked, error.code, 1, seconds)]

        def decide(breaker: Breaker, at: datetime, window: Window) -> Breaker:
            well = after_success(breaker) if any(not entry.code for entry in before) else breaker
            return after_fault(
                well,
                self._rules,
                at=at,
                began=at - timedelta(seconds=seconds),
                reason=error.message,
                calls=window.calls,
                faults=window.faults,
            )

        breaker = await kept(self._database.write(health.note, name, calls, self._rules.window, decide))
        if breaker is not None and breaker.state is not BreakerState.CLOSED:
            _log.warning("backend %s is left alone until %s: %s", name, breaker.until, breaker.reason)
            await self.backends()

    def _count(self, name: str, asked: str, code: str, seconds: float) -> None:
        tally = self._tallies.setdefault((name, asked, code), _Tally())
        tally.count += 1
        tally.seconds += seconds
        if self._flushing is None or self._flushing.done():
            self._flushing = on_its_own(self._flush_later())

    def _taken(self, name: str) -> list[Calls]:
        """The calls to a place that are not written yet; whoever takes them writes them."""
        keys = [key for key in self._tallies if key[0] == name]
        tallies = [(key, self._tallies.pop(key)) for key in keys]
        return [Calls(asked, code, tally.count, tally.seconds) for (_, asked, code), tally in tallies]

    async def _flush_later(self) -> None:
        await asyncio.sleep(_FLUSH_SECONDS)
        await self._flush()

    async def _flush(self) -> None:
        for name in sorted({key[0] for key in self._tallies}):
            calls = self._taken(name)

            def decide(
                breaker: Breaker, _at: datetime, _window: Window, calls: list[Calls] = calls
            ) -> Breaker:
                return after_success(breaker) if any(not entry.code for entry in calls) else breaker

            await kept(self._database.write(health.note, name, calls, self._rules.window, decide))

    # Trying again

    async def bounded(self, name: str, job_id: str, error: HybridError) -> HybridError:
        """The error, or one that is not tried again, where the backend's or the job's retries are used up."""
        if not is_bounded(error):
            return error
        retries = await kept(self._database.write(health.count_retry, name, job_id))
        return error if retries is None else self._within(retries, name, error)

    def count_change(
        self, connection: Connection, name: str, job_id: str, error: HybridError, *, asked: bool
    ) -> None:
        """Count that something else is tried after an error, in the transaction that writes down what.

        Args:
            connection: Of that transaction.
            name: Of the backend.
            job_id: Of the job.
            error: Its error.
            asked: Whether the backend is asked again; what is only compiled anew uses up none of its retries.

        Raises:
            RetriesExhausted: The backend's or the job's retries are used up.
        """
        retries = (
            health.count_retry(connection, name, job_id)
            if asked
            else Retries(0, health.count_retry_of_job(connection, job_id))
        )
        bounded = self._within(retries, name, error)
        if bounded is not error:
            raise bounded

    def _within(self, retries: Retries, name: str, error: HybridError) -> HybridError:
        per_hour, per_job = self._rules.retries_per_hour, self._rules.retries_per_job
        if retries.backend > per_hour:
            return RetriesExhausted(
                f"backend {name!r} failed, and the {per_hour} retries that it has in an hour for all jobs are used up: choose "
                f"another backend, wait, or allow more with breaker.retries_per_hour; it failed with: {error.message}",
                limit=per_hour,
            )
        if retries.job > per_job:
            return RetriesExhausted(
                f"backend {name!r} failed, and the {per_job} retries that a job has are used up: choose another backend, or "
                f"allow more with breaker.retries_per_job; it failed with: {error.message}",
                limit=per_job,
            )
        return error
