"""Approvals over HTTP: what jobs wait for, and somebody's word."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import Field

from gateway import examples
from gateway.bodies import StrictJsonRoute
from gateway.connections import Connected
from gateway.documents import Json
from gateway.errors import documented
from gateway.jobs import JobId
from gateway.standing import find
from qurable.contracts.approvals import APPROVER_PATTERN, MAX_REASON, PLAN_PATTERN, Approvals, Decision
from qurable.contracts.base import Contract
from qurable.contracts.budgets import Above
from qurable.contracts.reports import JobReport
from qurable.errors import DecisionRefused
from store import approvals

router = APIRouter(tags=["approvals"], route_class=StrictJsonRoute, default_response_class=Json)


class Word(Contract):
    """Somebody's word about a job.

    Attributes:
        approve: Whether it may be sent.
        by: Who decides, a slug; nobody checks whether it is true.
        reason: Why.
        cap: The most it may cost, in the question's unit; the question's own where none is named.
        route: SHA-256 of the plan that is decided about, or its beginning; the one that waits now where none is named.
    """

    approve: bool
    by: str = Field(pattern=APPROVER_PATTERN)
    reason: str = Field(min_length=1, max_length=MAX_REASON, pattern=r"[^\s\u0000]")
    cap: Above | None = None
    route: str = Field(default="", pattern=PLAN_PATTERN)


@router.get(
    "/approvals",
    summary="List jobs that wait for an approval",
    response_model=Approvals,
    responses={
        200: {
            "description": "What is asked, and what it will cost; the longest first.",
            "content": {"application/json": {"example": examples.APPROVALS}},
        },
        **documented(HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def list_approvals(connections: Connected) -> Response:
    """Jobs that wait for somebody's word before they go to a place that costs money."""
    found = Approvals(waiting=await connections.read(approvals.waiting))
    return Json(found.model_dump(mode="json"))


@router.post(
    "/jobs/{job_id}/approval",
    summary="Approve of a job, or refuse it",
    response_model=Decision,
    responses={
        200: {
            "description": "The decision as it stands.",
            "content": {"application/json": {"example": examples.DECISION}},
        },
        **documented(
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def decide_about_job(
    connections: Connected, job_id: JobId, word: Annotated[Word, Body(openapi_examples=examples.WORDS)]
) -> Response:
    """Decide about a job that waits. Of two decisions the first stands, and one about another plan does not count."""
    standing = await find(connections, job_id)
    if isinstance(standing, JobReport):
        raise DecisionRefused(f"job {job_id!r} has ended ({standing.state}): there is nothing to decide")
    decision = Decision(**word.model_dump(), via="http")
    decided = await connections.ask_a_worker(lambda qurable: qurable.decide(job_id, decision))
    return Json(decided.model_dump(mode="json"))
