"""Faults, per route: what goes wrong before or after a request was carried out, and where a request is held."""

import asyncio
import itertools
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response

from emulator.answers import JSON_TYPE, Dropped, Refusal, failed
from emulator.clock import from_text

_MAX_WAITING = 1000
_EVERYTHING = ".*"


class Fault(BaseModel):
    """One fault.

    Attributes:
        route: `METHOD /path` without the prefix, as a template such as `GET /jobs/{id}/results` or a regular
            expression; every route of the IBM API by default.
        mode: status answers an error; drop breaks the connection; hang waits; body answers any text; truncate cuts
            the answer in half; duplicate_pages answers every page of a list as the first, with a count that is too
            high; hold stops until it is released; outage answers 503.
        after: The request is carried out first, and its answer is lost.
        times: How often; None for always.
        probability: Of striking at a request it is for, drawn from `seed`.
        seed: Of those draws.
        status: HTTP status of mode status.
        code: IBM's error code of mode status.
        message: Of mode status.
        headers: Of mode status.
        body: Text of mode body.
        content_type: Of mode body.
        seconds: Of mode hang, real ones; of an outage, of the emulator's clock.
        device: Only requests that name this device, or a job or session on it.
        begins: First moment of the emulator's clock at which it strikes, ISO 8601.
        ends: First moment at which it does so no more.
    """

    model_config = ConfigDict(extra="forbid")

    route: str = _EVERYTHING
    mode: Literal["status", "drop", "hang", "body", "truncate", "duplicate_pages", "hold", "outage"]
    after: bool = False
    times: int | None = Field(default=1, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    status: int = Field(default=500, ge=400, le=599)
    code: int = 1000
    message: str = "injected by the emulator"
    headers: dict[str, str] = {}
    body: str = ""
    content_type: str = JSON_TYPE
    seconds: float = Field(default=0.0, ge=0)
    device: str | None = None
    begins: str | None = None
    ends: str | None = None

    @model_validator(mode="after")
    def _has_a_pattern(self) -> "Fault":
        try:
            re.compile(_pattern(self.route))
        except re.error as failure:
            raise ValueError(
                f"route {self.route!r} is no template and no regular expression: {failure}"
            ) from None
        return self


class _Standing:
    """A fault that was set.

    Args:
        number: To name it by.
        fault: What was asked for.
        now: What the clock showed then.
    """

    def __init__(self, number: int, fault: Fault, now: float) -> None:
        self.number, self.fault = number, fault
        self.left = None if fault.mode == "outage" and "times" not in fault.model_fields_set else fault.times
        self._draw = random.Random(fault.seed)  # noqa: S311  no secret
        self._pattern = re.compile(_pattern(fault.route))
        self._begins = now if fault.begins is None else from_text(fault.begins)
        self._ends = None if fault.ends is None else from_text(fault.ends)
        if fault.mode == "outage" and self._ends is None and fault.seconds:
            self._ends = self._begins + fault.seconds

    def strikes(self, route: str, about: str, now: float) -> bool:
        """Whether it strikes at a request; it is counted."""
        if not self._pattern.fullmatch(route) or now < self._begins or self.over(now):
            return False
        if self.fault.device is not None and self.fault.device not in about:
            return False
        if self.fault.probability < 1 and self._draw.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def over(self, now: float) -> bool:
        """Whether it is spent."""
        return self.left == 0 or (self._ends is not None and now >= self._ends)

    def document(self) -> dict[str, Any]:
        return {"number": self.number, "left": self.left, **self.fault.model_dump(exclude_defaults=True)}


class Weather:
    """The faults that are set, and the requests that are held.

    Args:
        now: What the emulator's clock shows.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._numbers = itertools.count(1)
        self._faults: list[_Standing] = []
        self._held: dict[int, tuple[dict[str, Any], asyncio.Event]] = {}
        self._hanging: set[asyncio.Event] = set()

    def add(self, document: Any) -> None:
        """Set faults: one, or a list.

        Raises:
            Refusal: One is none.
        """
        documents = document if isinstance(document, list) else [document]
        if len(self._faults) + len(documents) > _MAX_WAITING:
            raise Refusal(400, 1200, f"at most {_MAX_WAITING} faults may be set: clear some")
        try:
            faults = [Fault.model_validate(one) for one in documents]
        except ValidationError as failure:
            raise Refusal(
                400, 1200, f"no such fault: {failure.errors(include_url=False)[0]['msg']}"
            ) from None
        self._faults += [_Standing(next(self._numbers), fault, self._now()) for fault in faults]

    def clear(self) -> None:
        """Fair weather; requests that are held, or hang, go on."""
        self._faults.clear()
        self.release()
        for event in self._hanging:
            event.set()

    def documents(self) -> list[dict[str, Any]]:
        """The faults that may still strike."""
        now = self._now()
        self._faults = [standing for standing in self._faults if not standing.over(now)]
        return [standing.document() for standing in self._faults]

    def held(self) -> list[dict[str, Any]]:
        """Requests that are held: number, place, method, path."""
        return [document for document, _ in self._held.values()]

    def release(self, number: int | None = None) -> int:
        """Let held requests go on, or one; gives back how many."""
        chosen = [key for key in self._held if number in (None, key)]
        for key in chosen:
            self._held[key][1].set()
        return len(chosen)

    async def around(
        self, route: str, request: Request, device: str, call: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Carry a request out, or whatever the weather makes of it.

        Args:
            route: `METHOD /path` without the prefix.
            request: Whose body was read.
            device: Of the job or session that it is about; empty for none.
            call: Carries it out.
        """
        about = f"{request.url.path} {request.query_params} {device} " + (
            (await request.body()).decode(errors="replace") if self._faults else ""
        )
        now = self._now()
        struck = next((one.fault for one in self._faults if one.strikes(route, about, now)), None)
        if struck is None:
            return await call()
        if struck.mode == "hold" and not struck.after:
            await self._hold(f"{route} before accept", request)
            return await call()
        if struck.mode == "hang" and not struck.after:
            await self._hang(struck.seconds)
            return await call()
        request.state.duplicate_pages = struck.mode == "duplicate_pages"
        carried_out = struck.after or struck.mode in ("truncate", "duplicate_pages")
        answer = await call() if carried_out else None
        if struck.mode == "hold":
            await self._hold(f"{route} after accept", request)
        if struck.mode == "hang":
            await self._hang(struck.seconds)
        return _spoilt(struck, answer)

    async def _hang(self, seconds: float) -> None:
        """Wait so many real seconds, or until the weather is cleared."""
        event = asyncio.Event()
        self._hanging.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._hanging.discard(event)

    async def _hold(self, place: str, request: Request) -> None:
        number = next(self._numbers)
        event = asyncio.Event()
        document = {"number": number, "place": place, "method": request.method, "path": request.url.path}
        self._held[number] = (document, event)
        try:
            await event.wait()
        finally:
            del self._held[number]


def _spoilt(fault: Fault, answer: Response | None) -> Response:
    """What is answered instead."""
    match fault.mode:
        case "status":
            return failed(fault.status, fault.code, fault.message, fault.headers)
        case "outage":
            return failed(503, 1000, "Service unavailable: outage in the emulator", fault.headers)
        case "drop":
            return Dropped()
        case "body":
            return Response(fault.body, media_type=fault.content_type)
        case "truncate" if answer is not None:
            half = bytes(answer.body)[: len(answer.body) // 2]
            return Response(half, answer.status_code, media_type=answer.media_type)
    if answer is None:
        raise ValueError(f"a fault of mode {fault.mode!r} answers by itself")
    return answer


def _pattern(route: str) -> str:
    """A template as a regular expression: `{id}` is one part of a path."""
    return re.sub(r"\{[a-z_]+\}", "[^/]+", route)
