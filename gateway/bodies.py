"""What the gateway reads of a request's body: so many bytes, and JSON that can be written back."""

import json
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 32 * 2**20
"""A circuit text has at most 8 MiB; what is larger belongs to the typed client."""


class BodyLimit:
    """Stops reading a body that is larger than the limit.

    Args:
        app: What reads.
        most: Bytes.
    """

    def __init__(self, app: ASGIApp, most: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        left = self._most

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body is larger than {self._most:,} bytes: split the job")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


class StrictJsonRoute(APIRoute):
    """Reads bodies with pydantic's parser: half a surrogate pair and bottomless nesting are refused, not met later."""

    def get_route_handler(self) -> Any:
        """The route's handler, given a request that parses strictly."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


class _StrictRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as failure:
            raise json.JSONDecodeError(str(failure), "", 0) from None
