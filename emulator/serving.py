"""From a request to an answer: bodies are bounded, all is logged, the weather has its say, callers are known."""

import collections
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from emulator.answers import Refusal
from emulator.clock import as_text
from emulator.service import Service

ACCOUNT = "crn:v1:bluemix:public:quantum-computing:us-east:a/emulator:"
INSTANCE = f"{ACCOUNT}00000000-0000-0000-0000-000000000001::"
"""The instance that is shown; any other of the same account is served too, with jobs and usage of its own."""

PREFIXES = ("/experimental", "/api/v1")

_LOGGED_REQUESTS = 20_000
_LOGGED_CHARACTERS = 64 * 2**20


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        user: Of the token.
        instance: CRN that the request names.
    """

    user: str
    instance: str


Handler = Callable[[Service, Request, Caller], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Entry:
    """One request as it came.

    Attributes:
        at: Emulator's time.
        method: HTTP method.
        path: With the prefix.
        query: As sent.
        headers: In lower case; of `authorization` the scheme alone.
        body: Text of POST, PUT and PATCH.
    """

    at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


class Log:
    """The latest requests: at most 20,000, and 64 MiB of bodies."""

    def __init__(self) -> None:
        self._entries: collections.deque[Entry] = collections.deque()
        self._characters = 0

    def add(self, request: Request, body: bytes, now: float) -> None:
        """A request came."""
        headers = {name: value for name, value in request.headers.items() if name != "cookie"}
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0]
        text = "" if request.url.path == "/identity/token" else body.decode(errors="replace")
        entry = Entry(as_text(now) or "", request.method, request.url.path, request.url.query, headers, text)
        self._entries.append(entry)
        self._characters += len(text)
        while len(self._entries) > _LOGGED_REQUESTS or self._characters > _LOGGED_CHARACTERS:
            self._characters -= len(self._entries.popleft().body)

    def documents(self) -> list[dict[str, Any]]:
        """All of them, oldest first."""
        return [asdict(entry) for entry in self._entries]

    def clear(self) -> None:
        """Forget them."""
        self._entries.clear()
        self._characters = 0


async def body_of(request: Request, most: int) -> bytes:
    """The body, kept with the request for whoever reads it again.

    Raises:
        Refusal: It is larger than the limit, or whoever sent it is gone.
    """
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise Refusal(413, 1208, f"The body is larger than {most:,} bytes: split the job")
            parts.append(part)
    except ClientDisconnect:
        raise Refusal(400, 1211, "The connection broke while the body was sent") from None
    request._body = b"".join(parts)  # noqa: SLF001  where Starlette itself keeps what it has read
    return request._body  # noqa: SLF001


async def _check_awaited(request: Request) -> None:
    """Refuse what lay about while the emulator started, or the machine was busy: only faults hold requests up."""
    if await request.is_disconnected():
        raise Refusal(400, 1211, "The connection broke before the request was read")


def endpoint(service: Service, log: Log, handler: Handler, *, authorised: bool = True) -> Endpoint:
    """A route of the IBM API.

    Args:
        service: That serves.
        log: Of requests.
        handler: Carries the request out.
        authorised: Whether it needs a token and an instance.
    """

    async def serve(request: Request) -> Response:
        async def carry_out() -> Response:
            try:
                caller = _caller(service, request) if authorised else Caller("", "")
                return await handler(service, request, caller)
            except Refusal as refusal:
                return refusal.answer()

        try:
            body = await body_of(request, service.settings.max_body_bytes)
            await _check_awaited(request)
        except Refusal as refusal:
            return refusal.answer()
        log.add(request, body, service.clock.now())
        route = f"{request.method} {short(request.url.path)}"
        return await service.weather.around(route, request, _device_of(service, request), carry_out)

    return serve


def _device_of(service: Service, request: Request) -> str:
    """Device of the job or session in a path; empty where there is none."""
    named = request.path_params.get("id", "")
    found = service.jobs.get(named) or service.sessions.get(named)
    return "" if found is None else found.backend or ""


def short(path: str) -> str:
    """A path without the prefix of the IBM API."""
    return re.sub(rf"^(?:{'|'.join(PREFIXES)})(?=/)", "", path)


def _caller(service: Service, request: Request) -> Caller:
    user = service.tokens.user(request.headers.get("Authorization", ""))
    instance = request.headers.get("Service-CRN", "")
    if not re.fullmatch(re.escape(ACCOUNT) + r"[0-9A-Za-z-]{1,64}::", instance):
        raise Refusal(403, 1403, f"No access to the instance {instance!r:.160}: the emulator's is {INSTANCE}")
    return Caller(user, instance)
