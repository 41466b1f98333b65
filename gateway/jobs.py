"""Jobs over HTTP: start, list, look, cancel."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway import examples
from gateway.bodies import StrictJsonRoute
from gateway.connections import Connected, Connections
from gateway.documents import EndedJob, FinishedPubs, JobList, Json, OpenJob, job_document
from gateway.errors import documented
from gateway.preferences import MAX_WAIT_SECONDS, wait_seconds
from gateway.standing import JOB_ID, find, with_results
from qurable.contracts.circuits import CircuitFormat
from qurable.contracts.jobs import JobRequest, SolveJob
from qurable.contracts.reports import JobReport, JobStatus, State
from qurable.contracts.results import readable
from qurable.errors import (
    HybridError,
    KeyReused,
    RequestRejected,
    ServiceUnreachable,
    StoreUnavailable,
)
from qurable.names import PROJECT_PATTERN
from qurable.requests import AnyJob
from store import jobs

router = APIRouter(tags=["jobs"], route_class=StrictJsonRoute, default_response_class=Json)

JobId = Annotated[
    str,
    Path(
        description="As `POST /jobs` gave it: a project, a dash and 24 hex digits.",
        json_schema_extra={"pattern": f"^{JOB_ID}$"},
        examples=[examples.JOB_ID],
    ),
]

_LOCATION = {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}}
_APPLIED = {
    "Preference-Applied": {
        "description": "The wait that was kept to, where one was asked.",
        "schema": {"type": "string"},
    }
}


def _answer(example: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"example": example}},
        **more,
    }


_ENDED = _answer(examples.ENDED_JOB, "It has ended, with an answer or without: its report.", model=EndedJob)


@router.post(
    "/jobs",
    summary="Start a job",
    status_code=HTTPStatus.ACCEPTED,
    response_model=OpenJob,
    responses={
        200: {**_ENDED, "headers": {**_LOCATION, **_APPLIED}},
        202: _answer(examples.OPEN_JOB, "It runs, or will.", headers={**_LOCATION, **_APPLIED}),
        **documented(
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def start_job(
    connections: Connected,
    job: Annotated[JobRequest, Body(openapi_examples=examples.REQUESTS)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key in the same project is the same job; with another body it is a conflict.",
            examples=["night-17"],
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(
            description=f"`wait=N`: answer with the report if it comes within N seconds, at most {MAX_WAIT_SECONDS}.",
            examples=["wait=10"],
        ),
    ] = None,
) -> Response:
    """Start a job, or find the one that its idempotency key has already started.

    The body is a job as the typed client sends it. A circuit may be given as its text alone, bindings as a mapping
    from names to values, observables as labels. Circuits come as OpenQASM 2 or 3.
    """
    job = _with_key(job, idempotency_key)
    _refuse_qpy(job)
    seconds = wait_seconds(prefer)
    standing: JobReport | JobStatus | None = await _ended_before(connections, job)
    if standing is None:
        await _start(connections, job)
        standing = await _wait(connections, job.job_id, seconds) if seconds else None
    if standing is None:
        standing = await _after_start(connections, job.job_id)
    headers = {"Location": f"/jobs/{job.job_id}"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    return await _answered(connections, standing, open_status=HTTPStatus.ACCEPTED, headers=headers)


def _with_key(job: AnyJob, key: str | None) -> AnyJob:
    if key is None:
        return job
    if "key" in job.model_fields_set and job.key != key:
        raise RequestRejected(
            f"the body has the key {job.key!r} and the header Idempotency-Key {key!r}: give one of them"
        )
    return job.model_copy(update={"key": key})


def _refuse_qpy(job: AnyJob) -> None:
    pubs = (job.pub,) if isinstance(job, SolveJob) else job.pubs
    if any(pub is not None and pub.circuit.format is CircuitFormat.QPY for pub in pubs):
        raise RequestRejected("QPY is taken from the typed client alone: send OpenQASM 2 or 3")


async def _ended_before(connections: Connections, job: AnyJob) -> JobReport | None:
    """The report of the job that has the key, also where Temporal has forgotten it.

    Raises:
        KeyReused: That job has another body.
    """
    try:
        row = await connections.read(jobs.find, job.job_id)
    except StoreUnavailable:
        return None  # jobs are taken all the same; they wait for the store
    if row is None:
        return None
    if row.body_hash != job.body_hash:
        raise KeyReused(
            f"the idempotency key of job {job.job_id!r} already belongs to a request with another body: use a new "
            "key for a new job",
            job_id=job.job_id,
        )
    return jobs.read_report(row)


async def _start(connections: Connections, job: AnyJob) -> None:
    try:
        await connections.ask(lambda qurable: qurable.submit(job))
    except ServiceUnreachable as failure:
        raise ServiceUnreachable(
            f"{failure.message}; to be sure that the job runs once, send it again with the header "
            f"Idempotency-Key: {job.key}",
            job_id=job.job_id,
            key=job.key,
        ) from None


async def _wait(connections: Connections, job_id: str, seconds: int) -> JobReport | None:
    """The report of a job that ends with an answer in time; None where the gateway stops before.

    Raises:
        KeyReused: The key belongs to a job with another body.
    """
    qurable = await connections.qurable()
    ending = asyncio.create_task(qurable.result(job_id))
    stopping = asyncio.create_task(connections.stopping.wait())
    try:
        await asyncio.wait({ending, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return ending.result() if ending.done() else None
    except KeyReused:
        raise
    except HybridError:
        return None  # it ended without an answer, or somebody does not answer now
    finally:
        ending.cancel()
        stopping.cancel()


async def _after_start(connections: Connections, job_id: str) -> JobReport | JobStatus:
    """Where a job stands that was started a moment ago; it was, whoever does not answer now."""
    try:
        return await find(connections, job_id)
    except HybridError:
        return JobStatus(id=job_id, state=State.ACCEPTED)


async def _answered(
    connections: Connections,
    standing: JobReport | JobStatus,
    *,
    open_status: HTTPStatus,
    headers: dict[str, str] | None = None,
) -> Response:
    """A job's report with 200, or where it stands."""
    if isinstance(standing, JobStatus):
        return Json(job_document(standing), status_code=open_status, headers=headers)
    report = await with_results(connections, standing)
    return Json(await asyncio.to_thread(job_document, report), headers=headers)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("no such moment in UTC") from None


class Filters(BaseModel):
    """Which jobs to list.

    Attributes:
        project: Of this project alone.
        state: In one of these states alone; may be repeated.
        limit: At most so many.
        before: Accepted before this moment, as `next` says; UTC unless it names its zone.
    """

    model_config = ConfigDict(extra="forbid")

    project: str | None = Field(default=None, pattern=PROJECT_PATTERN)
    state: list[State] = Field(default_factory=list)
    limit: int = Field(default=50, ge=1, le=1000)
    before: Annotated[datetime, AfterValidator(_in_utc)] | None = None


@router.get(
    "/jobs",
    summary="List jobs",
    response_model=JobList,
    responses={
        200: _answer(examples.JOB_LIST, "Jobs, newest first."),
        **documented(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def list_jobs(connections: Connected, filters: Annotated[Filters, Query()]) -> Response:
    """Jobs that a worker has accepted, newest first."""
    found = await connections.read(
        jobs.summaries,
        project=filters.project,
        states=filters.state,
        limit=filters.limit,
        before=filters.before,
    )
    older = None
    if len(found) == filters.limit:
        wanted = filters.model_dump(mode="json", exclude_defaults=True)
        cursor = found[-1].accepted.isoformat().replace("+00:00", "Z")
        older = f"/jobs?{urlencode({**wanted, 'before': cursor}, doseq=True)}"
    return Json(JobList(jobs=found, next=older).model_dump(mode="json"))


@router.get(
    "/jobs/{job_id}",
    summary="Look at a job",
    response_model=OpenJob | EndedJob,
    responses={
        200: {
            "description": "Its report where it has ended, with an answer or without; otherwise where it stands.",
            "content": {
                "application/json": {
                    "examples": {
                        "ended": {"value": examples.ENDED_JOB},
                        "open": {"value": examples.OPEN_JOB},
                    }
                }
            },
        },
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def look_at_job(connections: Connected, job_id: JobId) -> Response:
    """Where a job stands; its report once it has ended."""
    standing = await find(connections, job_id, live=True)
    return await _answered(connections, standing, open_status=HTTPStatus.OK)


@router.get(
    "/jobs/{job_id}/results",
    summary="Results of the pubs that are finished",
    response_model=FinishedPubs,
    responses={
        200: _answer(examples.FINISHED_PUBS, "Results as far as they are there."),
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def results_of_job(connections: Connected, job_id: JobId) -> Response:
    """Results of the pubs that are finished, before the job ends; null for the others."""
    standing = await find(connections, job_id)
    if isinstance(standing, JobReport):
        report = await with_results(connections, standing)
        return Json({"id": job_id, "pubs": await asyncio.to_thread(lambda: [*map(readable, report.results)])})
    results = await connections.ask_a_worker(lambda qurable: qurable.results(job_id))
    pubs = [None if result is None else readable(result) for result in results.pubs]
    return Json({"id": job_id, "pubs": pubs})


@router.delete(
    "/jobs/{job_id}",
    summary="Cancel a job",
    status_code=HTTPStatus.ACCEPTED,
    response_model=OpenJob,
    responses={
        200: {**_ENDED, "description": "It had ended already and stays as it is: its report."},
        202: _answer(examples.OPEN_JOB, "It is told to stop; its final state says what became of it."),
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def cancel_job(connections: Connected, job_id: JobId) -> Response:
    """Cancel a job: its simulation stops, or the provider's job is withdrawn. One that has ended stays as it is."""
    standing = await find(connections, job_id)
    if isinstance(standing, JobStatus):
        await connections.ask(lambda qurable: qurable.cancel(job_id))
    return await _answered(connections, standing, open_status=HTTPStatus.ACCEPTED)
