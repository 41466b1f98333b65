"""The routes of IBM's API, as the client builds them; both prefixes. Jobs have a file of their own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator import billing, jobs_api
from emulator.answers import JSON_TYPE, Refusal, answered, done
from emulator.clock import as_text, from_text
from emulator.devices import Device
from emulator.jobs import Session
from emulator.service import Service
from emulator.serving import INSTANCE, PREFIXES, Caller, Handler, Log, endpoint
from emulator.submission import document_of, read_session

PLAN = "emulator-plan"
NAME = "emulator"


async def token(service: Service, request: Request, _caller: Caller) -> Response:
    """IAM: `POST /identity/token`."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    return answered(service.tokens.give(form.get("apikey", [""])[0], service.settings.token_seconds))


async def search(_service: Service, _request: Request, _caller: Caller) -> Response:
    """Global Search: `POST /v3/resources/search`. One instance."""
    item = {
        "crn": INSTANCE,
        "service_plan_unique_id": PLAN,
        "name": NAME,
        "tags": [],
        "doc": {"extensions": [{"backends": "all"}]},
    }
    return answered({"items": [item], "limit": 100})


async def plan(_service: Service, request: Request, _caller: Caller) -> Response:
    """Global Catalog: `GET /api/v1/{plan}`."""
    if request.path_params["plan"] != PLAN:
        raise Refusal(404, 404, f"no catalog entry {request.path_params['plan']!r:.80}")
    overview = {"display_name": "Pay-As-You-Go", "description": "emulated", "long_description": "emulated"}
    return answered(
        {
            "id": PLAN,
            "name": "paygo",
            "kind": "plan",
            "overview_ui": {"en": overview},
            "metadata": {"pricing": {"type": "paygo"}},
        }
    )


async def instances(_service: Service, request: Request, _caller: Caller) -> Response:
    """Resource Controller: `GET /v2/resource_instances?name=`."""
    found = [{"crn": INSTANCE, "name": NAME}] if request.query_params.get("name") in (None, NAME) else []
    return answered({"rows_count": len(found), "resources": found, "next_url": None})


async def usage(service: Service, _request: Request, caller: Caller) -> Response:
    """`GET /instances/usage`."""
    now = await service.settle()
    document: dict[str, Any] = {
        "instance_id": caller.instance,
        "plan_id": PLAN,
        "usage_consumed_seconds": round(service.consumed(caller.instance, now), 3),
        "usage_limit_reached": service.limit_reached(caller.instance, now),
        "usage_period": {"start_time": as_text(now - 28 * 86400), "end_time": as_text(now)},
    }
    if service.settings.usage_limit_seconds is not None:
        document["usage_limit_seconds"] = service.settings.usage_limit_seconds
    return answered(document)


async def backends(service: Service, _request: Request, _caller: Caller) -> Response:
    """`GET /backends`. No mock devices are among them."""
    await service.settle()
    return answered({"devices": [_listed(service, device) for device in service.devices]})


async def configuration(service: Service, request: Request, _caller: Caller) -> Response:
    """`GET /backends/{name}/configuration`."""
    await service.settle()
    device = service.devices[request.path_params["name"]]
    device.calibrated_as(request.query_params.get("calibration_id"), service.clock.now())
    return Response(device.configuration(), media_type=JSON_TYPE)


async def properties(service: Service, request: Request, _caller: Caller) -> Response:
    """`GET /backends/{name}/properties`: of the latest calibration, or of the one before a time, or by its id."""
    now = await service.settle()
    device = service.devices[request.path_params["name"]]
    at = device.calibrated_as(request.query_params.get("calibration_id"), now)
    before = request.query_params.get("updated_before")
    asked = at if before is None else min(at, from_text(before))
    return Response(device.properties(asked), media_type=JSON_TYPE)


async def status(service: Service, request: Request, _caller: Caller) -> Response:
    """`GET /backends/{name}/status`."""
    await service.settle()
    device = service.devices[request.path_params["name"]]
    return answered(
        {
            "state": device.operational,
            "status": device.shown_status,
            "message": device.reason,
            "length_queue": _queue(service, device),
            "backend_version": "1.0.0",
        }
    )


async def open_session(service: Service, request: Request, caller: Caller) -> Response:
    """`POST /sessions`: a session, or a batch."""
    backend, mode, max_ttl = read_session(await request.body(), service.settings)
    session = await service.open_session(backend, mode, max_ttl, caller.user, caller.instance)
    return answered(_session_document(service, session))


async def show_session(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /sessions/{id}`."""
    await service.settle()
    return answered(_session_document(service, _session(service, request, caller)))


async def change_session(service: Service, request: Request, caller: Caller) -> Response:
    """`PATCH /sessions/{id}`: it takes no more jobs."""
    session = _session(service, request, caller)
    if document_of(await request.body()).get("accepting_jobs") is not False:
        raise Refusal(400, 1211, "`accepting_jobs` can only become false")
    await service.close_session(session, cancel=False)
    return done()


async def close_session(service: Service, request: Request, caller: Caller) -> Response:
    """`DELETE /sessions/{id}/close`: its jobs are cancelled."""
    await service.close_session(_session(service, request, caller), cancel=True)
    return done()


_IBM: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/backends", backends),
    ("GET", "/backends/{name}/configuration", configuration),
    ("GET", "/backends/{name}/properties", properties),
    ("GET", "/backends/{name}/status", status),
    ("GET", "/instances/usage", usage),
    ("GET", "/workloads", jobs_api.workloads),
    ("POST", "/jobs", jobs_api.submit),
    ("GET", "/jobs", jobs_api.list_jobs),
    ("GET", "/jobs/{id}", jobs_api.show),
    ("DELETE", "/jobs/{id}", jobs_api.delete),
    ("GET", "/jobs/{id}/results", jobs_api.results),
    ("GET", "/jobs/{id}/logs", jobs_api.logs),
    ("GET", "/jobs/{id}/metrics", jobs_api.metrics),
    ("POST", "/jobs/{id}/cancel", jobs_api.cancel),
    ("PUT", "/jobs/{id}/tags", jobs_api.write_tags),
    ("POST", "/sessions", open_session),
    ("GET", "/sessions/{id}", show_session),
    ("PATCH", "/sessions/{id}", change_session),
    ("DELETE", "/sessions/{id}/close", close_session),
)
_CLOUD: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/identity/token", token),
    ("POST", "/v3/resources/search", search),
    ("GET", "/v2/resource_instances", instances),
    ("GET", "/api/v1/{plan}", plan),
)

OFFERED = tuple((method, path) for method, path, _ in _IBM)
"""Method and path, without a prefix, of every route that needs a token."""


def routes(service: Service, log: Log) -> Iterator[Route]:
    """The routes, IBM Quantum's under each prefix, then IBM Cloud's."""
    for prefix in PREFIXES:
        for method, path, handler in _IBM:
            yield Route(prefix + path, endpoint(service, log, handler), methods=[method])
    for method, path, handler in _CLOUD:
        yield Route(path, endpoint(service, log, handler, authorised=False), methods=[method])


def _queue(service: Service, device: Device) -> int:
    """Other people's jobs and ours that wait or run."""
    running = service.timeline.running(device.name) is not None
    return device.queue_length + len(service.timeline.queued(device.name)) + running


def _listed(service: Service, device: Device) -> dict[str, Any]:
    online = device.status in ("active", "reserved", "internal")
    return {
        "name": device.name,
        "status": {
            "name": "online" if online else "paused" if device.status == "paused" else "offline",
            "reason": device.reason or ("available" if online else device.status),
        },
        "queue_length": _queue(service, device),
        "qubits": device.qubits,
        "physical_qubits": device.qubits,
        "is_simulator": False,
    }


def _session(service: Service, request: Request, caller: Caller) -> Session:
    session = service.sessions.get(request.path_params["id"])
    if session is None or session.instance != caller.instance:
        raise Refusal(404, 1600, "Session not found")
    return session


def _session_document(service: Service, session: Session) -> dict[str, Any]:
    now = service.clock.now()
    return {
        "id": session.id,
        "backend_name": session.backend,
        "mode": session.mode,
        "state": session.state,
        "accepting_jobs": session.accepting,
        "max_ttl": session.max_ttl,
        "active_ttl": session.max_ttl,
        "interactive_ttl": session.interactive_ttl,
        "started_at": as_text(session.created),
        "activated_at": as_text(session.activated),
        "closed_at": as_text(session.closed),
        "last_job_started": as_text(session.last_started),
        "last_job_completed": as_text(session.last_finished),
        "elapsed_time": round(billing.session_seconds(session, service.jobs.values(), now), 3),
        "user_id": session.user,
        "timestamps": [{"status": state, "timestamp": as_text(at)} for state, at in session.transitions],
    }
