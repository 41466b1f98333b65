"""Probes of places that are left alone: one at a time among all workers, and none that costs anything."""

import asyncio
import contextvars
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from temporalio.common import MetricMeter

from backends.registry import Registry
from fallback.breaker import PROBE_SECONDS, BreakerRules, after_probe, claimed, is_fault
from qurable.contracts.health import Breaker, BreakerState
from qurable.errors import HybridError
from store import health
from store.database import Database

T = TypeVar("T")

Changed = Callable[[str, Breaker], Awaitable[None]]
"""Told of a backend's breaker when it was time for a probe."""

_STORE_SECONDS = 5.0
"""A store that does not take a line about health within this goes without; the job waits no longer for it."""

_AGAIN_SECONDS = 5.0
"""After which a store is asked again whose answer a probe needs."""

_SOONEST_SECONDS = 0.05
_ASKING_SECONDS = PROBE_SECONDS / 2

_log = logging.getLogger(__name__)


class HealthProbes:
    """Probes backends when their breakers say so.

    Args:
        database: Shared by all workers; whoever changes the breaker there first may probe.
        registry: Whom to probe.
        rules: How long a breaker stays open.
        meter: For metrics of this process.
        changed: Told what the breaker is after that.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        rules: BreakerRules,
        meter: MetricMeter,
        changed: Changed,
    ) -> None:
        self._database = database
        self._registry = registry
        self._rules = rules
        self._changed = changed
        self._alarms: dict[str, asyncio.Task[None]] = {}
        self._probes = meter.create_counter(
            "qurable_backend_probes", "free probes of backends that were left alone"
        )

    async def stop(self) -> None:
        """Leave it to others; a probe that is under way is taken for lost in time."""
        alarms = list(self._alarms.values())
        for alarm in alarms:
            alarm.cancel()
        await asyncio.gather(*alarms, return_exceptions=True)

    def set_alarm(self, name: str, seconds: float) -> None:
        """Have a breaker that is not closed probed in so many seconds, by whichever worker is first."""
        alarm = self._alarms.get(name)
        if alarm is None or alarm.done():
            self._alarms[name] = on_its_own(self._until_closed(name, seconds))

    async def _until_closed(self, name: str, seconds: float) -> None:
        breaker: Breaker | None = None
        while breaker is None or breaker.state is not BreakerState.CLOSED:
            await asyncio.sleep(max(seconds, _SOONEST_SECONDS))
            breaker, seconds = await self._probe_if_due(name)
            if breaker is not None:
                await self._changed(name, breaker)

    async def _probe_if_due(self, name: str) -> tuple[Breaker | None, float]:
        """The breaker afterwards, and in how long it is looked at again (s)."""
        mine = uuid.uuid4().hex
        breaker, seconds = await self._change(name, lambda known, at: claimed(known, at=at, probe=mine))
        if breaker is None or breaker.probe != mine:
            return breaker, seconds
        failure = await self._failure(name)
        breaker, seconds = await self._change(
            name, lambda known, at: after_probe(known, self._rules, at=at, probe=mine, failure=failure)
        )
        if breaker is not None:
            _log.warning("backend %s was probed and is %s: %s", name, breaker.state, failure or "it answers")
        return breaker, seconds

    async def _change(
        self, name: str, decide: Callable[[Breaker, datetime], Breaker]
    ) -> tuple[Breaker | None, float]:
        moments = []

        def decide_and_note(breaker: Breaker, at: datetime) -> Breaker:
            moments.append(at)
            return decide(breaker, at)

        breaker = await kept(self._database.write(health.change, name, decide_and_note))
        if breaker is None:
            return None, _AGAIN_SECONDS
        return breaker, 0.0 if breaker.until is None else (breaker.until - moments[-1]).total_seconds()

    async def _failure(self, name: str) -> str | None:
        """What is wrong with a place, None where it answers: asked is what it offers now, which costs nothing."""
        self._probes.add(1, {"backend": name})
        any_device = name == self._registry.any_device
        asking = self._registry.devices("") if any_device else self._registry.snapshot(name)
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                await asking
        except TimeoutError:
            return f"it did not say within {_ASKING_SECONDS:g} s what it offers"
        except HybridError as failure:
            return failure.message if is_fault(failure) else None
        except Exception as failure:  # noqa: BLE001  a defect must not end the probing
            _log.exception("backend %s could not be probed", name)
            return f"{type(failure).__name__}: {failure}"
        return None


async def kept(asking: Awaitable[T]) -> T | None:
    """What the store says; None where it does not, since no job fails for want of a line about health."""
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await asking
    except Exception as failure:  # noqa: BLE001  whatever it is, the job goes on
        _log.warning("the health of backends is not kept: %s", failure)
        return None


def on_its_own(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that belongs to no activity, whoever starts it."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())
