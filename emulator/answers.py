"""What is answered: IBM's error body, and connections that break."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON_TYPE = "application/json"


class Refusal(Exception):
    """A request is answered with an error of IBM's API.

    Args:
        status: HTTP status.
        code: IBM's error code.
        message: What is wrong, the limit and the way out.
        headers: Beyond the usual ones.
    """

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def answer(self) -> Response:
        """The refusal on the wire."""
        return failed(self.status, self.code, self.message, self.headers)


def answered(document: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(json.dumps(document), status, media_type=JSON_TYPE)


def done() -> Response:
    """Carried out, nothing to say."""
    return Response(status_code=204)


def failed(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """IBM's error body, in the shape of the REST documentation and in the one that the client reads."""
    error = {"code": code, "message": message, "solution": "", "more_info": ""}
    body = json.dumps({"errors": [error], "error": {"code": code, "message": message}, "trace": "emulator"})
    return Response(body, status, dict(headers or {}), media_type=JSON_TYPE)


class Dropped(Response):
    """No answer: the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  nothing is sent
        """Break it, and wait until it is broken."""
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass
