"""Record: the job gets its report, and is over."""

from typing import Any

from sqlalchemy import Connection
from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, load
from activities.documents import ProcessedDocument
from activities.post_process import step_of as post_process_step
from activities.reporting import assemble_results, build_report, read_kept
from qurable.contracts.jobs import read_request
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.stages import FinishCall
from qurable.errors import InternalError
from qurable.names import Activity
from store import jobs
from store.database import now
from store.shelf import StoreShelf

INLINE_BYTES = 128 * 1024
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
        with self._checkpoints.journaled(call):
            self._checkpoints.failpoint(f"{call.step}:begun")
            if finish.job is None:
                report = await self._checkpoints.database.write(_record_failure, finish)
                results: list[SampleResult | EstimateResult] = []
            else:
                report, results = await self._record_answer(finish, derived)
        self._checkpoints.failpoint(f"{call.step}:kept")
        return with_results(report, results)

    async def _record_answer(
        self, finish: FinishCall, derived: object
    ) -> tuple[JobReport, list[SampleResult | EstimateResult]]:
        call = finish.call
        kept = await self._checkpoints.database.read(read_kept, call.head.id, call.rung)
        processed = await self._checkpoints.database.read(
            load, call.head.id, post_process_step(call.rung), ProcessedDocument
        )
        if kept is None or processed is None:
            raise InternalError(f"job {call.head.id!r} has nothing to record")
        labels = read_request(await self._shelf.artifact(kept.validated.request)).labels

        def write(connection: Connection) -> JobReport:
            ended = now()
            report = build_report(connection, call.head, kept, processed, ended, labels)
            report = report.model_copy(update={"derived": derived, "tried": finish.tried})
            jobs.add_event(
                connection, call.head.id, State.COMPLETED, at=ended, rung=call.rung, backend=call.backend
            )
            return jobs.end(connection, report, at=ended)

        report = await self._checkpoints.database.write(write)
        if processed.size > INLINE_BYTES:
            return report, []
        return report, [result for result in await assemble_results(self._shelf, kept) if result is not None]


def with_results(report: JobReport, results: list[SampleResult | EstimateResult]) -> JobReport:
    """The report with its results inside, where they are small."""
    if not results or report.results_in_store > INLINE_BYTES:
        return report
    return report.model_copy(update={"results": tuple(results), "results_in_store": 0})


def _record_failure(connection: Connection, finish: FinishCall) -> JobReport:
    head = finish.call.head
    if finish.state is None or finish.error is None:
        raise InternalError(f"job {head.id!r} ended without saying how")
    ended = now()
    row = jobs.find(connection, head.id)
    if row is None:
        raise InternalError(f"job {head.id!r} was never accepted")
    jobs.add_event(
        connection, head.id, finish.state, at=ended, rung=finish.call.rung, detail=finish.error.message
    )
    report = JobReport(
        id=head.id,
        project=head.project,
        kind=head.kind,
        state=finish.state,
        asked=head.asked,
        because=finish.error.message,
        tried=finish.tried,
        events=jobs.events_of(connection, head.id),
        stages=jobs.stages_of(connection, head.id),
        labels=jobs.labels_of(row),
        error=finish.error,
    )
    return jobs.end(connection, report, at=ended)
