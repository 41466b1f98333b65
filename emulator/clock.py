"""The emulator's clock: real time plus an offset, at a speed that may be set. All times it reports are of this clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from emulator.answers import Refusal

MAX_SPEED = 1_000_000.0


@dataclass(frozen=True)
class Setting:
    """How the clock was last set; it goes on from there, also while nobody runs it.

    Attributes:
        real: Real time at which it was set, in seconds since 1970, UTC.
        shown: What it showed then, in the same unit.
        speed: Its seconds per real second.
    """

    real: float
    shown: float
    speed: float


class Clock:
    """Shows seconds since 1970, UTC.

    Args:
        setting: How it was last set; None for real time.
        real: Real time.
    """

    def __init__(self, setting: Setting | None = None, real: Callable[[], float] = time.time) -> None:
        self._real = real
        now = real()
        self.setting = setting or Setting(now, now, 1.0)

    @property
    def speed(self) -> float:
        """Its seconds per real second."""
        return self.setting.speed

    def now(self) -> float:
        """What it shows, in whole microseconds, so that a time that was read as text is the same time."""
        return round(self.setting.shown + (self._real() - self.setting.real) * self.setting.speed, 6)

    def advance(self, seconds: float) -> None:
        """Put it forward.

        Raises:
            Refusal: That would put it back; jobs that have ended cannot begin again.
        """
        if not 0 <= seconds <= 10 * 366 * 86400:
            raise Refusal(
                400, 1200, f"advance_seconds={seconds!r} must lie between 0 and ten years: time goes on"
            )
        self._set(self.now() + seconds, self.speed)

    def put_to(self, shown: float) -> None:
        """Have it show a time from now on.

        Raises:
            Refusal: That time has passed.
        """
        self.advance(shown - self.now())

    def run_at(self, speed: float) -> None:
        """Set its seconds per real second, at least 0 and at most a million.

        Raises:
            Refusal: No such speed.
        """
        if not 0 <= speed <= MAX_SPEED:
            raise Refusal(400, 1200, f"speed={speed!r} must lie between 0 and {MAX_SPEED:,.0f}")
        self._set(self.now(), speed)

    def _set(self, shown: float, speed: float) -> None:
        self.setting = Setting(self._real(), shown, speed)


def as_text(seconds: float | None) -> str | None:
    """A time as IBM's API writes it: ISO 8601, UTC, microseconds; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: object) -> float:
    """Seconds since 1970 of a time in ISO 8601; UTC where it names no zone.

    Raises:
        Refusal: It is none.
    """
    try:
        moment = datetime.fromisoformat(str(text).replace(" ", "+"))  # an unescaped + of a query
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(400, 1200, f"{text!r} is no time: write it as 2026-03-01T12:00:00Z") from None
