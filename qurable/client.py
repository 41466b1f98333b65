"""The typed client: start jobs, look at them, get their reports. It speaks Temporal and nothing else."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary, State
from qurable.contracts.results import Results
from qurable.contracts.stages import ReadRequest
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import (
    HybridError,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyReused,
    NoWorker,
    ServiceUnreachable,
    from_document,
)
from qurable.names import HYBRID_JOB, READ_STORE, Attribute, Queue
from qurable.requests import AnyJob, as_job
from qurable.temporal.connect import connected
from qurable.temporal.in_workflow import MEMO_BODY

T = TypeVar("T")

_RPC = timedelta(seconds=10)
_QUERY = timedelta(seconds=2)
_READ = timedelta(seconds=60)
_LOOK_AGAIN_SECONDS = 0.1
_LOOK_AGAIN_AT_MOST_SECONDS = 2.0


@dataclass(frozen=True)
class Job:
    """A job that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _client: "Qurable"

    async def status(self) -> JobStatus:
        """Where it stands."""
        return await self._client.status(self.id)

    def events(self) -> AsyncIterator[JobEvent]:
        """Its state changes, from the first, until it ends."""
        return self._client.events(self.id)

    async def result(self, *, wait: timedelta | None = None) -> JobReport:
        """Its report; see `Qurable.result`."""
        return await self._client.result(self.id, wait=wait)

    async def cancel(self) -> None:
        """Cancel it; the simulation stops, or the provider's job is withdrawn."""
        await self._client.cancel(self.id)


class Qurable:
    """A client of a Qurable service.

    Args:
        temporal: A Temporal client with this project's converter, as `Qurable.connect` makes one.
    """

    def __init__(self, temporal: Client) -> None:
        self.temporal = temporal
        self._attributes_known = True

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, address: str | None = None, *, home: Path | None = None) -> AsyncIterator[Self]:
        """Connect as Temporal's environment configuration says, else to the embedded service that runs.

        Args:
            address: `host:port`, before any configuration.
            home: Data folder; by default `QURABLE_HOME`.

        Raises:
            ServiceUnreachable: Nobody answers there.
        """
        async with connected(address=address, home=home) as temporal:
            yield cls(temporal)

    async def submit(self, work: Any, **options: Any) -> Job:
        """Start a job, or find the one that its idempotency key already started.

        Args:
            work: A job, or something to sample: OpenQASM text, a path, a `QuantumCircuit`, a pub.
            **options: Fields of the job: `shots`, `backend`, `seed`, `key`, `project`, ...

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to a job with another body.
            ServiceUnreachable: Temporal does not answer.
        """
        job = as_job(work, **options)
        await self._start(job)
        return Job(job.job_id, self)

    async def run(self, work: Any, *, wait: timedelta | None = None, **options: Any) -> JobReport:
        """Start a job and wait for its report; see `submit` and `result`."""
        job = await self.submit(work, **options)
        return await job.result(wait=wait)

    async def _start(self, job: AnyJob) -> None:
        head = JobHead.of(job)
        pubs = len(getattr(job, "pubs", ())) or 1
        attributes = self._attributes(head) if self._attributes_known else TypedSearchAttributes.empty
        try:
            await self.temporal.start_workflow(
                HYBRID_JOB,
                args=[head, job],
                id=head.id,
                task_queue=Queue.WORKFLOWS,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={MEMO_BODY: head.body_hash},
                search_attributes=attributes,
                static_summary=f"{head.kind} · {pubs} pub{'s' * (pubs > 1)} · asked for {head.asked}",
                priority=Priority(priority_key=head.priority, fairness_key=head.project),
                request_eager_start=True,
                rpc_timeout=_RPC,
            )
        except WorkflowAlreadyStartedError:
            await self._same_body(head)
        except RPCError as failure:
            if (
                failure.status is RPCStatusCode.INVALID_ARGUMENT
                and "search attribute" in failure.message.lower()
            ):
                self._attributes_known = False  # a server where nobody has registered them
                await self._start(job)
                return
            raise _unreachable(failure) from None

    def _attributes(self, head: JobHead) -> TypedSearchAttributes:
        words = {
            Attribute.PROJECT: head.project,
            Attribute.BACKEND: head.asked[:200],
            Attribute.STAGE: State.ACCEPTED,
        }
        return TypedSearchAttributes(
            [
                SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word))
                for name, word in words.items()
            ]
        )

    async def _same_body(self, head: JobHead) -> None:
        description = await self._rpc(self.temporal.get_workflow_handle(head.id).describe(rpc_timeout=_RPC))
        known = (await description.memo()).get(MEMO_BODY)
        if known is not None and known != head.body_hash:
            raise KeyReused(
                f"the idempotency key of job {head.id!r} already belongs to a request with another body: use a new key for a new job",
                job_id=head.id,
            )

    async def result(self, job_id: str, *, wait: timedelta | None = None) -> JobReport:
        """The report of a job, waiting until it has one.

        Args:
            job_id: Of the job.
            wait: Give up waiting after this long; the job goes on.

        Raises:
            JobFailed: It ended without an answer; `.error` says why.
            JobCancelled: It was cancelled.
            JobNotFound: Nobody knows it.
            TimeoutError: The wait is over.
        """
        async with asyncio.timeout(None if wait is None else wait.total_seconds()):
            report = await self._report(job_id)
        return await self.read_report(job_id) if report.results_in_store and not report.results else report

    async def _report(self, job_id: str) -> JobReport:
        handle = self.temporal.get_workflow_handle(job_id, result_type=JobReport)
        try:
            report: JobReport = await handle.result()
        except WorkflowFailureError as failure:
            raise _ended(job_id, failure) from None
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise _unreachable(failure) from None
        else:
            return report
        report = await self.read_report(job_id)  # Temporal has forgotten it; the store has not
        if report.error is not None:
            raise from_error(job_id, report.error)
        return report

    async def read_report(self, job_id: str) -> JobReport:
        """The report of a job that has ended, also of one that failed, with all its results, from the store.

        Raises:
            JobNotFound: The store has no such job, or it has not ended.
        """
        return await self._read(ReadRequest(what="report", job_id=job_id), JobReport)

    async def results(self, job_id: str) -> Results:
        """Results of the pubs that are finished, before the job ends; None for the others.

        Raises:
            JobNotFound: The store has no such job.
        """
        return await self._read(ReadRequest(what="results", job_id=job_id), Results)

    async def status(self, job_id: str) -> JobStatus:
        """Where a job stands; also where no worker is there to tell.

        Raises:
            JobNotFound: Nobody knows it.
        """
        handle = self.temporal.get_workflow_handle(job_id)
        try:
            description = await handle.describe(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND:
                return _status_of(await self.read_report(job_id))
            raise _unreachable(failure) from None
        pending = description.raw_description.pending_activities
        attempt = pending[0].attempt if pending else 1
        failure_message = await self._failure_message(pending[0]) if pending else ""
        try:
            status: JobStatus = await handle.query("status", result_type=JobStatus, rpc_timeout=_QUERY)
        except (RPCError, WorkflowQueryFailedError):
            state = (
                _STATE_OF.get(description.status, State.ACCEPTED)
                if description.status is not None
                else State.ACCEPTED
            )
            waiting = "" if state.final else "no worker answers; the job waits for one"
            return JobStatus(id=job_id, state=state, attempt=attempt, last_failure=failure_message or waiting)
        waited = 0.0 if status.since is None else (datetime.now(UTC) - status.since).total_seconds()
        return status.model_copy(
            update={
                "waited": 0.0 if status.state.final else waited,
                "attempt": attempt,
                "last_failure": failure_message,
            }
        )

    async def _failure_message(self, pending: Any) -> str:
        if not pending.HasField("last_failure"):
            return ""
        converter = self.temporal.data_converter
        error = await converter.decode_failure(pending.last_failure)
        return str(getattr(error, "message", error))

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        """State changes of a job from the first, as they come, until it ends.

        Raises:
            JobNotFound: Nobody knows it.
        """
        seen, pause = 0, _LOOK_AGAIN_SECONDS
        while True:
            status = await self.status(job_id)
            for event in status.events[seen:]:
                yield event
            pause = (
                _LOOK_AGAIN_SECONDS
                if len(status.events) > seen
                else min(pause * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
            )
            seen = max(seen, len(status.events))
            if status.state.final:
                return
            await asyncio.sleep(pause)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended stays as it is.

        Raises:
            JobNotFound: Nobody knows it.
        """
        try:
            await self.temporal.get_workflow_handle(job_id).cancel(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise _unreachable(failure) from None
            await self.status(job_id)  # ended, or unknown: the difference matters

    async def list(
        self, *, project: str | None = None, states: Sequence[State] = (), limit: int = 50
    ) -> tuple[JobSummary, ...]:
        """Jobs, newest first."""
        request = ReadRequest(what="jobs", project=project, states=tuple(states), limit=limit)
        return await self._read(request, tuple[JobSummary, ...])

    async def backends(self) -> tuple[TargetSnapshot, ...]:
        """What the workers offer; a backend that cannot run there says why."""
        return await self._read(ReadRequest(what="backends"), tuple[TargetSnapshot, ...])

    async def _read(self, request: ReadRequest, kind: type[T]) -> T:
        try:
            answer: T = await self.temporal.execute_workflow(
                READ_STORE,
                request,
                id=f"qurable-read-{secrets.token_hex(8)}",
                task_queue=Queue.WORKFLOWS,
                execution_timeout=_READ,
                result_type=kind,
                request_eager_start=True,
                rpc_timeout=_RPC,
            )
        except WorkflowFailureError as failure:
            error = _document(failure)
            if error is None:
                raise NoWorker(
                    f"no worker answered within {_READ.total_seconds():g} s: start one with `python worker.py` or `make up`"
                ) from None
            raise from_document(error) from None
        except RPCError as failure:
            raise _unreachable(failure) from None
        return answer

    async def _rpc(self, call: Any) -> Any:
        try:
            return await call
        except RPCError as failure:
            raise _unreachable(failure) from None


_STATE_OF = {
    WorkflowExecutionStatus.COMPLETED: State.COMPLETED,
    WorkflowExecutionStatus.FAILED: State.FAILED,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
    WorkflowExecutionStatus.CANCELED: State.CANCELLED,
}


def _status_of(report: JobReport) -> JobStatus:
    return JobStatus(id=report.id, state=report.state, backend=report.served_by, events=report.events)


def _document(failure: WorkflowFailureError) -> ErrorDocument | None:
    """The error at the root of a workflow's failure, where it is one of ours."""
    cause: BaseException | None = failure.cause
    while cause is not None:
        if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
            return ErrorDocument.model_validate(cause.details[0])
        cause = cause.__cause__
    return None


def _ended(job_id: str, failure: WorkflowFailureError) -> HybridError:
    if isinstance(failure.cause, CancelledError):
        return JobCancelled(f"job {job_id!r} was cancelled before it had an answer", job_id=job_id)
    error = _document(failure) or ErrorDocument(code="JobFailed", message=f"{failure.cause or failure}")
    return from_error(job_id, error)


def from_error(job_id: str, error: ErrorDocument) -> HybridError:
    """What a job's error means to whoever waits for its report."""
    if error.code == JobCancelled.__name__:
        return JobCancelled(error.message, job_id=job_id)
    if error.code == KeyReused.__name__:
        return KeyReused(error.message, job_id=job_id)
    return JobFailed(f"job {job_id!r} failed: {error.message}", error, job_id=job_id)


def _unreachable(failure: RPCError) -> HybridError:
    if failure.status is RPCStatusCode.NOT_FOUND:
        return JobNotFound(f"Temporal knows no such job: {failure.message}")
    return ServiceUnreachable(
        f"Temporal does not answer ({failure.status.name}: {failure.message}): jobs that it has go on when it is back; start it, "
        "for instance with `make up`, or set TEMPORAL_ADDRESS"
    )
