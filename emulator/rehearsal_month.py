"""A month of weather: what is likely, as a profile, and what a seed makes of it. Pure; times are seconds of the month.

The month begins on a Monday at 00:00 UTC. The default profile is a guess and says so: no public figures give the
queues and faults of IBM's devices hour by hour. Whoever knows better writes a profile of their own.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qurable.contracts.base import explain
from qurable.errors import RequestRejected

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_LONGEST_QUEUE_SECONDS = 7 * _DAY

Share = Annotated[float, Field(ge=0, le=0.5)]
"""Of all requests; above one half the service is rather down."""

Factor = Annotated[float, Field(ge=0, le=100)]
"""Times the median queue."""


class Profile(BaseModel):
    """What a month is like.

    Attributes:
        days: Its length, from a Monday.
        queue_median_minutes: Of the wait behind other people's jobs.
        queue_spread: Standard deviation of that wait's natural logarithm.
        by_hour: Factor of the wait for each hour of the day, UTC.
        by_weekday: Factor of the wait for each day from Monday.
        maintenance_windows: Of each device, in the month. Jobs are taken and do not start.
        maintenance_hours: Shortest and longest window.
        outages: Of the whole service, in the month. Every request is answered 503.
        outage_minutes: Shortest and longest outage.
        calibration_hours: From one calibration of a device to the next; 0 for none.
        server_errors: Requests that are answered 500.
        rate_limits: Requests that are answered 429.
        dropped_before: Requests whose connection breaks before they are carried out.
        dropped_after: Requests that are carried out and whose answer is lost.
        tag_lag_seconds: Of the index of tags, as a rule.
        slow_tag_lag_seconds: Of the index of tags, where it is slow.
        slow_tag_share: How often it is slow.
        fleet: Devices to choose from where the job asks for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=28, ge=1, le=92)
    queue_median_minutes: float = Field(default=15.0, ge=0, le=10_000)
    queue_spread: float = Field(default=1.0, ge=0, le=3)
    by_hour: tuple[Factor, ...] = (
        *(0.6, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.2),
        *(1.3, 1.5, 1.7, 1.8, 1.8, 1.6, 1.4, 1.2, 1.0, 0.9, 0.8, 0.7),
    )
    by_weekday: tuple[Factor, ...] = (1.1, 1.2, 1.2, 1.2, 1.1, 0.6, 0.5)
    maintenance_windows: int = Field(default=1, ge=0, le=100)
    maintenance_hours: tuple[float, float] = (2.0, 8.0)
    outages: int = Field(default=2, ge=0, le=100)
    outage_minutes: tuple[float, float] = (5.0, 60.0)
    calibration_hours: float = Field(default=24.0, ge=0)
    server_errors: Share = 0.01
    rate_limits: Share = 0.005
    dropped_before: Share = 0.003
    dropped_after: Share = 0.003
    tag_lag_seconds: float = Field(default=1.0, ge=0, le=600)
    slow_tag_lag_seconds: float = Field(default=15.0, ge=0, le=600)
    slow_tag_share: float = Field(default=0.05, ge=0, le=1)
    fleet: tuple[str, ...] = Field(default=("ibm_brisbane", "ibm_torino", "ibm_fez"), min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, length in (("by_hour", 24), ("by_weekday", 7)):
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} has {len(getattr(self, name))} factors; give {length}")
        for name in ("maintenance_hours", "outage_minutes"):
            shortest, longest = getattr(self, name)
            if not 0 < shortest <= longest:
                raise ValueError(f"{name} ({shortest:g}, {longest:g}) must be the shortest, then the longest")
        if 0 < self.calibration_hours < 1:
            raise ValueError(
                f"calibration_hours={self.calibration_hours:g} must be 0 for none, or at least 1"
            )
        return self


def read_profile(file: Path | None) -> Profile:
    """The profile that a JSON file describes; the default one where there is no file.

    Raises:
        RequestRejected: It cannot be read, or a value cannot be; each is named.
    """
    if file is None:
        return Profile()
    try:
        return Profile.model_validate(json.loads(file.read_bytes()))
    except OSError as failure:
        raise RequestRejected(f"--weather {str(file)!r} cannot be read: {failure.strerror}") from None
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"the weather of {str(file)!r}")) from None
    except (ValueError, RecursionError) as failure:
        raise RequestRejected(f"--weather {str(file)!r} is no JSON: {failure}") from None


@dataclass(frozen=True)
class Window:
    """A span of the month.

    Attributes:
        begins: First second.
        ends: First second after it.
        device: That it is about; empty for the whole service.
    """

    begins: float
    ends: float
    device: str = ""


@dataclass(frozen=True)
class Moment:
    """When the job is run, and what it finds.

    Attributes:
        at: When.
        queue_seconds: By device, the wait behind other people's jobs.
        tag_lag_seconds: Of the index of tags.
    """

    at: float
    queue_seconds: dict[str, float]
    tag_lag_seconds: float


@dataclass(frozen=True)
class Month:
    """The weather of one month.

    Attributes:
        moments: When the job is run, in order.
        maintenance: Windows in which devices start no jobs, in order.
        outages: Windows in which nothing answers, in order.
        calibrations: When which device is calibrated, in order.
    """

    moments: tuple[Moment, ...]
    maintenance: tuple[Window, ...]
    outages: tuple[Window, ...]
    calibrations: tuple[tuple[float, str], ...]


def drawn(profile: Profile, seed: int, runs: int, devices: Sequence[str]) -> Month:
    """The month that a seed draws; the same one for the same profile, seed, runs and devices.

    Each part of the weather has a stream of its own, so that another outage leaves the queues as they are. Moments
    are spread over the month, one at random in each of `runs` equal parts.

    Args:
        profile: What a month is like.
        seed: Of all draws.
        runs: How often the job is run.
        devices: That it may run on.
    """
    length = profile.days * _DAY
    spread, lags = _stream(seed, "moments"), _stream(seed, "tags")
    queues = {device: _stream(seed, "queue", device) for device in devices}
    moments = []
    for number in range(runs):
        at = (number + spread.random()) * length / runs
        slow = lags.random() < profile.slow_tag_share
        moments.append(
            Moment(
                at=at,
                queue_seconds={device: _queue(profile, at, draw) for device, draw in queues.items()},
                tag_lag_seconds=profile.slow_tag_lag_seconds if slow else profile.tag_lag_seconds,
            )
        )
    outages = _windows(
        _stream(seed, "outages"), profile.outages, [_MINUTE * m for m in profile.outage_minutes], length
    )
    maintenance = [
        Window(window.begins, window.ends, device)
        for device in devices
        for window in _windows(
            _stream(seed, "maintenance", device),
            profile.maintenance_windows,
            [_HOUR * hours for hours in profile.maintenance_hours],
            length,
        )
    ]
    return Month(
        moments=tuple(moments),
        maintenance=tuple(sorted(maintenance, key=lambda window: (window.begins, window.device))),
        outages=tuple(outages),
        calibrations=tuple(sorted(_calibrations(profile, seed, devices, length))),
    )


def _queue(profile: Profile, at: float, draw: random.Random) -> float:
    """Seconds of one wait: log-normal about the median, times what hour and weekday make of it."""
    factor = profile.by_hour[int(at % _DAY // _HOUR)] * profile.by_weekday[int(at // _DAY) % 7]
    wait = profile.queue_median_minutes * _MINUTE * factor * draw.lognormvariate(0.0, profile.queue_spread)
    return min(wait, _LONGEST_QUEUE_SECONDS)


def _windows(draw: random.Random, count: int, lengths: Sequence[float], within: float) -> list[Window]:
    begins = sorted(draw.uniform(0, within) for _ in range(count))
    return [Window(at, at + draw.uniform(*lengths)) for at in begins]


def _calibrations(
    profile: Profile, seed: int, devices: Sequence[str], length: float
) -> list[tuple[float, str]]:
    every = profile.calibration_hours * _HOUR
    if not every:
        return []
    firsts = {device: _stream(seed, "calibrations", device).uniform(0, every) for device in devices}
    return [
        (first + number * every, device)
        for device, first in firsts.items()
        for number in range(int((length - first) // every) + 1)
        if first + number * every < length
    ]


def _stream(seed: int, *what: str) -> random.Random:
    return random.Random(" ".join((str(seed), *what)))  # noqa: S311  weather is no secret
