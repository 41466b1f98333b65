"""Record: the job gets its report, and is over."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from temporalio import activity

from activities import steps
from activities.bills import bill_of
from activities.boundary import speaks_temporal
from activities.changes_made import every_change
from activities.checkpoint import Checkpoints, read_documents
from activities.documents import ProcessedDocument
from activities.reporting import build_report, durations, find_kept, results_of
from qurable.contracts.reports import JobEvent, JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.routes import Route
from qurable.contracts.stages import FinishCall, StageCall
from qurable.errors import InternalError, KeyReused, StageForgotten
from qurable.names import Activity
from store import approvals, jobs, shadows
from store.database import now
from store.shelf import StoreShelf

INLINE_BYTES = 32 * 1024
"""Results up to this size travel inside the report; larger ones stay in the store until somebody asks."""


class Record:
    """Records.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
    """

    def __init__(self, checkpoints: Checkpoints, shelf: StoreShelf) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf

    @activity.defn(name=Activity.RECORD)
    @speaks_temporal
    async def record(self, finish: FinishCall, derived: Any = None) -> JobReport:
        """Write the report; a job that has one keeps it."""
        call = finish.call
        report = await self._checkpoints.database.read(jobs.find_report, call.job_id)
        if report is None:
            with self._checkpoints.journaled(call):
                self._checkpoints.failpoint(f"{call.step}:begun")
                report = await self._checkpoints.database.write(_record, finish, derived)
            self._checkpoints.failpoint(f"{call.step}:kept")
        if report.error is not None or report.results_in_store > INLINE_BYTES:
            return report
        results = await results_of(self._checkpoints.database, self._shelf, call.job_id, call.rung)
        return with_results(report, [result for result in results if result is not None])


def _record(connection: Connection, finish: FinishCall, derived: object) -> JobReport:
    return (
        _record_failure(connection, finish)
        if finish.job is None
        else _record_answer(connection, finish, derived)
    )


def _record_answer(connection: Connection, finish: FinishCall, derived: object) -> JobReport:
    call = finish.call
    documents = read_documents(connection, call.job_id)
    kept = find_kept(connection, documents, call.rung)
    if kept is None:
        raise StageForgotten(
            f"the store has nothing to record of job {call.job_id!r}: it was restored from a backup"
        )
    ended = now()
    processed = documents.need(steps.post_process(call.rung), ProcessedDocument)
    report = build_report(connection, call.job_id, kept, processed, finish.tried, ended)
    return end(connection, call, report.model_copy(update={"derived": derived}), ended)


def end(connection: Connection, call: StageCall, report: JobReport, ended: datetime) -> JobReport:
    """Give a job its report and its last event; the first report stands and is given back."""
    last = JobEvent(
        state=report.state,
        at=ended,
        backend=call.backend,
        detail=report.error.message if report.error else "",
    )
    jobs.add_events(connection, call.job_id, [last], rung=call.rung)
    return jobs.end(connection, report, at=ended)


def with_results(report: JobReport, results: list[SampleResult | EstimateResult]) -> JobReport:
    """The report with its results inside, where they are small."""
    if not results or report.results_in_store > INLINE_BYTES:
        return report
    return report.model_copy(update={"results": tuple(results), "results_in_store": 0})


def _record_failure(connection: Connection, finish: FinishCall) -> JobReport:
    if finish.state is None or finish.error is None or finish.head is None:
        raise InternalError(f"job {finish.call.job_id!r} ended without saying how")
    ended = now()
    # It may end before it was accepted: cancelled at once, or with a store that was down until now.
    owned = jobs.accept(connection, finish.head, owner=finish.owner, request="", labels={}, at=ended)
    if owned.body_hash != finish.head.body_hash:
        raise KeyReused(f"the row of job {finish.head.id!r} belongs to a request with another body")
    job = jobs.need(connection, finish.call.job_id)
    events, stages = jobs.events_of(connection, job.id), jobs.stages_of(connection, job.id)
    documents = read_documents(connection, job.id)
    route = documents.find(steps.PLAN_ROUTE, Route)
    report = JobReport(
        id=job.id,
        project=job.project,
        kind=job.kind,
        state=finish.state,
        asked=job.asked,
        because=finish.error.message,
        tried=finish.tried,
        changes=every_change(documents),
        events=(*events, JobEvent(state=finish.state, at=ended, detail=finish.error.message)),
        stages=stages,
        durations=durations(events, stages, ended),
        **bill_of(connection, job.id, route).fields(),
        approvals=approvals.of_job(connection, job.id),
        labels=jobs.labels_of(job),
        shadow_of=shadows.answered_for(connection, job.id),
        error=finish.error,
    )
    return end(connection, finish.call, report, ended)
