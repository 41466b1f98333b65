"""Where a job stands, from the store and from Temporal.

The store knows what a worker has accepted, and how it ended, for ever. Temporal knows a job from the moment it
was started, and whether it still runs; it also knows how a job ended that no worker has recorded: cancelled
before anyone took it, or terminated by an operator.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from gateway.connections import Connections
from qurable.client import Qurable
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, State
from qurable.errors import JobCancelled, JobFailed, JobNotFound, KeyReused
from qurable.names import HYBRID_JOB
from store import jobs
from store.database import now

JOB_ID = r"[a-z0-9-]{1,40}-[0-9a-f]{24}"
"""A project, and 24 hex characters of a digest; nothing else is the id of a job."""

_LIVE_SECONDS = 1.0
"""A worker that is there tells the stage in milliseconds; without one the store's word has to do."""


async def find(connections: Connections, job_id: str, *, live: bool = False) -> JobReport | JobStatus:
    """The report of a job that has ended, without the results of its pubs; the status of one that has not.

    Args:
        connections: To ask.
        job_id: Of the job.
        live: Whether to ask the workflow itself for its stage.

    Raises:
        JobNotFound: Neither Temporal nor the store knows it.
        ServiceUnreachable: It has not ended, and Temporal does not answer.
        StoreUnavailable: The store does not answer.
    """
    if not re.fullmatch(JOB_ID, job_id):
        raise JobNotFound(f"no job {job_id!r} is known: an id is a project, a dash and 24 hex digits")
    row, events = await connections.read(_look, job_id)
    report = None if row is None else jobs.read_report(row)
    if report is not None:
        return report
    try:
        description = await connections.ask(lambda qurable: _describe(qurable, job_id))
    except JobNotFound:
        if row is None:
            raise JobNotFound(f"no job {job_id!r} is known") from None
        return _status(
            row,
            events,
            "Temporal knows it no more: send its request again, under the same key, to have it finished",
        )
    if description.workflow_type != HYBRID_JOB:
        raise JobNotFound(f"{job_id!r} is no job's id: it is that of a workflow {description.workflow_type}")
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return await _ended(connections, job_id, description, events)
    if row is None:
        return JobStatus(
            id=job_id,
            state=State.ACCEPTED,
            since=description.start_time,
            waited=(now() - description.start_time).total_seconds(),
            last_failure="no worker has taken it yet",
        )
    status = await connections.ask(lambda qurable: _ask_workflow(qurable, job_id)) if live else None
    if status is not None:
        return status.model_copy(update={"events": events})
    return _status(row, events, "no worker answers; the job waits for one" if live else "")


async def with_results(connections: Connections, report: JobReport) -> JobReport:
    """A stored report with the results of its pubs: small ones come from Temporal, others from a worker.

    Raises:
        NoWorker: They are large, or old, and nobody is there to read them.
        ServiceUnreachable: Temporal does not answer.
    """
    if not report.results_in_store:
        return report
    return await connections.ask_a_worker(lambda qurable: qurable.result(report.id))


async def started_with(connections: Connections, job_id: str) -> tuple[JobHead, dict[str, Any]]:
    """Head and request that a job's workflow was started with, for jobs that no worker has accepted.

    Raises:
        JobNotFound: Temporal does not know it.
        ServiceUnreachable: Temporal does not answer.
    """
    return await connections.ask(lambda qurable: _first_input(qurable, job_id))


def _look(connection: Connection, job_id: str) -> tuple[Row[Any] | None, tuple[JobEvent, ...]]:
    row = jobs.find(connection, job_id)
    return row, () if row is None else jobs.events_of(connection, job_id)


async def _describe(qurable: Qurable, job_id: str) -> WorkflowExecutionDescription:
    return await qurable.temporal.get_workflow_handle(job_id).describe()


async def _ask_workflow(qurable: Qurable, job_id: str) -> JobStatus | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LIVE_SECONDS):
            return await qurable.status(job_id)
    return None


async def _first_input(qurable: Qurable, job_id: str) -> tuple[JobHead, dict[str, Any]]:
    handle = qurable.temporal.get_workflow_handle(job_id)
    history = handle.fetch_history_events(page_size=1)
    started = (await anext(history)).workflow_execution_started_event_attributes
    head, request = await qurable.temporal.data_converter.decode(
        started.input.payloads, [JobHead, dict[str, Any]]
    )
    return head, request


def _status(row: Row[Any], events: Sequence[JobEvent], remark: str) -> JobStatus:
    """As the store has it."""
    since = events[-1].at
    return JobStatus(
        id=row.id,
        state=State(row.state),
        backend=row.asked,
        since=since,
        waited=(now() - since).total_seconds(),
        last_failure=remark,
        events=tuple(events),
    )


async def _ended(
    connections: Connections,
    job_id: str,
    description: WorkflowExecutionDescription,
    events: Sequence[JobEvent],
) -> JobReport:
    """The report of a job whose workflow is closed; put together here where no worker has written one."""
    report = await connections.read(jobs.find_report, job_id)
    if report is not None:
        return report
    head, _ = await started_with(connections, job_id)
    try:
        return await connections.ask(lambda qurable: qurable.result(job_id))
    except JobFailed as failed:
        state, error = State.FAILED, failed.error
    except KeyReused as refused:
        state, error = State.FAILED, refused.document()
    except JobCancelled as cancelled:
        state, error = State.CANCELLED, cancelled.document()
    ended = description.close_time or now()
    return JobReport(
        id=job_id,
        project=head.project,
        kind=head.kind,
        state=state,
        asked=head.asked,
        because=error.message,
        events=(*events, JobEvent(state=state, at=ended, detail=error.message)),
        error=error,
    )
