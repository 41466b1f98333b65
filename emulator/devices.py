"""The devices on offer: the snapshots that qiskit-ibm-runtime ships, under IBM's names, and how each stands."""

import difflib
import functools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.answers import Refusal
from emulator.clock import as_text, from_text
from emulator.snapshots import Snapshot, shipped

ACTIVE, PAUSED, INTERNAL, MAINTENANCE, OFFLINE, RESERVED = STATUSES = (
    "active",
    "paused",
    "internal",
    "maintenance",
    "offline",
    "reserved",
)

_RUNNING = frozenset({ACTIVE, RESERVED})
_OPERATIONAL = frozenset({ACTIVE, RESERVED, PAUSED, INTERNAL})
_REFUSING = {OFFLINE: (403, "is offline"), RESERVED: (403, "is reserved for others")}
_SPREAD = 0.05
"""Standard deviation of the logarithm of what a calibration changes."""

_DRIFTING = frozenset({"T1", "T2", "readout_error", "prob_meas0_prep1", "prob_meas1_prep0", "gate_error"})
_ERRORS = _DRIFTING - {"T1", "T2"}
_WORST_ERROR = 0.5
"""What is as bad is broken, and stays so whatever is calibrated."""

_CHANGING = frozenset({"status", "reason", "queue_length", "until", "calibrate_at", "error_factor"})


@dataclass
class Device:
    """One device.

    Attributes:
        snapshot: As shipped.
        status: active, paused, internal, maintenance, offline or reserved.
        reason: Shown beside it.
        queue_length: Jobs of other people before ours.
        until: When it is active again by itself.
        since: When it, or the hold on all devices, last changed; nothing starts before.
        calibrations: Times of calibrations after the snapshot's own, in order.
        error_factor: Times the errors of gates and readings that these find; far above 1 for a device that went bad.
    """

    snapshot: Snapshot
    status: str = ACTIVE
    reason: str = ""
    queue_length: int = 0
    until: float | None = None
    since: float = 0.0
    calibrations: list[float] = field(default_factory=list)
    error_factor: float = 1.0

    @property
    def name(self) -> str:
        """`ibm_` and a name."""
        return self.snapshot.name

    @property
    def qubits(self) -> int:
        """How many."""
        return self.snapshot.qubits

    @property
    def runs_jobs(self) -> bool:
        """Whether jobs start on it."""
        return self.status in _RUNNING

    @property
    def operational(self) -> bool:
        """What the API calls its state."""
        return self.status in _OPERATIONAL

    @property
    def shown_status(self) -> str:
        """What the API calls its status."""
        return "dedicated" if self.status == RESERVED else self.status

    def come_back(self, at: float) -> None:
        """It is active again."""
        self.status, self.reason, self.until, self.since = ACTIVE, "", None, at

    def check_taking_jobs(self) -> None:
        """Let a submission pass.

        Raises:
            Refusal: It takes none.
        """
        if self.status in _REFUSING:
            status, why = _REFUSING[self.status]
            because = f" ({self.reason})" if self.reason else ""
            raise Refusal(status, 1004, f"The backend {self.name!r} {why}{because}: use another backend")

    def calibrated_as(self, calibration_id: str | None, now: float) -> float:
        """When a calibration was current: now, or that of an id; 0 names the snapshot's own, 1 the first after it.

        Raises:
            Refusal: There was none of that id.
        """
        if calibration_id is None:
            return now
        past = sum(moment <= now for moment in self.calibrations)
        if not calibration_id.isdecimal() or len(calibration_id) > 6 or int(calibration_id) > past:
            raise Refusal(
                404, 1007, f"{self.name!r} has no calibration {calibration_id!r:.40}: 0 to {past} are known"
            )
        number = int(calibration_id)
        return self.calibrations[number - 1] if number else _calibrated(self.snapshot)

    def recalibrated(self, at: float) -> bool:
        """Whether the calibration of a time is another than the snapshot's own."""
        return any(moment <= at for moment in self.calibrations)

    def configuration(self) -> str:
        """JSON text, as IBM names the device."""
        return _configuration(self.snapshot)

    def properties(self, at: float) -> str:
        """JSON text of the calibration that was valid at a time; `{}` where there was none yet."""
        number = sum(moment <= at for moment in self.calibrations)
        if number == 0 and at < _calibrated(self.snapshot):
            return "{}"
        when = self.calibrations[number - 1] if number else None
        return _properties(self.snapshot, number, when, self.error_factor)

    def change(self, changes: Mapping[str, Any], now: float) -> None:
        """Set its status, reason, queue, next calibration or how bad that is.

        Raises:
            Refusal: No such value.
        """
        unknown = set(changes) - _CHANGING
        if unknown:
            raise Refusal(400, 1200, f"a device has no {', '.join(map(repr, sorted(unknown)))}")
        status = changes.get("status", self.status)
        if status not in STATUSES:
            raise Refusal(400, 1200, f"status={status!r} is none of {', '.join(STATUSES)}")
        length = changes.get("queue_length", self.queue_length)
        if not isinstance(length, int) or not 0 <= length <= 1_000_000:
            raise Refusal(400, 1200, f"queue_length={length!r} must be a number of jobs from 0 to 1,000,000")
        factor = changes.get("error_factor", self.error_factor)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 1e6:
            raise Refusal(400, 1200, f"error_factor={factor!r} must be a number above 0, at most 1,000,000")
        until = changes.get("until")
        moment = None if until is None else from_text(until)
        calibrate_at = changes.get("calibrate_at")
        if calibrate_at is not None:
            self.calibrations = sorted({*self.calibrations, from_text(calibrate_at)})
        if "status" in changes:
            self.status, self.until, self.since = status, moment, now
        self.reason = str(changes.get("reason", "" if "status" in changes else self.reason))
        self.queue_length, self.error_factor = length, float(factor)

    def kept(self) -> dict[str, Any]:
        """What was set."""
        names = ("status", "reason", "queue_length", "until", "since", "calibrations", "error_factor")
        return {name: getattr(self, name) for name in names}


class Devices:
    """All devices, by name.

    Args:
        kept: What was set of each.
    """

    def __init__(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._devices = {name: Device(snapshot) for name, snapshot in shipped().items()}
        for name, changes in kept.items():
            if name in self._devices:
                for attribute, value in changes.items():
                    setattr(self._devices[name], attribute, value)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def __getitem__(self, name: object) -> Device:
        """A device.

        Raises:
            Refusal: There is none of that name; near names are in the message.
        """
        if isinstance(name, str) and name in self._devices:
            return self._devices[name]
        near = difflib.get_close_matches(str(name), self._devices, n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise Refusal(404, 1007, f"Backend {str(name)!r:.80} not found{hint}")

    def kept(self) -> dict[str, Any]:
        """What was set of those that are not as they were shipped."""
        return {device.name: kept for device in self if (kept := device.kept()) != _UNTOUCHED}


_UNTOUCHED = Device(Snapshot("", 0, Path(), Path())).kept()


@functools.lru_cache(maxsize=128)
def _configuration(snapshot: Snapshot) -> str:
    return json.dumps(snapshot.configuration())


@functools.lru_cache(maxsize=16)
def _properties(snapshot: Snapshot, number: int, when: float | None, error_factor: float) -> str:
    """Properties of a device's `number`-th calibration; 0 is the snapshot's own."""
    document = snapshot.properties()
    if when is not None:
        draw = random.Random(f"{snapshot.name} {number}")  # noqa: S311  no secret
        _drift(document, draw, as_text(when), error_factor)
    return json.dumps(document)


@functools.lru_cache(maxsize=128)
def _calibrated(snapshot: Snapshot) -> float:
    """Date of a snapshot, in seconds since 1970."""
    return from_text(snapshot.properties()["last_update_date"])


def _drift(document: dict[str, Any], draw: random.Random, date: str | None, error_factor: float) -> None:
    """Change what a calibration changes, by a few per cent, and errors by a factor; a gate that is broken stays so."""
    document["last_update_date"] = date
    values = [value for qubit in document["qubits"] for value in qubit]
    values += [value for gate in document["gates"] for value in gate["parameters"]]
    for value in values:
        if value["name"] in _DRIFTING:
            drifted = value["value"] * math.exp(draw.gauss(0, _SPREAD))
            if value["name"] in _ERRORS:
                broken = value["value"] >= _WORST_ERROR
                drifted = value["value"] if broken else min(drifted * error_factor, _WORST_ERROR)
            value["value"] = drifted
            value["date"] = date
