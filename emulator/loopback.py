"""Loopback alone: which addresses are bound, which names are answered, whose pages may ask.

A page in a browser may reach loopback under a name of the attacker's, and may send some requests without asking.
Names below `localhost` never leave the machine, and the client puts IBM Cloud's host names before them.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether a host name or number is this machine's own; IPv6 with or without brackets."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class LoopbackOnly:
    """Refuses other hosts and other pages; understands the whole URLs that are sent to a proxy.

    Args:
        app: What serves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_loopback(_host_of(f"//{host}")) or (
            origin is not None and not is_loopback(_host_of(origin))
        ):
            await PlainTextResponse("Only loopback is served", 403)(scope, receive, send)
            return
        if not scope["path"].startswith("/"):
            path = urlsplit(scope["path"]).path or "/"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
