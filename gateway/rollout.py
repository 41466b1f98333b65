"""The rollout rules over HTTP: to look at. Changing them stays with the command line until this gateway knows who asks."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from gateway import examples
from gateway.connections import Connected
from gateway.documents import Json
from gateway.errors import documented
from qurable.contracts.rollout import Rollout
from store import rollout

router = APIRouter(tags=["rollout"], default_response_class=Json)


@router.get(
    "/rollout",
    summary="Show rollout rules",
    response_model=Rollout,
    responses={
        200: {
            "description": "Every rule that stands, the last hundred changes with who made them, and what shadows have shown.",
            "content": {"application/json": {"example": examples.ROLLOUT}},
        },
        **documented(HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def show_rollout(connections: Connected) -> Response:
    """Which jobs go to which place first, or run there too, and which places are asked by nobody."""
    found = await connections.read(rollout.look)
    return Json(found.model_dump(mode="json"))
