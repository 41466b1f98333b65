"""What the provider's answers say of a job, read with care: they come from outside."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backends.ibm.failures import scrub, status_of
from backends.ibm.http import clients_of
from qurable.contracts.executions import Phase, ProviderFacts
from qurable.errors import (
    CancelledElsewhere,
    ExecutionFailed,
    JobLost,
    OutOfTime,
    StateUnknown,
    TargetUnavailable,
)

RAN_TOO_LONG = "1305"
"""IBM's reason for a job that passed its `max_execution_time`; its status is then "Cancelled"."""

FINAL = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.LOST})

_PHASES: Mapping[str, Phase] = {
    "queued": Phase.QUEUED,
    "running": Phase.RUNNING,
    "completed": Phase.DONE,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}


def read_job(document: Any, metrics: Any = None) -> ProviderFacts:
    """The facts in a job's document and, where they were asked for, in its metrics.

    "Running" is the provider's word for a job that is being prepared too: only a time in the metrics says that it
    is on the QPU.

    Raises:
        StateUnknown: Its status is none that this version knows.
        TargetUnavailable: The document is none of a job.
    """
    if not isinstance(document, dict) or not isinstance(document.get("id"), str):
        raise TargetUnavailable(f"the provider answered {document!r:.80} where a job was asked for")
    state = document.get("state")
    state = state if isinstance(state, dict) else {}
    status = str(state.get("status") or document.get("status") or "")
    phase = _PHASES.get(status.lower())
    if phase is None:
        raise StateUnknown(
            f"job {document['id']!r} has status {status!r}, which this version does not know; it is asked again",
            status_word=status,
        )
    code = "" if state.get("reason_code") is None else str(state["reason_code"])
    if phase is Phase.CANCELLED and code == RAN_TOO_LONG:
        phase = Phase.FAILED
    metrics = metrics if isinstance(metrics, dict) else {}
    times, usage = _mapping(metrics.get("timestamps")), _mapping(metrics.get("usage"))
    started = _time(times.get("running"))
    if phase is Phase.RUNNING and started is None:
        phase = Phase.QUEUED
    seconds, position = usage.get("qpu_charge_time_seconds"), metrics.get("position_in_queue")
    tags = document.get("tags")
    return ProviderFacts(
        id=document["id"],
        phase=phase,
        status=status,
        created=_time(document.get("created")) or _time(times.get("created")),
        started=started,
        finished=_time(times.get("finished")),
        qpu_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        usage_complete=usage.get("status") == "complete",
        queue_position=position if isinstance(position, int) and position >= 0 else None,
        starts_at=_time(metrics.get("estimated_start_time")),
        reason=scrub(str(state.get("reason") or "")),
        reason_code=code,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
    )


def find_job(service: Any, job_id: str) -> tuple[Any, Any] | None:
    """The client of the instance that has a job, and the job's document; None where none has it."""
    for client in clients_of(service):
        try:
            return client, client.job_get(job_id)
        except Exception as failure:
            if status_of(failure) != 404:
                raise
    return None


def ask_for(service: Any, job_id: str) -> ProviderFacts:
    """What the provider says of a job now, its metrics where they are to be had."""
    found = find_job(service, job_id)
    if found is None:
        return lost(job_id)
    client, document = found
    try:
        metrics = client.job_metadata(job_id)
    except Exception as failure:
        if status_of(failure) == 401:
            raise
        metrics = None  # the job's own document says enough to go on
    return read_job(document, metrics)


def expect_done(facts: ProviderFacts) -> None:
    """Return for a job that is done.

    Raises:
        JobLost: The provider does not know it.
        CancelledElsewhere: It was cancelled.
        OutOfTime: It passed its `max_execution_time`.
        ExecutionFailed: It failed otherwise.
        TargetUnavailable: It has not ended.
    """
    about = {"reason": facts.reason, "reason_code": facts.reason_code}
    why = facts.reason or "no reason given"
    match facts.phase:
        case Phase.LOST:
            raise JobLost(f"the provider no longer knows job {facts.id!r}", **about)
        case Phase.CANCELLED:
            raise CancelledElsewhere(f"job {facts.id!r} was cancelled at the provider: {why}", **about)
        case Phase.FAILED if facts.reason_code == RAN_TOO_LONG:
            raise OutOfTime(f"job {facts.id!r} passed its max_execution_time: {why}", **about)
        case Phase.FAILED:
            raise ExecutionFailed(f"job {facts.id!r} failed at the provider: {why}", **about)
        case Phase.QUEUED | Phase.RUNNING:
            raise TargetUnavailable(f"job {facts.id!r} is not done; it is {facts.status!r}")


def lost(job_id: str) -> ProviderFacts:
    """The facts of a job that the provider does not know."""
    return ProviderFacts(id=job_id, phase=Phase.LOST)


def read_jobs(answer: Any, tag: str, limit: int) -> list[ProviderFacts]:
    """The jobs of one page that really have the tag, oldest first, each once.

    Args:
        answer: To a search; its count is not believed.
        tag: What was searched for.
        limit: Most jobs given back.

    Raises:
        TargetUnavailable: The answer is none to a search.
    """
    found = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise TargetUnavailable(f"the provider answered {answer!r:.80} where a list of jobs was asked for")
    facts = {one.id: one for one in map(read_job, found) if tag in one.tags}
    return sorted(facts.values(), key=lambda one: (one.created or datetime.max.replace(tzinfo=UTC), one.id))[
        :limit
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        read = value
    elif isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
