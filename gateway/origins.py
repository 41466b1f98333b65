"""Whose pages may ask.

Without authentication, any page that the owner of the machine looks at could have the browser send jobs here: some
requests go out without asking first, and name their page's origin.
"""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OwnOrigins:
    """Refuses what pages of other hosts send; programs, which name no origin, are served.

    Args:
        app: What serves.
        names: Hosts whose pages may ask; `*` for all.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._hosts = {name.strip("[]").lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is None or self._is_own(origin):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("Pages of another origin are not served", HTTPStatus.FORBIDDEN)
        await refusal(scope, receive, send)

    def _is_own(self, origin: str) -> bool:
        try:
            host = urlsplit(origin).hostname
        except ValueError:
            return False
        return "*" in self._hosts or host in self._hosts
