"""Why a job ended as it did, over HTTP."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from gateway import examples
from gateway.connections import Connected
from gateway.documents import Json
from gateway.errors import documented
from gateway.jobs import JobId
from gateway.standing import find
from qurable.contracts.reports import JobReport
from qurable.contracts.why import Why
from qurable.errors import JobNotFound

router = APIRouter(tags=["jobs"], default_response_class=Json)


@router.get(
    "/jobs/{job_id}/why",
    summary="Why a job ended as it did",
    response_model=Why,
    responses={
        200: {
            "description": "Its route, its checks, how far the answer is off, and the best other one.",
            "content": {"application/json": {"example": examples.WHY}},
        },
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def why_of_job(connections: Connected, job_id: JobId) -> Response:
    """What was decided about a job, and on which grounds; of one that has not ended there is nothing to say yet."""
    standing = await find(connections, job_id)
    if not isinstance(standing, JobReport):
        raise JobNotFound(f"job {job_id!r} has not ended yet: it is {standing.state}")
    return Json(Why.of(standing).model_dump(mode="json"))
