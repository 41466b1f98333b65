"""The backends over HTTP."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from gateway import examples
from gateway.connections import Connected
from gateway.documents import BackendList, Json
from gateway.errors import documented
from qurable.client import Qurable

router = APIRouter(tags=["backends"], default_response_class=Json)


@router.get(
    "/backends",
    summary="List backends",
    response_model=BackendList,
    responses={
        200: {
            "description": "What the workers offer; a backend that cannot run there says why.",
            "content": {"application/json": {"example": examples.BACKENDS}},
        },
        **documented(HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def list_backends(connections: Connected) -> Response:
    """What the workers offer now."""
    found = await connections.ask_a_worker(Qurable.backends)
    return Json(BackendList(backends=found).model_dump(mode="json"))
