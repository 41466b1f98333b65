"""The control API: what a test, or the page, sees and sets. JSON under `/control`; nothing here is IBM's."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emulator import billing
from emulator.answers import Refusal, answered
from emulator.clock import as_text, from_text
from emulator.jobs import FINAL, Job, Session
from emulator.service import Service
from emulator.serving import INSTANCE, Endpoint, Log, body_of
from emulator.submission import document_of

_PAGE = Path(__file__).with_name("page.html")
_MOST_BYTES = 8 * 2**20

_Control = Callable[[Service, Log, Request, dict[str, Any]], Awaitable[Response]]


async def state(service: Service, _log: Log, _request: Request, _asked: dict[str, Any]) -> Response:
    """`GET /control/state`: everything there is, and what was paid."""
    now = await service.settle()
    price = service.settings.price_per_second
    paid = billing.paid(service.jobs.values(), service.sessions, price, now)
    return answered(
        {
            "clock": {"now": as_text(now), "speed": service.clock.speed},
            "instance": INSTANCE,
            "settings": service.settings.model_dump(),
            "devices": [_device(service, device.name) for device in service.devices],
            "jobs": [_job(service, job, price, now) for job in service.jobs.values()],
            "sessions": [_session(service, session, price, now) for session in service.sessions.values()],
            "paid": asdict(paid),
        }
    )


async def settings(service: Service, _log: Log, _request: Request, asked: dict[str, Any]) -> Response:
    """`PATCH /control/settings`: some of the settings, and the clock's speed."""
    now = await service.settle()
    speed = asked.pop("speed", None)
    changed = service.settings.changed(asked)
    if speed is not None:
        service.clock.run_at(_number(speed, "speed"))
    if changed.hold != service.settings.hold:
        service.hold_starts(now)
    service.settings = changed
    await service.keep_settings()
    await service.settle()
    return answered({**changed.model_dump(), "speed": service.clock.speed})


async def clock(service: Service, _log: Log, _request: Request, asked: dict[str, Any]) -> Response:
    """`POST /control/clock`: `advance_seconds`, `at` (ISO 8601), `speed`."""
    unknown = set(asked) - {"advance_seconds", "at", "speed"}
    if unknown or not asked:
        raise Refusal(400, 1200, "the clock takes advance_seconds, at or speed")
    await service.settle()
    if "at" in asked:
        service.clock.put_to(from_text(asked["at"]))
    if "advance_seconds" in asked:
        service.clock.advance(_number(asked["advance_seconds"], "advance_seconds"))
    if "speed" in asked:
        service.clock.run_at(_number(asked["speed"], "speed"))
    await service.keep_settings()
    now = await service.settle()
    return answered({"now": as_text(now), "speed": service.clock.speed})


async def faults(service: Service, _log: Log, request: Request, asked: dict[str, Any]) -> Response:
    """`GET`, `POST` and `DELETE /control/faults`: one fault, or several under `faults`."""
    if request.method == "POST":
        service.weather.add(asked.get("faults", asked))
    if request.method == "DELETE":
        service.weather.clear()
    return answered({"faults": service.weather.documents()})


async def held(service: Service, _log: Log, _request: Request, _asked: dict[str, Any]) -> Response:
    """`GET /control/held`: requests that a fault of mode hold has stopped."""
    return answered({"held": service.weather.held()})


async def release(service: Service, _log: Log, _request: Request, asked: dict[str, Any]) -> Response:
    """`POST /control/hold/release`: all of them, or the one of `number`."""
    number = asked.get("number")
    return answered({"released": service.weather.release(None if number is None else int(number))})


async def device(service: Service, _log: Log, request: Request, asked: dict[str, Any]) -> Response:
    """`POST /control/devices/{name}`: status, reason, queue_length, until, calibrate_at, error_factor."""
    now = await service.settle()
    chosen = service.devices[request.path_params["name"]]
    chosen.change(asked, now)
    await service.keep_settings()
    await service.settle()
    return answered(_device(service, chosen.name))


async def job(service: Service, _log: Log, request: Request, asked: dict[str, Any]) -> Response:
    """`POST /control/jobs/{id}`: status, reason, reason_code; or `vanish`. A final status ends the job now."""
    now = await service.settle()
    chosen = service.jobs.get(request.path_params["id"])
    if chosen is None:
        raise Refusal(404, 1291, f"no job {request.path_params['id']!r:.80}")
    if unknown := set(asked) - {"status", "reason", "reason_code", "vanish"}:
        raise Refusal(400, 1200, f"a job has no {', '.join(map(repr, sorted(unknown)))} to set")
    if asked.get("vanish"):
        await service.delete(chosen)
        return answered({"vanished": chosen.id})
    chosen.status = str(asked.get("status", chosen.status))
    chosen.reason = asked.get("reason", chosen.reason)
    chosen.reason_code = asked.get("reason_code", chosen.reason_code)
    service.timeline.changed_jobs[chosen.id] = chosen
    if chosen.status in FINAL and not chosen.final:
        chosen.finished = now
        service.end(chosen, now)
    await service.settle()
    return answered(_job(service, chosen, service.settings.price_per_second, now))


async def tokens(service: Service, _log: Log, _request: Request, asked: dict[str, Any]) -> Response:
    """`POST /control/tokens`: `revoke` true or false; `accept` the API keys that get tokens, null for all."""
    if unknown := set(asked) - {"revoke", "accept"}:
        raise Refusal(
            400, 1200, f"tokens take revoke and accept, not {', '.join(map(repr, sorted(unknown)))}"
        )
    if "accept" in asked:
        keys = asked["accept"]
        service.tokens.accept(None if keys is None else [str(key) for key in keys])
    if asked.get("revoke") is True:
        service.tokens.revoke()
    if asked.get("revoke") is False:
        service.tokens.restore()
    await service.keep_settings()
    return answered({})


async def log_of_requests(_service: Service, log: Log, request: Request, _asked: dict[str, Any]) -> Response:
    """`GET` and `DELETE /control/log`: the requests of the IBM API, with their bodies."""
    if request.method == "DELETE":
        log.clear()
    return answered({"log": log.documents()})


async def page(_request: Request) -> Response:
    """`GET /`."""
    return HTMLResponse(
        _PAGE.read_text(encoding="utf-8"),
        headers={
            "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
        },
    )


_CONTROL: tuple[tuple[tuple[str, ...], str, _Control], ...] = (
    (("GET",), "/control/state", state),
    (("PATCH",), "/control/settings", settings),
    (("POST",), "/control/clock", clock),
    (("GET", "POST", "DELETE"), "/control/faults", faults),
    (("GET",), "/control/held", held),
    (("POST",), "/control/hold/release", release),
    (("POST",), "/control/devices/{name}", device),
    (("POST",), "/control/jobs/{id}", job),
    (("POST",), "/control/tokens", tokens),
    (("GET", "DELETE"), "/control/log", log_of_requests),
)


def routes(service: Service, log: Log) -> Iterator[Route]:
    """The page and the control API."""
    yield Route("/", page, methods=["GET"])
    for methods, path, handler in _CONTROL:
        yield Route(path, _endpoint(service, log, handler), methods=list(methods))


def _endpoint(service: Service, log: Log, handler: _Control) -> Endpoint:
    async def serve(request: Request) -> Response:
        try:
            body = await body_of(request, _MOST_BYTES)
            return await handler(service, log, request, document_of(body) if body else {})
        except Refusal as refusal:
            return refusal.answer()

    return serve


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(400, 1200, f"{name}={value!r:.40} is no number")
    return float(value)


def _device(service: Service, name: str) -> dict[str, Any]:
    one = service.devices[name]
    running = service.timeline.running(name)
    return {
        "name": name,
        "qubits": one.qubits,
        "status": one.status,
        "reason": one.reason,
        "until": as_text(one.until),
        "queue_length": one.queue_length,
        "queued": len(service.timeline.queued(name)),
        "running": None if running is None else running.id,
        "calibrations": [as_text(at) for at in one.calibrations],
    }


def _job(service: Service, one: Job, price: float, now: float) -> dict[str, Any]:
    billed = billing.billed_seconds(one, service.sessions, now)
    return {
        "id": one.id,
        "number": one.number,
        "instance": one.instance,
        "user": one.user,
        "tags": one.tags,
        "status": one.status,
        "reason": one.reason,
        "reason_code": one.reason_code,
        "backend": one.backend,
        "program": one.program,
        "session_id": one.session_id,
        "private": one.private,
        "cost": one.cost,
        "created": as_text(one.accepted),
        "started": as_text(one.started),
        "on_qpu": as_text(one.on_qpu),
        "finished": as_text(one.finished),
        "seed": one.seed,
        "noise": one.noise,
        "computed": one.computed is not None,
        "qpu_seconds": one.qpu_seconds,
        "billed_seconds": billed,
        "price": billed * price,
        "bytes": one.params_bytes,
    }


def _session(service: Service, one: Session, price: float, now: float) -> dict[str, Any]:
    usage = billing.session_seconds(one, service.jobs.values(), now)
    billed = usage if one.dedicated else 0.0
    return {
        "id": one.id,
        "mode": one.mode,
        "backend": one.backend,
        "state": one.state,
        "accepting": one.accepting,
        "created": as_text(one.created),
        "activated": as_text(one.activated),
        "closed": as_text(one.closed),
        "usage_seconds": usage,
        "billed_seconds": billed,
        "price": billed * price,
    }
