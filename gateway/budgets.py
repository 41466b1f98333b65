"""The budgets over HTTP: to look at. Setting them stays with the command line until this gateway knows who asks."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from gateway import examples
from gateway.connections import Connected
from gateway.documents import Json
from gateway.errors import documented
from qurable.contracts.budgets import Budgets
from store import standings

router = APIRouter(tags=["budgets"], default_response_class=Json)


@router.get(
    "/budgets",
    summary="Show budgets",
    response_model=Budgets,
    responses={
        200: {
            "description": "Every budget with what is reserved, spent and left of it, and every project's guardrails.",
            "content": {"application/json": {"example": examples.BUDGETS}},
        },
        **documented(HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def show_budgets(connections: Connected) -> Response:
    """What is left of every budget now, and where the month ends if it goes on so."""
    found = await connections.read(standings.look)
    return Json(found.model_dump(mode="json"))
