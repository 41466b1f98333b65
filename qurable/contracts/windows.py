"""How long a job may wait for others to share a provider job with."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from qurable.contracts.fallback import Age

LONGEST_WINDOW = timedelta(minutes=10)


def _checked(window: timedelta) -> timedelta:
    if not timedelta(0) < window <= LONGEST_WINDOW:
        raise ValueError(
            f"a batch window is above 0 and at most {LONGEST_WINDOW.total_seconds():g} s: leave it out to share with nobody"
        )
    return window


Window = Annotated[Age, AfterValidator(_checked)]
"""Seconds, an ISO 8601 duration, or a number with its unit such as 2s; above zero, at most ten minutes."""
