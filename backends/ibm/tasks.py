"""Tasks for a child that drives IBM's client: plain data in, plain data out, failures in this project's words.

Every payload has `account`, an `Account` as a mapping, and may have `read_seconds`, how long to wait for one
answer, and `max_body_bytes`. Each task ends within seconds whatever the provider does, and may be called again.
`post` alone sends something that costs money: at most once a call, and never after its `not_after`.
"""

from typing import Any

from backends.ibm.bearer import claims_of
from backends.ibm.devices import (
    expect_open,
    live_statuses,
    open_device,
    read_device,
    read_status,
)
from backends.ibm.facts import FINAL, ask_for, expect_done, find_job, lost, read_job, read_jobs
from backends.ibm.failures import of_question
from backends.ibm.http import clients_of
from backends.ibm.permits import READ_SECONDS, Permit, Watch
from backends.ibm.service import ask, connected
from backends.ibm.sessions import expect_accepting, mode_of, open_one, read_session
from isolation.child import Emit
from qurable.contracts.base import digest
from qurable.contracts.executions import ProviderFacts, Slice, Submission
from qurable.contracts.ibm import Generation
from qurable.errors import (
    HybridError,
    ResultRefused,
    SubmissionUnclear,
    UsageExhausted,
)

_PAGE = 200
"""Most jobs that IBM lists in one answer."""


def user(payload: Any, _emit: Emit) -> Any:
    """Task: who the provider counts, which instance pays, and what is left of its allowance.

    Returns:
        `{"user": 16 hex digits, "instance", "plan", "usage": {"consumed_seconds", "limit_seconds",
        "remaining_seconds", "reached"}}`; seconds are None where the provider does not say.
    """

    def question(service: Any, _: Watch) -> Any:
        owner = claims_of(service).get("iam_id") or service.active_account()["token"]
        instance = service.active_instance() or ""
        plans = {entry.get("crn"): entry.get("plan") for entry in service.instances()}
        usage = service.usage()
        return {
            "user": digest(str(owner), length=16),
            "instance": instance,
            "plan": str(plans.get(instance) or ""),
            "usage": {
                "consumed_seconds": usage.get("usage_consumed_seconds"),
                "limit_seconds": usage.get("usage_limit_seconds", usage.get("usage_allocation_seconds")),
                "remaining_seconds": usage.get("usage_remaining_seconds"),
                "reached": bool(usage.get("usage_limit_reached")),
            },
        }

    return ask(payload, "reading the account", question)


def devices(payload: Any, _emit: Emit) -> Any:
    """Task: every device of at least `min_qubits` qubits with its status of this moment.

    The status in the provider's list is that of an earlier moment, and no backend is built for it.

    Returns:
        `[{"name", "qubits", "operational", "message", "pending_jobs"}]`; a device whose status cannot be read is
        not operational.

    Raises:
        TargetUnavailable: The list, or every status, cannot be read.
    """
    return ask(
        payload, "listing IBM's devices", lambda service, _: live_statuses(service, payload["min_qubits"])
    )


def device(payload: Any, _emit: Emit) -> Any:
    """Task: one device in full, as it is calibrated now; `device` names it with or without `ibm_`.

    Returns:
        `{"name", "qubits", "version", "calibrated", "operational", "message", "pending_jobs", "document",
        "fractional_document", "dynamic", "max_shots", "max_circuits", "rep_delay", "rep_delay_range", "dt"}`:
        documents are JSON of a `TargetDocument`, the time is ISO in UTC, delays and dt are seconds.

    Raises:
        UnknownBackend: The account has no such device; near names are in the message.
    """
    asked = payload["device"]
    return ask(payload, f"reading device {asked!r}", lambda service, _: read_device(service, asked))


def status(payload: Any, _emit: Emit) -> Any:
    """Task: a device's status of this moment; `device` names it with or without `ibm_`.

    Returns:
        `{"operational", "message", "pending_jobs"}`.

    Raises:
        UnknownBackend: The account has no such device.
    """
    asked = payload["device"]

    def question(service: Any, _: Watch) -> Any:
        return read_status(service, asked)

    return ask(payload, f"reading the status of device {asked!r}", question)


def find(payload: Any, _emit: Emit) -> Any:
    """Task: the jobs that have a tag, at most `limit`, as `ProviderFacts` in JSON.

    The oldest come first, or with `newest` the newest; with `pending` only those that have not ended.

    One request an instance: the client's own search never ends where the provider's count is wrong.
    """
    tag, limit = payload["tag"], payload["limit"]

    def question(service: Any, _: Watch) -> Any:
        found: dict[str, ProviderFacts] = {}
        for client in clients_of(service):
            answer = client.jobs_get(
                limit=min(limit, _PAGE),
                job_tags=[tag],
                descending=payload.get("newest", False),
                pending=payload.get("pending"),
            )
            found |= {facts.id: facts for facts in read_jobs(answer, tag, limit)}
        return [facts.model_dump_json() for facts in list(found.values())[:limit]]

    return ask(payload, f"looking for jobs tagged {tag!r}", question)


def post(payload: Any, _emit: Emit) -> Any:
    """Task: submit one part of a submission, in one request that is sent once or not at all.

    Args:
        payload: `{"account", "device", "tags", "session", "generation", "submission": JSON, "slices",
            "max_execution_time", "circuits": {isa hash: QPY}, "not_after", "read_seconds"}`: after `not_after`, in
            seconds since 1970, nothing is sent; after `max_execution_time` QPU seconds the provider ends the job.

    Returns:
        `{"id"}`.

    Raises:
        SubmissionUnclear: It was sent, and whether it was taken is not known.
        HybridError: It was certainly not taken; `sent` in the details says whether it was tried.
    """
    doing = f"submitting to {payload['device']!r}"
    submission = Submission.model_validate_json(payload["submission"])
    backend = ask(payload, doing, lambda service, _: _ready(service, payload, submission))
    permit = Permit(payload["not_after"], payload["read_seconds"])
    watch = Watch(read_seconds=payload["read_seconds"], permit=permit)
    try:
        with connected(payload, doing, watch) as (service, _):
            from backends.ibm.pubs import start

            slices = [Slice.model_validate(one) for one in payload["slices"]]
            mode = mode_of(service, backend, payload["session"], submission)
            start(
                mode,
                submission,
                slices,
                payload["circuits"],
                generation=Generation(payload["generation"]),
                tags=payload["tags"],
                max_execution_time=payload.get("max_execution_time"),
            )
    except HybridError:  # also after the job was made: the client asks for more before it gives its id
        if permit.job_id is None:
            raise
    if permit.job_id is None:
        raise SubmissionUnclear(
            f"{doing}: no id came back; whether the job was taken will show",
            sent=True,
            status=None,
            code=None,
        )
    return {"id": permit.job_id}


def look(payload: Any, _emit: Emit) -> Any:
    """Task: the facts of jobs by their `ids`, in order, as `ProviderFacts` in JSON.

    Raises:
        StateUnknown: One has a status that this version does not know.
    """

    def question(service: Any, _: Watch) -> Any:
        return [ask_for(service, name).model_dump_json() for name in payload["ids"]]

    return ask(payload, "asking for the state of jobs", question)


def fetch(payload: Any, emit: Emit) -> Any:
    """Task: read the result of a job that is done, and emit it in pieces as `isolation.aer.simulate` does.

    Args:
        payload: `{"account", "id", "submission": JSON, "slices"}`.
        emit: Is given `{"pub", "start", "stop", "data": npz, "notes", "seconds"}` for each piece.

    Raises:
        ResultRefused: What came is not a result of these pubs.
        ExecutionFailed: The job failed; CancelledElsewhere, JobLost and TargetUnavailable where it was cancelled, is
            gone, or is not done yet.
    """
    name = payload["id"]

    def question(service: Any, watch: Watch) -> Any:
        facts = ask_for(service, name)
        expect_done(facts)
        try:
            result = service.job(name).result(timeout=payload.get("read_seconds", READ_SECONDS))
        except HybridError:
            raise
        except Exception as error:
            if watch.failed is not None:
                raise
            raise ResultRefused(
                f"the result of job {name!r} cannot be decoded ({type(error).__name__}: {error})"
            ) from None

        return result, facts.qpu_seconds

    result, seconds = ask(payload, f"reading the result of job {name!r}", question)
    from backends.ibm.results import pieces

    submission = Submission.model_validate_json(payload["submission"])
    slices = [Slice.model_validate(one) for one in payload["slices"]]
    for piece in pieces(result, submission, slices, seconds=seconds or 0.0):
        emit(piece)


def cancel(payload: Any, _emit: Emit) -> Any:
    """Task: cancel a job, and say what the provider says of it afterwards, as `ProviderFacts` in JSON.

    A job that has ended is told as it ended, one that is gone as lost.
    """
    name = payload["id"]

    def question(service: Any, watch: Watch) -> Any:
        found = find_job(service, name)
        if found is None:
            return lost(name).model_dump_json()
        client, document = found
        failed = None
        if read_job(document).phase not in FINAL:
            try:
                client.job_cancel(name)
            except (
                Exception
            ):  # it may have ended meanwhile, or been cancelled all the same: that is asked next
                failed = watch.failed
                if failed is None or failed.status == 401:
                    raise
        facts = ask_for(service, name)
        if failed is not None and facts.phase not in FINAL:
            raise of_question(failed, watch, f"cancelling job {name!r}")
        return facts.model_dump_json()

    return ask(payload, f"cancelling job {name!r}", question)


def open_session(payload: Any, _emit: Emit) -> Any:
    """Task: open a session or batch on a device: `{"device", "mode": "session" or "batch", "max_seconds"}` to `{"id"}`."""
    mode, device_name = payload["mode"], payload["device"]
    return ask(
        payload,
        f"opening a {mode} on {device_name!r}",
        lambda service, _: {"id": open_one(service, device_name, mode, payload["max_seconds"])},
    )


def session(payload: Any, _emit: Emit) -> Any:
    """Task: where a session or batch stands.

    Returns:
        `{"state", "accepting_jobs", "elapsed_seconds", "max_seconds", "mode", "device"}`, None where it is not said.

    Raises:
        SessionClosed: The provider does not know it.
    """

    def question(service: Any, _: Watch) -> Any:
        details = read_session(service, payload["id"])
        return {
            "state": str(details.get("state") or ""),
            "accepting_jobs": bool(details.get("accepting_jobs")),
            "elapsed_seconds": details.get("elapsed_time"),
            "max_seconds": details.get("max_ttl"),
            "mode": details.get("mode"),
            "device": details.get("backend_name"),
        }

    return ask(payload, f"asking for session {payload['id']!r}", question)


def close_session(payload: Any, _emit: Emit) -> Any:
    """Task: let a session or batch take no more jobs; one that is closed or unknown stays so."""

    def question(service: Any, _: Watch) -> Any:
        for client in clients_of(service):
            client.close_session(payload["id"])
        return {}

    return ask(payload, f"closing session {payload['id']!r}", question)


def _ready(service: Any, payload: Any, submission: Submission) -> Any:
    """The device's backend, once nothing speaks against a submission; all of this may be asked twice.

    Raises:
        UsageExhausted: The allowance is used up; the client would only warn, and the job lie there.
        TargetClosed: The device takes no jobs.
        SessionClosed: The session takes none.
    """
    if payload["session"]:
        expect_accepting(service, payload["session"])
    backend = open_device(
        service, payload["device"], use_fractional_gates=submission.ibm.use_fractional_gates
    )
    if service.usage().get("usage_limit_reached"):
        raise UsageExhausted(
            "the instance has reached its usage limit at IBM; wait for the next period, or raise the limit"
        )
    expect_open(backend)
    return backend
