"""The API of a microservice that many start from, so that its clients need no change.

A task is a job of the project `tasks`, and the task's id is the job's idempotency key: nothing is kept twice, and
nothing runs twice. As there, a task is taken unread; whatever is wrong with it is said by the worker that reads
it, here in `error`.
"""

import asyncio
import uuid
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import AfterValidator, BaseModel, ValidationError
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from gateway import examples
from gateway.connections import Connected, Connections
from gateway.standing import find, started_with, with_results
from qurable.contracts.circuits import Circuit, detect_format
from qurable.contracts.jobs import SampleJob, job_id
from qurable.contracts.pubs import SamplePub
from qurable.contracts.reports import JobReport, JobStatus, State
from qurable.errors import JobNotFound
from store import artifacts, jobs
from store.database import now

PROJECT = "tasks"

_CREATED = "created_at"
"""Label that carries the moment a task was sent: the store and Temporal's history both hold it."""

_NOT_STARTED = frozenset({State.ACCEPTED, State.AWAITING_APPROVAL})

router = APIRouter(tags=["tasks"], strict_content_type=False)  # its clients may leave the header out


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is no text") from None
    return text


class TaskRequest(BaseModel):
    """A circuit as OpenQASM, and how often to run it. Both are taken as they come."""

    quantum_circuit: Annotated[str, AfterValidator(_storable)]
    shots: int


class TaskStatus(StrEnum):
    """What a client of that service sees."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class TaskCreated(BaseModel):
    """The task was taken."""

    task_id: str
    status: TaskStatus


class Task(BaseModel):
    """A task.

    Attributes:
        result: Counts as Qiskit's `get_counts`: the rightmost character is bit 0, the last register comes first.
        error: Why it failed.
        created_at: UTC, without a zone.
        completed_at: With its zone.
    """

    id: str
    circuit_qasm: str
    shots: int
    status: TaskStatus
    result: dict[str, int] | None = None
    error: str | None = None
    created_at: str
    completed_at: str | None = None


class Services(BaseModel):
    """Whether Temporal answers, under the name `nats`, and the store, under the name `redis`."""

    nats: bool
    redis: bool


class Health(BaseModel):
    """`healthy` where all services answer, else `unhealthy`."""

    status: str
    services: Services


class Detail(BaseModel):
    """What went wrong."""

    detail: str


def _plain(description: str, example: str) -> dict[str, Any]:
    return {
        "model": Detail,
        "description": description,
        "content": {"application/json": {"example": {"detail": example}}},
    }


_UNAVAILABLE = _plain("Temporal or the store does not answer; try again later.", "Temporal does not answer")


@router.post(
    "/tasks",
    summary="Send a task",
    status_code=HTTPStatus.CREATED,
    responses={
        201: {
            "description": "It was taken, whatever is in it.",
            "content": {"application/json": {"example": {"task_id": examples.TASK_ID, "status": "pending"}}},
        },
        400: _plain("The body is nested too deeply to be read.", "There was an error parsing the body"),
        413: _plain(
            "The body is larger than this gateway takes.", "the body is larger than 33,554,432 bytes"
        ),
        503: _UNAVAILABLE,
    },
)
async def send_task(
    connections: Connected, task: Annotated[TaskRequest, Body(openapi_examples=examples.TASK_REQUEST)]
) -> TaskCreated:
    """Take a task; it runs as soon as a worker is there."""
    task_id = str(uuid.uuid4())
    job = _job(task, key=task_id)
    await connections.ask(lambda qurable: qurable.submit(job))
    return TaskCreated(task_id=task_id, status=TaskStatus.PENDING)


def _job(task: TaskRequest, *, key: str) -> SampleJob:
    """The task as a job, unchecked."""
    text = task.quantum_circuit
    circuit = Circuit.model_construct(format=detect_format(text), text=text)
    return SampleJob.model_construct(
        pubs=(SamplePub.model_construct(circuit=circuit, shots=task.shots),),
        key=key,
        project=PROJECT,
        labels={_CREATED: now().replace(tzinfo=None).isoformat()},
    )


@router.get(
    "/tasks/{task_id}",
    summary="Look at a task",
    responses={
        200: {
            "description": "The task.",
            "content": {"application/json": {"example": examples.TASK}},
        },
        404: _plain("Nobody knows it.", "Task not found"),
        503: _UNAVAILABLE,
    },
)
async def look_at_task(
    connections: Connected, task_id: Annotated[str, Path(examples=[examples.TASK_ID])]
) -> Task:
    """Where a task stands, and what came of it."""
    job = job_id(PROJECT, task_id)
    try:
        standing = await find(connections, job)
        sent = await _sent(connections, job)
    except (JobNotFound, ValidationError):
        raise HTTPException(HTTPStatus.NOT_FOUND, "Task not found") from None
    (pub,) = sent.pubs
    return Task(
        id=task_id,
        circuit_qasm=pub.circuit.text,
        shots=pub.shots,
        created_at=sent.labels.created_at.isoformat(),
        **await _outcome(connections, standing),
    )


class _SentCircuit(BaseModel):
    text: str


class _SentPub(BaseModel):
    circuit: _SentCircuit
    shots: int


class _SentLabels(BaseModel):
    created_at: datetime


class _Sent(BaseModel):
    """What a task's job was started with, as far as the task goes; a job that is no task does not fit."""

    pubs: tuple[_SentPub]
    labels: _SentLabels


async def _sent(connections: Connections, job: str) -> _Sent:
    """From the store, or from Temporal's history while no worker has taken it."""
    request = await connections.read(_kept_request, job)
    if request is not None:
        return _Sent.model_validate_json(request)
    _, started = await started_with(connections, job)
    return _Sent.model_validate(started)


def _kept_request(connection: Connection, job: str) -> bytes | None:
    row = jobs.find(connection, job)
    if row is None or not row.request:  # a job that was refused unread has a row, and no request in it
        return None
    return artifacts.get(connection, [row.request])[row.request]


async def _outcome(connections: Connections, standing: JobReport | JobStatus) -> dict[str, Any]:
    if isinstance(standing, JobStatus):
        pending = standing.state in _NOT_STARTED
        return {"status": TaskStatus.PENDING if pending else TaskStatus.PROCESSING}
    completed_at = standing.events[-1].at.isoformat()
    if standing.error is not None:
        return {
            "status": TaskStatus.FAILED,
            "error": standing.error.message,
            "completed_at": completed_at,
        }
    report = await with_results(connections, standing)
    return {
        "status": TaskStatus.COMPLETED,
        "result": await asyncio.to_thread(report.counts),
        "completed_at": completed_at,
    }


@router.get(
    "/health",
    summary="Whether Temporal and the store answer",
    responses={
        200: {
            "description": "Always, also where they do not.",
            "content": {
                "application/json": {
                    "example": {"status": "healthy", "services": {"nats": True, "redis": True}}
                }
            },
        }
    },
)
async def health(connections: Connected) -> Health:
    """Whether Temporal answers (`nats`) and the store (`redis`)."""
    temporal, store = await connections.answers()
    return Health(
        status="healthy" if temporal and store else "unhealthy", services=Services(nats=temporal, redis=store)
    )
