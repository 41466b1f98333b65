"""This project's errors as HTTP: a status for each class, and problem details (RFC 9457) for people and programs.

How a job ended is no error here: it is part of its report, which is answered with 200.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from qurable.contracts.base import Contract
from qurable.errors import (
    DecisionRefused,
    HybridError,
    InternalError,
    JobNotFound,
    KeyReused,
    NotAnApprover,
    NoWorker,
    RequestRejected,
    ScheduleNotFound,
    ServiceUnreachable,
    StoreUnavailable,
    TargetUnavailable,
    WorkerOutdated,
)

PLAIN_PATHS = ("/tasks", "/health")
"""Here errors look as in the microservice whose clients ask them: FastAPI's own bodies, no problem details."""

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}

_STATUS_OF: Mapping[type[HybridError], HTTPStatus] = {
    RequestRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    KeyReused: HTTPStatus.CONFLICT,
    DecisionRefused: HTTPStatus.CONFLICT,
    NotAnApprover: HTTPStatus.FORBIDDEN,
    JobNotFound: HTTPStatus.NOT_FOUND,
    ScheduleNotFound: HTTPStatus.NOT_FOUND,
    ServiceUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    NoWorker: HTTPStatus.SERVICE_UNAVAILABLE,
    WorkerOutdated: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    TargetUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    HybridError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Problem(Contract):
    """Problem details as in RFC 9457.

    Attributes:
        type: Names the kind of problem; `about:blank` where the status says it all.
        title: The same for every problem of a type.
        status: Of the answer.
        detail: What is wrong here, the limit and the way out.
        code: Class of the error tree, or the status in one word.
        details: Values a program may want: limits, fields, ids.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    details: dict[str, Any] = Field(default_factory=dict)


def status_of(error: type[HybridError]) -> HTTPStatus:
    """HTTP status of an error, by the nearest class that has one."""
    return next(_STATUS_OF[cls] for cls in error.__mro__ if cls in _STATUS_OF)


def as_problem(error: HybridError) -> Problem:
    """An error of the tree as a problem."""
    return Problem(
        type=f"urn:qurable:error:{error.code}",
        title=(type(error).__doc__ or error.code).splitlines()[0].rstrip("."),
        status=status_of(type(error)),
        detail=error.message,
        code=error.code,
        details=dict(error.details),
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Problems that an operation may answer with, for OpenAPI."""
    return {
        int(status): {
            "description": _WHEN[status],
            "content": {
                PROBLEM_JSON: {
                    "schema": Problem.model_json_schema(mode="serialization"),
                    "example": _EXAMPLES[status].model_dump(mode="json"),
                }
            },
        }
        for status in statuses
    }


_WHEN = {
    HTTPStatus.BAD_REQUEST: "The request is not HTTP that can be read.",
    HTTPStatus.NOT_FOUND: "Nobody knows the job.",
    HTTPStatus.FORBIDDEN: "Whoever decides is none of those who may.",
    HTTPStatus.CONFLICT: "The idempotency key belongs to a job with another body, or the job waits for no such decision.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this gateway takes.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is not acceptable; the details name the fields.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Temporal, the store or the workers do not answer; try again later.",
}

_JOB = "default-95d5c7f0ea18e9bd767e025c"
_EXAMPLES = {
    HTTPStatus.FORBIDDEN: as_problem(NotAnApprover(f"'ada' may not decide about job {_JOB!r}: ask grace")),
    HTTPStatus.NOT_FOUND: as_problem(JobNotFound(f"no job {_JOB!r} is known")),
    HTTPStatus.CONFLICT: as_problem(
        KeyReused(
            f"the idempotency key of job {_JOB!r} already belongs to a request with another body: use a new key "
            "for a new job",
            job_id=_JOB,
        )
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Problem(
        type="about:blank",
        title="Request Entity Too Large",
        status=413,
        detail="the body is larger than 33,554,432 bytes: split the job",
        code="RequestEntityTooLarge",
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: as_problem(
        RequestRejected(
            "the request is not acceptable: sample.pubs.0.shots: Input should be greater than or equal to 1",
            problems=[
                {"field": "sample.pubs.0.shots", "message": "Input should be greater than or equal to 1"}
            ],
        )
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: as_problem(ServiceUnreachable("Temporal does not answer within 3 s")),
}


def handle_errors(app: FastAPI) -> None:
    """Have every error of an application answered as its path's clients expect."""
    app.add_exception_handler(HybridError, _hybrid_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _defect)


async def _hybrid_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HybridError)  # noqa: S101  it is registered for these
    return _answer(request, as_problem(error))


async def _defect(request: Request, error: Exception) -> Response:
    """What nobody thought of; the server logs where it came from."""
    return _answer(request, as_problem(InternalError(f"the gateway failed with {type(error).__name__}")))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for these
    if _is_plain(request):
        return await http_exception_handler(request, error)
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(
        type="about:blank",
        title=phrase,
        status=error.status_code,
        detail=str(error.detail),
        code="".join(phrase.split()),
    )
    return _problem_json(problem, error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  it is registered for these
    if _is_plain(request):
        return _plain_validation_error(error)
    problems = [_named(entry) for entry in error.errors()]
    sentence = "; ".join(f"{entry['field']}: {entry['message']}" for entry in problems[:5])
    return _answer(
        request,
        as_problem(RequestRejected(f"the request is not acceptable: {sentence}", problems=problems[:100])),
    )


def _named(entry: Mapping[str, Any]) -> dict[str, str]:
    """A field, such as `sample.pubs.0.shots`, and what is wrong with it; the body as a whole is `body`."""
    if entry["type"] == "json_invalid":
        return {"field": "body", "message": f"not JSON: {entry['ctx']['error']}"}
    where = entry["loc"]
    inside = where[1:] if where[0] == "body" and len(where) > 1 else where
    return {
        "field": ".".join(str(part) for part in inside),
        "message": entry["msg"].removeprefix("Value error, "),
    }


def _plain_validation_error(error: RequestValidationError) -> Response:
    """FastAPI's own body, which repeats the input wherever JSON can hold it."""
    entries = jsonable_encoder(error.errors())
    try:
        return JSONResponse({"detail": entries}, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)
    except ValueError:  # half a surrogate pair, or NaN
        kept = [{name: value for name, value in entry.items() if name != "input"} for entry in entries]
        return JSONResponse({"detail": kept}, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)


def _answer(request: Request, problem: Problem) -> Response:
    headers = RETRY_AFTER if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    if _is_plain(request):
        return JSONResponse({"detail": problem.detail}, status_code=problem.status, headers=headers)
    return _problem_json(problem, headers)


def _problem_json(problem: Problem, headers: Mapping[str, str] | None) -> Response:
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=problem.status,
        headers=dict(headers or {}),
        media_type=PROBLEM_JSON,
    )


def _is_plain(request: Request) -> bool:
    return request.url.path.startswith(PLAIN_PATHS)
