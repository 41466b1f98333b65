"""A job's state changes as server-sent events, each with its number as id.

The numbers are those of the store's record, so that a client that was cut off goes on where it was, also with
another gateway.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from gateway import examples
from gateway.connections import Connected, Connections
from gateway.errors import documented
from gateway.jobs import JobId
from gateway.standing import find
from qurable.contracts.reports import JobEvent, JobReport, JobStatus
from qurable.errors import HybridError, StoreUnavailable
from store import jobs

router = APIRouter(tags=["jobs"])

_LOOK_AGAIN_SECONDS = 0.05
_LOOK_AGAIN_AT_MOST_SECONDS = 1.0
_QUIET_SECONDS = 15.0
"""After so long without news the client hears a comment, and Temporal is asked whether the job still runs."""

_DIGITS = 9


_MEDIA_TYPE = "text/event-stream"
_EVENT_SCHEMA = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": f"^[0-9]{{1,{_DIGITS}}}$"},
        "event": {"$ref": "#/components/schemas/State"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/JobEvent"},
        },
    },
}


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Every state change from the first, as it comes; ends with the final state. The event's "
            "name is the state, its data the change.",
            "content": {_MEDIA_TYPE: {"itemSchema": _EVENT_SCHEMA, "example": examples.EVENTS}},
        },
        204: {
            "description": "The client has heard everything: the job has ended. An `EventSource` asks no more."
        },
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def follow_job(
    connections: Connected,
    job_id: JobId,
    last_event_id: Annotated[
        str | None,
        Header(description="Number of the last event that was heard; it goes on after that.", examples=["3"]),
    ] = None,
) -> Response:
    """State changes of a job from the first, as they come, until it ends."""
    standing = await find(connections, job_id)
    heard = _number(last_event_id)
    if isinstance(standing, JobReport) and heard >= len(standing.events):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return StreamingResponse(
        _follow(connections, standing, heard),
        media_type=_MEDIA_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},  # proxies must not hold it back
    )


def _number(last_event_id: str | None) -> int:
    """Of the last event that was heard; an id that was never given counts as none."""
    given = last_event_id or ""
    return int(given) if given.isdecimal() and len(given) <= _DIGITS else 0


async def _follow(
    connections: Connections, standing: JobReport | JobStatus, heard: int
) -> AsyncIterator[str]:
    events, ended = _of(standing)
    pause = quiet = 0.0
    while True:
        for number, event in enumerate(events[heard:], start=heard + 1):
            yield _written(number, event)
        if ended:
            return
        if len(events) > heard:
            heard, pause, quiet = len(events), _LOOK_AGAIN_SECONDS, 0.0
        else:
            pause = min(max(pause, _LOOK_AGAIN_SECONDS) * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
        if await _stops(connections, within=pause):
            return
        quiet += pause
        if quiet < _QUIET_SECONDS:
            events, ended = await _recorded(connections, standing.id)
        else:
            yield ": still there\n\n"
            events, ended = await _known(connections, standing.id)
            quiet = 0.0


def _of(standing: JobReport | JobStatus) -> tuple[Sequence[JobEvent], bool]:
    """State changes, and whether these are all."""
    return standing.events, isinstance(standing, JobReport)


async def _stops(connections: Connections, *, within: float) -> bool:
    """Wait; whether the gateway stops meanwhile."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(connections.stopping.wait(), within)
    return False


async def _recorded(connections: Connections, job_id: str) -> tuple[Sequence[JobEvent], bool]:
    """What the store has; nothing while it does not answer."""
    try:
        events = await connections.read(jobs.events_of, job_id)
    except StoreUnavailable:
        return (), False
    return events, any(event.state.final for event in events)


async def _known(connections: Connections, job_id: str) -> tuple[Sequence[JobEvent], bool]:
    """The same with what Temporal knows: a job may end that no worker records."""
    try:
        return _of(await find(connections, job_id))
    except HybridError:
        return (), False


def _written(number: int, event: JobEvent) -> str:
    return f"id: {number}\nevent: {event.state}\ndata: {event.model_dump_json()}\n\n"
