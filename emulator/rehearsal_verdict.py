"""What one run of a rehearsal came to: from reports and the provider's own list of jobs. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from emulator.rehearsal_findings import Answer, Duplicate
from qurable.contracts.reports import JobReport, State
from qurable.errors import BY_CODE, HybridError, JobCancelled, RouteExhausted

Ending = JobReport | HybridError
"""How a job ended: its report, also where it has no answer, or the error where nobody wrote a report."""

_LOOKS = frozenset({"await_start", "await_done"})
"""Stages whose attempts are looks at a job that waits, not retries."""


def answer_of(report: Ending, began: float, ended: float) -> Answer:
    """What became of a job.

    Args:
        report: How it ended.
        began: When it was started, by the emulator's clock, in seconds since 1970.
        ended: When its end was noticed, by the same clock; the provider's own time of the end is exact.
    """
    if isinstance(report, HybridError):
        return Answer(
            id=str(report.details.get("job_id", "")),
            state=State.CANCELLED if isinstance(report, JobCancelled) else State.FAILED,
            error=report.code,
            message=report.message,
            seconds=ended - began,
        )
    finished = [job.finished.timestamp() for job in report.provider_jobs if job.finished is not None]
    answered = report.error is None
    seconds = ended - began
    if answered and finished and any(job.backend == report.served_by for job in report.provider_jobs):
        seconds = max(finished) - began + report.durations.post_processing
    return Answer(
        id=report.id,
        state=report.state,
        served_by=report.served_by if answered else "",
        error="" if report.error is None else _cause(report),
        message="" if report.error is None else report.error.message,
        seconds=seconds,
        provider_attempts=sum(max(0, job.attempts - 1) for job in report.provider_jobs),
        stage_attempts=sum(stage.attempt - 1 for stage in report.stages if stage.stage not in _LOOKS),
    )


def _cause(report: JobReport) -> str:
    """Class of what ended a job; of a route that is exhausted, of what ended its last rung."""
    assert report.error is not None  # noqa: S101  for the type checker
    exhausted = report.error.code not in BY_CODE or report.error.code == RouteExhausted.__name__
    return report.tried[-1].error.code if exhausted and report.tried else report.error.code


def duplicates_of(mine: Sequence[dict[str, Any]], reports: Sequence[Ending]) -> Iterator[Duplicate]:
    """The provider's jobs of this run beyond the one of each key that a report names, or else the first."""
    written = [report for report in reports if isinstance(report, JobReport)]
    kept = {name for report in written for job in report.provider_jobs for name in job.id.split(",")}
    known = {incident.id for report in written for incident in report.incidents}
    firsts: dict[str, str] = {}
    for job in sorted(mine, key=lambda job: (job["id"] not in kept, job["number"])):
        key = job["tags"][0] if job["tags"] else job["id"]
        if firsts.setdefault(key, job["id"]) != job["id"]:
            yield Duplicate(id=job["id"], known=job["id"] in known, billed_seconds=job["billed_seconds"])
