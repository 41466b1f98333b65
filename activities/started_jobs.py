"""Jobs that an activity has started by the client: what it asks of Temporal about them, and what it waits for."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client

from activities.owners import TemporalOwners
from qurable.backend import StillWaiting
from qurable.errors import ServiceUnreachable

T = TypeVar("T")

_LOOK_AGAIN = timedelta(seconds=2)


async def reached(asking: Awaitable[T]) -> T:
    """What Temporal answers.

    Raises:
        StillWaiting: It does not answer: it is asked again later, since what was started runs, and costs, meanwhile.
    """
    try:
        return await asking
    except ServiceUnreachable as failure:
        raise StillWaiting(failure.message, _LOOK_AGAIN) from None


async def runs_on(client: Client, job_id: str) -> bool:
    """Whether a job whose execution was ended from outside has another: somebody has reset it, and its answer will come.

    Raises:
        StillWaiting: Temporal does not answer.
    """
    alive = await TemporalOwners(client).alive(job_id)
    if alive is None:
        raise StillWaiting(f"Temporal does not say whether job {job_id!r} runs", _LOOK_AGAIN)
    return alive
