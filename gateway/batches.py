"""Batches over HTTP: any number of jobs in, one report each out."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from gateway import batch_examples as examples
from gateway.batch_documents import BatchStanding, ItemsPage, standing_document
from gateway.connections import Connected, Connections
from gateway.documents import Json
from gateway.errors import documented
from qurable.batches import Batch
from qurable.client import Qurable
from qurable.contracts.base import digest
from qurable.contracts.batches import BATCH_ID, BatchState, BatchStatus, OnError, batch_id, project_of
from qurable.contracts.jobs import mint_key
from qurable.endings import document_of, ended
from qurable.errors import (
    HybridError,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyReused,
    RequestRejected,
    StoreUnavailable,
)
from qurable.names import PROJECT_PATTERN
from store import batches

router = APIRouter(tags=["batches"], default_response_class=Json)

LINES = "application/jsonl"
_LINES_TOO = ("application/x-ndjson", "application/x-jsonlines", "text/plain")
_MOST_ITEMS = 500

BatchId = Annotated[
    str,
    Path(
        description="As `POST /batches` gave it: a project, `-batch-` and 24 hex digits.",
        json_schema_extra={"pattern": f"^{BATCH_ID}$"},
        examples=[examples.BATCH_ID],
    ),
]


def _answer(example: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}, **more}


_LOCATION = {"Location": {"description": "Where the batch is.", "schema": {"type": "string"}}}
_FAULTS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)


class Wishes(BaseModel):
    """How a batch is to be taken.

    Attributes:
        project: Public slug that all its jobs belong to.
        on_error: Where a line is no job: run nothing, or go on without it.
    """

    model_config = ConfigDict(extra="forbid")

    project: str = Field(default="default", pattern=PROJECT_PATTERN)
    on_error: OnError = "stop"


class Pages(BaseModel):
    """Which items are told.

    Attributes:
        after: Leave out the first so many that ended; as `after` of the page before says.
        limit: At most so many.
    """

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=100, ge=1, le=_MOST_ITEMS)


@router.post(
    "/batches",
    summary="Start a batch",
    status_code=HTTPStatus.ACCEPTED,
    response_model=BatchStanding,
    responses={
        202: _answer(examples.OPEN_BATCH, "It runs, or will.", headers=_LOCATION),
        **documented(
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
    openapi_extra={"requestBody": examples.REQUEST_BODY},
)
async def start_batch(
    request: Request,
    connections: Connected,
    wishes: Annotated[Wishes, Query()],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key in the same project is the same batch; with other jobs it is a conflict.",
            examples=["night-17"],
        ),
    ] = None,
) -> Response:
    """Start any number of jobs, each as `POST /jobs` takes it, or find the batch that the key has already started.

    The body is a JSON array of jobs, or JSON lines: a job on each.
    """
    lines = await asyncio.to_thread(_lines, await request.body(), request.headers.get("content-type", ""))
    key = mint_key() if idempotency_key is None else idempotency_key
    identity = batch_id(wishes.project, key)
    await _refuse_reused(connections, identity, lines)

    async def start(qurable: Qurable) -> Batch:
        return await qurable.batch(
            lines, key=key, project=wishes.project, on_error=wishes.on_error, qpy=False
        )

    await connections.ask(start)
    try:
        standing = await _find(connections, identity)
    except HybridError:  # it was started, whoever does not answer now
        standing = standing_document(BatchStatus(id=identity, project=wishes.project))
    return Json(standing, status_code=HTTPStatus.ACCEPTED, headers={"Location": f"/batches/{identity}"})


def _lines(body: bytes, content_type: str) -> bytes:
    """A job on each line.

    Raises:
        RequestRejected: The body is no array of jobs, or of another type.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in (LINES, *_LINES_TOO):
        return body
    if media_type not in ("", "application/json"):
        raise RequestRejected(
            f"a batch is sent as application/json, an array of jobs, or as {LINES}, a job on each line; this is {media_type!r}"
        )
    try:
        jobs = from_json(body, allow_inf_nan=False)
    except ValueError as failure:
        raise RequestRejected(f"the body is not JSON: {failure}") from None
    if not isinstance(jobs, list):
        raise RequestRejected(f"the body is no array of jobs; for a job on each line send {LINES}")
    return b"\n".join(map(to_json, jobs))


async def _refuse_reused(connections: Connections, identity: str, lines: bytes) -> None:
    """Also where Temporal has forgotten the batch.

    Raises:
        KeyReused: The batch that has the key has other lines.
    """
    try:
        row = await connections.read(batches.find, identity)
    except StoreUnavailable:
        return  # batches are taken all the same; they wait for the store
    if row is not None and row.body_hash != digest(lines):
        raise KeyReused(
            f"the key of batch {identity!r} already belongs to other lines: use a new key for a new batch",
            job_id=identity,
        )


@router.get(
    "/batches/{batch_id}",
    summary="Look at a batch",
    response_model=BatchStanding,
    responses={
        200: _answer(examples.ENDED_BATCH, "Where it stands; its sum where it has ended."),
        **_FAULTS,
    },
)
async def look_at_batch(connections: Connected, batch_id: BatchId) -> Response:
    """Where a batch stands; its sum once it has ended."""
    return Json(await _find(connections, batch_id))


@router.get(
    "/batches/{batch_id}/items",
    summary="Items that have ended",
    response_model=ItemsPage,
    responses={
        200: {
            "description": "A page of them. As JSON lines, where these are asked for: each as it ends, until the last.",
            "content": {
                "application/json": {"example": examples.ITEMS},
                LINES: {
                    "itemSchema": {"$ref": "#/components/schemas/BatchItem"},
                    "example": examples.ITEM_LINES,
                },
            },
        },
        **_FAULTS,
    },
)
async def items_of_batch(
    connections: Connected,
    batch_id: BatchId,
    pages: Annotated[Pages, Query()],
    accept: Annotated[
        str | None,
        Header(description=f"`{LINES}` follows the batch to its end.", examples=[LINES]),
    ] = None,
) -> Response:
    """Items in the order in which they ended, with their results: a page, or all of them as they come."""
    standing = await _find(connections, batch_id)
    if LINES in (accept or ""):
        return StreamingResponse(
            _follow(connections, batch_id, pages.after),
            media_type=LINES,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},  # proxies must not hold it back
        )
    page = await connections.ask_a_worker(
        lambda qurable: qurable.attach_batch(batch_id).page(after=pages.after, limit=pages.limit)
    )
    over = standing["state"] != BatchState.RUNNING and len(page.items) < pages.limit
    more = None if over else f"/batches/{batch_id}/items?after={page.after}&limit={pages.limit}"
    items = await asyncio.to_thread(lambda: [item.document() for item in page.items])
    return Json({"items": items, "after": page.after, "next": more})


async def _follow(connections: Connections, identity: str, after: int) -> AsyncIterator[bytes]:
    """Each item on a line, as it ends; until the last, or until the gateway stops.

    Where what is asked does not answer any more, the transfer is broken off, so that nobody takes it for whole.
    """
    qurable = await connections.qurable()
    items = aiter(qurable.attach_batch(identity).results(after=after))
    stopping = asyncio.create_task(connections.stopping.wait())
    coming: asyncio.Future[Any] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(items))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                return
            yield to_json(coming.result().document(), inf_nan_mode="strings") + b"\n"
    except (StopAsyncIteration, JobFailed, JobCancelled):
        return
    finally:
        stopping.cancel()
        # Whoever reads has left: nothing is looked up for them any more.
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


@router.post(
    "/batches/{batch_id}/rerun",
    summary="Run again what has no answer",
    status_code=HTTPStatus.ACCEPTED,
    response_model=BatchStanding,
    responses={
        202: _answer(examples.OPEN_BATCH, "Its items that failed or were cancelled run again."),
        **_FAULTS,
    },
)
async def run_batch_again(connections: Connected, batch_id: BatchId) -> Response:
    """Run the items again that failed or were cancelled; a batch that runs goes on."""
    await _find(connections, batch_id)
    await connections.ask(lambda qurable: qurable.run_batch_again(batch_id))
    return Json(await _find(connections, batch_id), status_code=HTTPStatus.ACCEPTED)


@router.delete(
    "/batches/{batch_id}",
    summary="Cancel a batch",
    status_code=HTTPStatus.ACCEPTED,
    response_model=BatchStanding,
    responses={
        200: _answer(examples.ENDED_BATCH, "It had ended already and stays as it is."),
        202: _answer(examples.OPEN_BATCH, "Its jobs are told to stop; what has ended stays as it is."),
        **_FAULTS,
    },
)
async def cancel_batch(connections: Connected, batch_id: BatchId) -> Response:
    """Cancel what has not ended of a batch."""
    standing = await _find(connections, batch_id)
    if standing["state"] != BatchState.RUNNING:
        return Json(standing)
    with contextlib.suppress(JobNotFound):  # it has ended since
        await connections.ask(lambda qurable: qurable.attach_batch(batch_id).cancel())
    return Json(standing, status_code=HTTPStatus.ACCEPTED)


async def _find(connections: Connections, identity: str) -> dict[str, Any]:
    """Where a batch stands, as the store knows it; before its lines are taken in, as Temporal does.

    Raises:
        JobNotFound: Neither knows it.
        ServiceUnreachable: The store does not know it, and Temporal does not answer.
        StoreUnavailable: The store does not answer.
    """
    if not re.fullmatch(BATCH_ID, identity):
        raise JobNotFound(f"no batch {identity!r} is known: an id is a project, '-batch-' and 24 hex digits")
    status = await connections.read(batches.status, identity)
    if status is None:
        return await connections.ask(lambda qurable: _not_taken_in(qurable, identity))
    if not status.state.final:
        return standing_document(status)
    report = await connections.read(batches.report, identity)
    if report is None:  # somebody has it run again since it was looked at
        return await _find(connections, identity)
    return standing_document(status, report)


async def _not_taken_in(qurable: Qurable, identity: str) -> dict[str, Any]:
    handle = qurable.temporal.get_workflow_handle(identity)
    running = (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    status = BatchStatus(id=identity, project=project_of(identity))
    if running:
        return standing_document(status)
    try:
        await handle.result()
    except WorkflowFailureError as failure:
        error = document_of(failure) or ended(identity, failure).document()
        state = BatchState.CANCELLED if error.code == JobCancelled.__name__ else BatchState.FAILED
        return standing_document(status.model_copy(update={"state": state}), error=error)
    raise JobNotFound(f"the store has forgotten batch {identity!r}")
