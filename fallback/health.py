"""What is known of a place's health when a route is planned."""

from dataclasses import dataclass

from qurable.contracts.health import BackendHealth, BreakerState
from qurable.errors import BreakerOpen


@dataclass(frozen=True)
class Health:
    """How a backend has done of late.

    Attributes:
        open: Its breaker is open: no job is sent there.
        reason: Why, in one sentence.
        error_rate: Share of its calls that ended in its fault, 0 to 1; None where nothing is known.
        wait_seconds: What jobs have waited there before they ran (s), None where nothing is known.
    """

    open: bool = False
    reason: str = ""
    error_rate: float | None = None
    wait_seconds: float | None = None


def health_of(known: BackendHealth) -> Health:
    """What a planner is told of what is known."""
    breaker = known.breaker
    reason = ""
    if breaker.state is BreakerState.OPEN and breaker.until is not None:
        reason = f"{breaker.reason}; it is asked again once a probe, due at {breaker.until:%H:%M:%S} UTC, has gone well"
    if breaker.state is BreakerState.HALF_OPEN:
        reason = f"{breaker.reason}; it is being probed since {breaker.since:%H:%M:%S} UTC"
    return Health(
        open=breaker.state is not BreakerState.CLOSED,
        reason=reason,
        error_rate=known.error_rate if known.calls else None,
        wait_seconds=known.wait_seconds,
    )


def check_health(name: str, health: Health | None) -> None:
    """Whether a place is asked at all.

    Raises:
        BreakerOpen: Not now, and until when.
    """
    if health is not None and health.open:
        raise BreakerOpen(
            f"backend {name!r} is not asked for now: {health.reason}; choose another backend, or wait until then"
        )
