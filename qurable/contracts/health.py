"""How a backend has done of late, as its calls tell."""

from datetime import datetime
from enum import StrEnum

from qurable.contracts.base import Contract


class BreakerState(StrEnum):
    """Whether a backend is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(Contract):
    """What keeps jobs from a backend that does not answer.

    Attributes:
        state: Closed, everything goes there; open, nothing; half open, one free probe, and nothing else.
        since: When it came into that state.
        until: Open: when it is probed. Half open: when the probe is taken for lost.
        reason: Why it is not closed, in one sentence.
        in_a_row: Faults since the last call that went well.
        openings: How often it opened without a long time of peace in between; each one doubles the wait.
        probe: Who probes, by a name for this one probe; empty where nobody does.
    """

    state: BreakerState = BreakerState.CLOSED
    since: datetime
    until: datetime | None = None
    reason: str = ""
    in_a_row: int = 0
    openings: int = 0
    probe: str = ""


class BackendHealth(Contract):
    """What the calls of all workers say of a backend.

    Attributes:
        breaker: Whether it is asked.
        calls: Calls of the last minutes that went well or ended in its fault.
        faults: Of these, those that ended in its fault.
        latency_seconds: What a call that went well took (s), on average over the last minutes; None without one.
        wait_seconds: Median of what jobs lately waited in its queue (s); None where none did.
        retries: Of its faults that were tried again, within the last hour.
    """

    breaker: Breaker
    calls: int = 0
    faults: int = 0
    latency_seconds: float | None = None
    wait_seconds: float | None = None
    retries: int = 0

    @property
    def error_rate(self) -> float:
        """Share of its calls that ended in its fault, 0 to 1."""
        return self.faults / self.calls if self.calls else 0.0
