"""Makes a month's weather at the emulator as its clock comes to it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from emulator.rehearsal_house import TAG_LAG_SECONDS, USUAL_TAG_LAG_SECONDS, Control
from emulator.rehearsal_month import Moment, Month, Profile

_WEEK, _DAY = 7 * 86400.0, 86400.0


class Sky:
    """The clock, and what changes with it. The clock never goes past a change that was not made.

    Args:
        control: Of the emulator.
        month: The weather.
        profile: What the month was drawn from, for the faults of single requests.
        seed: Of those faults.
    """

    def __init__(self, control: Control, month: Month, profile: Profile, seed: int) -> None:
        self._control = control
        self._month = month
        self._profile = profile
        self._seed = seed
        self._begins = 0.0
        self._coming: list[tuple[float, str, dict[str, Any]]] = []

    def begin(self, now: float) -> None:
        """Have the month begin with the Monday after a time of the emulator's clock."""
        self._begins = now + _until_monday(now)
        self._coming = sorted(self._changes(), key=lambda change: change[:2])

    def is_out(self, now: float) -> bool:
        """Whether the whole service is down at a time of the emulator's clock."""
        return any(window.begins <= now - self._begins < window.ends for window in self._month.outages)

    def _changes(self) -> Iterator[tuple[float, str, dict[str, Any]]]:
        for window in self._month.maintenance:
            until = _text(self._begins + window.ends)
            change = {"status": "maintenance", "reason": "maintenance", "until": until}
            yield self._begins + window.begins, window.device, change
        for at, device in self._month.calibrations:
            yield self._begins + at, device, {"calibrate_at": _text(self._begins + at)}

    async def make(self, moment: Moment, number: int, state: dict[str, Any]) -> None:
        """Have the moment's queues, its index of tags and its faults."""
        each = state["settings"]["seconds_per_queued_job"]
        for device, seconds in moment.queue_seconds.items():
            await self._control.device(device, queue_length=round(seconds / each))
        lag = moment.tag_lag_seconds * TAG_LAG_SECONDS / USUAL_TAG_LAG_SECONDS
        await self._control.settings(tag_lag_seconds=lag)
        await self._control.replace_faults([*self._outages(), *self._faults(number)])

    def _outages(self) -> Iterator[dict[str, Any]]:
        for window in self._month.outages:
            begins, ends = (_text(self._begins + at) for at in (window.begins, window.ends))
            yield {"mode": "outage", "begins": begins, "ends": ends}

    def _faults(self, number: int) -> Iterator[dict[str, Any]]:
        """Of single requests; which of them are struck depends on how many there are."""
        kinds: tuple[tuple[float, dict[str, Any]], ...] = (
            (self._profile.server_errors, {"mode": "status", "status": 500}),
            (
                self._profile.rate_limits,
                {"mode": "status", "status": 429, "code": 1429, "headers": {"Retry-After": "1"}},
            ),
            (self._profile.dropped_before, {"mode": "drop"}),
            (self._profile.dropped_after, {"mode": "drop", "after": True}),
        )
        for kind, (probability, fault) in enumerate(kinds):
            if probability:
                seed = (self._seed * 1_000 + number) * len(kinds) + kind
                yield {**fault, "probability": probability, "seed": seed, "times": None}

    async def put_to(self, at: float) -> dict[str, Any]:
        """Have the clock show a time of the month, in seconds, or later where it does already; gives back the state then."""
        state = await self._control.state()
        while (left := self._begins + at - now_of(state)) > 0:
            await self.put_forward(now_of(state), left)
            state = await self._control.state()
        await self._change(now_of(state))
        return await self._control.state()

    async def put_forward(self, now: float, seconds: float) -> None:
        """Put the clock forward, but not past a change of the weather, which is made."""
        await self._change(now)
        if self._coming:
            seconds = min(seconds, self._coming[0][0] - now)
        await self._change(await self._control.advance(max(0.0, seconds)))

    async def _change(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            _, device, change = self._coming.pop(0)
            await self._control.device(device, **change)


def now_of(state: dict[str, Any]) -> float:
    """What the clock shows in a state of the emulator, in seconds since 1970."""
    return datetime.fromisoformat(state["clock"]["now"]).timestamp()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _until_monday(now: float) -> float:
    """Seconds until the next Monday, 00:00 UTC; 1 January 1970 was a Thursday."""
    return _WEEK - (now + 3 * _DAY) % _WEEK
