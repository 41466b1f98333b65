"""`/jobs` and `/workloads` as IBM's API offers them. Times are of the emulator's clock, UTC."""

import json
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator import billing
from emulator.answers import JSON_TYPE, Refusal, answered, done
from emulator.clock import as_text, from_text
from emulator.jobs import COMPLETED, QUEUED, Job
from emulator.service import Service
from emulator.serving import Caller
from emulator.submission import document_of, read_submission, read_tags

_PAGE = 200
"""Jobs of a page where no limit is given, and the most of one."""


async def submit(service: Service, request: Request, caller: Caller) -> Response:
    """`POST /jobs`: the job is on disk when this answers."""
    submission = read_submission(await request.body(), service.settings)
    held_up = await request.is_disconnected()  # by a fault, which stands for the network

    async def wanted() -> bool:
        return held_up or not await request.is_disconnected()

    job = await service.accept(submission, caller.user, caller.instance, wanted)
    return answered(
        {"id": job.id, "backend": job.backend, "session_id": job.session_id, "private": job.private}
    )


async def list_jobs(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /jobs`: filters and pages; tags are found when the index has them."""
    now = await service.settle()
    query = request.query_params
    found = [
        job
        for job in service.jobs_of(caller.instance)
        if _matches(job, request, now, service.settings.tag_lag_seconds)
    ]
    found.sort(key=lambda job: (job.accepted, job.number), reverse=query.get("sort") != "ASC")
    offset, limit = _number(query.get("offset"), 0, 10**9), _number(query.get("limit"), _PAGE, _PAGE)
    count = len(found)
    if getattr(request.state, "duplicate_pages", False):
        offset, count = 0, count + limit
    page = [_shown(job) for job in found[offset : offset + limit]]
    return answered({"jobs": page, "count": count, "limit": limit, "offset": offset})


async def show(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /jobs/{id}`."""
    await service.settle()
    job = _job(service, request, caller)
    document = _shown(job)
    if request.query_params.get("exclude_params") != "true":
        params = "" if job.private else await service.ledger.params(job.id)
        document["params"] = json.loads(params or "{}")
    return answered(document)


async def results(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /jobs/{id}/results`: the result, or why there is none; nothing while the job runs."""
    await service.settle()
    job = _job(service, request, caller)
    if job.status == COMPLETED:
        if job.result_read:
            raise Refusal(404, 1219, f"The results of the private job {job.id} were read, and are gone")
        body = await service.ledger.result(job.id)
        if job.private:
            job.result_read = True
            service.timeline.changed_jobs[job.id] = job
            await service.settle()
        return Response(body, media_type=JSON_TYPE)
    if job.final:
        return Response(job.reason or "", media_type="text/plain")
    return done()


async def logs(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /jobs/{id}/logs`: they are there when the job has ended."""
    await service.settle()
    job = _job(service, request, caller)
    if not job.final:
        raise Refusal(404, 1292, f"Job {job.id} has no logs yet")
    lines = [
        f"{as_text(job.accepted)} accepted",
        *([f"{as_text(job.started)} running"] if job.started is not None else []),
        f"{as_text(job.finished)} {job.status.lower()}" + (f": {job.reason}" if job.reason else ""),
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain")


async def metrics(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /jobs/{id}/metrics`: when it was on the QPU, and its usage once that is final."""
    now = await service.settle()
    job = _job(service, request, caller)
    on_qpu = job.on_qpu if job.on_qpu is not None and job.on_qpu <= (job.finished or now) else None
    settled = job.finished is not None and now >= job.finished + service.settings.usage_lag_seconds
    position, starts = _outlook(service, job, now)
    return answered(
        {
            "timestamps": {
                "created": as_text(job.accepted),
                "running": as_text(on_qpu),
                "finished": as_text(job.finished),
            },
            "usage": {
                "qpu_charge_time_seconds": round(job.qpu_time(now), 3),
                "status": "complete" if settled else "pending",
            },
            "position_in_queue": position,
            "estimated_start_time": as_text(starts),
            "estimated_completion_time": as_text(None if starts is None else starts + job.estimate_seconds),
            "qiskit_version": "emulator",
            "caller": request.headers.get("X-Qx-Client-Application", ""),
        }
    )


async def cancel(service: Service, request: Request, caller: Caller) -> Response:
    """`POST /jobs/{id}/cancel`."""
    await service.cancel(_job(service, request, caller))
    return done()


async def write_tags(service: Service, request: Request, caller: Caller) -> Response:
    """`PUT /jobs/{id}/tags`: they take the place of those there were."""
    now = await service.settle()
    job = _job(service, request, caller)
    job.tags = read_tags(document_of(await request.body()).get("tags"), service.settings)
    job.tagged = now
    service.timeline.changed_jobs[job.id] = job
    await service.settle()
    return done()


async def delete(service: Service, request: Request, caller: Caller) -> Response:
    """`DELETE /jobs/{id}`."""
    await service.delete(_job(service, request, caller))
    return done()


async def workloads(service: Service, request: Request, caller: Caller) -> Response:
    """`GET /workloads`: jobs outside sessions, sessions and batches, newest first unless asked otherwise."""
    now = await service.settle()
    query = request.query_params
    entries = [_job_workload(job, now) for job in service.jobs_of(caller.instance) if job.session_id is None]
    entries += [
        {
            "id": session.id,
            "mode": "batch" if session.mode == "batch" else "session",
            "backend": session.backend,
            "status": session.state,
            "user_id": session.user,
            "created_at": as_text(session.created),
            "ended_at": as_text(session.closed),
            "tags": [],
            "usage_seconds": billing.session_seconds(session, service.jobs.values(), now),
        }
        for session in service.sessions.values()
        if session.instance == caller.instance
    ]
    for name, field in (("backend", "backend"), ("mode", "mode"), ("user", "user_id")):
        if name in query:
            entries = [entry for entry in entries if entry[field] == query[name]]
    if wanted := {status.lower() for status in query.getlist("status")}:
        entries = [entry for entry in entries if str(entry["status"]).lower() in wanted]
    if tags := set(query.getlist("tags")):
        entries = [entry for entry in entries if tags <= set(entry["tags"])]
    if "search" in query:
        entries = [entry for entry in entries if query["search"] in (entry["id"], *entry["tags"])]
    if "created_after" in query:
        after = from_text(query["created_after"])
        entries = [entry for entry in entries if from_text(entry["created_at"]) >= after]
    if "created_before" in query:
        before = from_text(query["created_before"])
        entries = [entry for entry in entries if from_text(entry["created_at"]) <= before]
    entries.sort(key=lambda entry: str(entry["created_at"]), reverse=query.get("sort") != "createdAt")
    limit = _number(query.get("limit"), 25, _PAGE)
    begin = _number(query.get("next"), 0, 10**9)
    if "previous" in query:
        begin = max(0, _number(query["previous"], 0, 10**9) - limit)
    page = entries[begin : begin + limit]
    return answered(
        {
            "workloads": page,
            "count": len(page),
            "total_count": len(entries),
            "next": str(begin + limit) if begin + limit < len(entries) else None,
            "previous": str(begin) if begin else None,
        }
    )


def _job(service: Service, request: Request, caller: Caller) -> Job:
    """The job of a path.

    Raises:
        Refusal: The instance has none of that id.
    """
    job = service.jobs.get(request.path_params["id"])
    if job is None or job.instance != caller.instance:
        raise Refusal(404, 1291, "Job not found. Verify that the job ID is correct")
    return job


def _shown(job: Job) -> dict[str, Any]:
    """A job as the API describes it."""
    state = {"status": job.status}
    if job.reason is not None:
        state |= {"reason": job.reason}
    document: dict[str, Any] = {
        "id": job.id,
        "backend": job.backend,
        "state": state if job.reason_code is None else {**state, "reason_code": job.reason_code},
        "status": job.status,
        "program": {"id": job.program},
        "created": as_text(job.accepted),
        "user_id": job.user,
        "tags": job.tags,
        "private": job.private,
        "cost": job.limit_seconds,
        "estimated_running_time_seconds": round(job.estimate_seconds, 3),
        "estimated_max_running_time_seconds": job.limit_seconds,
        "remote_storage": None,
    }
    if job.finished is not None:
        document["ended"] = as_text(job.finished)
    if job.session_id is not None:
        document["session_id"] = job.session_id
    return document


def _job_workload(job: Job, now: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "mode": "job",
        "backend": job.backend,
        "status": job.status,
        "user_id": job.user,
        "created_at": as_text(job.accepted),
        "ended_at": as_text(job.finished),
        "tags": job.tags,
        "usage_seconds": job.qpu_time(now),
        "estimated_running_time_seconds": job.estimate_seconds,
    }


def _matches(job: Job, request: Request, now: float, tag_lag: float) -> bool:
    """Whether a list shows a job."""
    query = request.query_params
    tags = set(query.getlist("tags"))
    if tags and not (tags <= set(job.tags) and job.tagged + tag_lag <= now):
        return False
    return all(
        name not in query or holds(query[name])
        for name, holds in (
            ("backend", lambda value: job.backend == value),
            ("program", lambda value: job.program == value),
            ("session_id", lambda value: job.session_id == value),
            ("pending", lambda value: job.final != (value == "true")),
            ("created_after", lambda value: job.accepted >= from_text(value)),
            ("created_before", lambda value: job.accepted <= from_text(value)),
        )
    )


def _number(text: str | None, default: int, most: int) -> int:
    """A number of a query.

    Raises:
        Refusal: It is none.
    """
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 12:
        raise Refusal(400, 1200, f"{text!r:.40} is no number of jobs")
    return min(int(text), most)


def _outlook(service: Service, job: Job, now: float) -> tuple[int | None, float | None]:
    """How many jobs are before a queued one, other people's too, and when it may come on the QPU."""
    if job.status != QUEUED or job.final:
        return None, job.on_qpu
    before = [one for one in service.timeline.queued(job.backend) if one.number < job.number]
    running = service.timeline.running(job.backend)
    others = 0
    if service.settings.seconds_per_queued_job and job.earliest > now:
        others = math.ceil((job.earliest - now) / service.settings.seconds_per_queued_job)
    ours = sum(one.estimate_seconds for one in before) + (
        0.0 if running is None else running.estimate_seconds
    )
    position = others + len(before) + (running is not None) + 1
    return position, max(job.earliest, now) + ours + service.settings.prepare_seconds
