"""The typed client: start jobs, look at them, get their reports. It speaks Temporal and nothing else."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from qurable.batches import Batch, run_again, start_batch
from qurable.comparing import Comparison, as_comparison, start_comparison
from qurable.contracts.approvals import Approvals, Decision
from qurable.contracts.base import Contract
from qurable.contracts.batches import OnError
from qurable.contracts.budgets import BudgetChange, Budgets
from qurable.contracts.comparisons import Comparison as ComparisonRequest
from qurable.contracts.cutting import CutPrice
from qurable.contracts.jobs import JobHead
from qurable.contracts.precise import PreciseReport
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary, State
from qurable.contracts.results import Results
from qurable.contracts.rollout import Rollout, RolloutChange
from qurable.contracts.routes import Route
from qurable.contracts.stages import ReadRequest
from qurable.contracts.targets import TargetSnapshot
from qurable.contracts.why import Why
from qurable.cutting import Cut, as_cut, price_cut, run_cut_again, start_cut
from qurable.deciding import as_decision, decide
from qurable.endings import document_of, from_error, unreachable
from qurable.errors import DecisionRefused, JobNotFound, NoWorker, from_document
from qurable.matrices import MatrixRun, as_features, as_kernel, run_matrix_again, start_matrix
from qurable.names import HYBRID_JOB, READ_STORE, SET_BUDGET, SET_ROLLOUT, Queue
from qurable.optimising import Loop, as_optimisation, start_loop
from qurable.precise import PreciseJob, as_precise, start_precise
from qurable.requests import AnyJob, as_job
from qurable.schedules import Schedules
from qurable.temporal.attributes import first_words
from qurable.temporal.connect import connected
from qurable.temporal.following import cancel, end_of
from qurable.temporal.starting import Start, start_once

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
        self.schedules = Schedules(temporal)
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

    @overload
    async def run(self, work: Any, *, wait: None = None, **options: Any) -> JobReport: ...

    @overload
    async def run(self, work: Any, *, wait: timedelta, **options: Any) -> JobReport | Job: ...

    async def run(self, work: Any, *, wait: timedelta | None = None, **options: Any) -> JobReport | Job:
        """Start a job and wait for its report; see `submit` and `result`.

        With a `wait`, the report if it comes within that, else the job, as `submit` gives it back: it goes on. To have some
        answer by a certain time, give the job a deadline (`limits.total`), which its ladder is walked by.
        """
        job = await self.submit(work, **options)
        try:
            return await job.result(wait=wait)
        except TimeoutError:
            return job

    async def batch(
        self,
        work: Any,
        *,
        key: str | None = None,
        project: str = "default",
        on_error: OnError = "stop",
        qpy: bool = True,
    ) -> Batch:
        """Start any number of jobs as one, or find the batch that its key already started.

        Args:
            work: A path to a file of JSON lines, a job on each; such lines as bytes; or an iterable of jobs or of things to
                sample.
            key: Idempotency key; minted if absent.
            project: Of all its items.
            on_error: What becomes of it where a line is broken: `stop`, and nothing runs, or `go-on` without the line.
            qpy: Whether circuits may come as QPY; whoever passes on what strangers wrote says no.

        Raises:
            RequestRejected: There are no lines, or too many.
            KeyReused: The key belongs to a batch with other lines.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_batch(self.temporal, self._read, work, key, project, on_error, qpy=qpy)

    async def run_batch_again(self, batch_id: str) -> Batch:
        """Run what failed or was cancelled of a batch that has ended; one that runs goes on.

        Raises:
            JobNotFound: It is no batch's id.
            ServiceUnreachable: Temporal does not answer.
        """
        return await run_again(self.temporal, self._read, batch_id)

    def attach_batch(self, batch_id: str) -> Batch:
        """A batch by its id, whoever started it."""
        return Batch(batch_id, self.temporal, self._read)

    async def cut(self, work: Any, **options: Any) -> Cut:
        """Estimate a circuit in fragments, or find the cut that its key already started.

        It is cut where it is wider than `cut["qubits"]` or, without that, than the backend; it runs whole where it is not.

        Args:
            work: A pub as Qiskit's estimator takes it, `(circuit, observables, values, precision)`, or an estimation job of one.
            **options: `cut` (fields of `CutOptions`: `qubits`, `max_overhead`, ...), `marginals`, `shots` of each experiment in the
                place of `precision`, and other fields of `EstimateJob`: `backend`, `seed`, `key`, ...

        Raises:
            RequestRejected: Naming the field; sampling is refused with the reason.
            KeyReused: The key belongs to a cut with another body.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_cut(self.temporal, self._read, as_cut(work, **options))

    async def price_cut(self, work: Any, **options: Any) -> CutPrice:
        """What a cut would take: where it cuts, its sampling overhead, experiments, shots, QPU time; nothing is run or kept.

        Arguments are those of `cut`.

        Raises:
            RequestRejected: Naming the field.
            JobFailed: It cannot be cut so; `.error` says why.
        """
        return await price_cut(self.temporal, as_cut(work, **options))

    def attach_cut(self, cut_id: str) -> Cut:
        """A cut by its id, whoever started it."""
        return Cut(cut_id, self.temporal, self._read)

    async def run_cut_again(self, cut_id: str) -> Cut:
        """Run the fragments without an answer of a cut that has ended; one that runs goes on.

        Raises:
            JobNotFound: It is no cut's id.
            ServiceUnreachable: Temporal does not answer.
        """
        return await run_cut_again(self.temporal, self._read, cut_id)

    async def optimise(self, work: Any, ansatz: Any, **options: Any) -> Loop:
        """Start a variational loop, or find the one that its key already started.

        Args:
            work: A problem, a path to a problem's file, or an observable.
            ansatz: A family such as `"hamiltonian:3"`, or a circuit with parameters.
            **options: Fields of `Optimisation`: `optimiser`, `stop`, `shots`, `seed`, `key`, ...

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to a loop with another body.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_loop(self.temporal, self._read, as_optimisation(work, ansatz, **options))

    def attach_loop(self, loop_id: str) -> Loop:
        """A variational loop by its id, whoever started it."""
        return Loop(loop_id, self.temporal, self._read)

    async def start_precise(
        self, circuit: Any, observable: Any, values: Any = None, **options: Any
    ) -> PreciseJob:
        """Start an estimate to a precision at a price, or find the one that its key already started.

        Args:
            circuit: As for `estimate`.
            observable: One: a Pauli label, a sum of them, a `SparsePauliOp`.
            values: Of the circuit's parameters.
            **options: `precision` (standard error), `max_price` with `currency`, `max_qpu_seconds`, `max_shots`,
                `pilot_shots`, and fields of `EstimateJob`.

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to another request.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_precise(self.temporal, as_precise(circuit, observable, values, **options))

    async def precise(
        self, circuit: Any, observable: Any, values: Any = None, **options: Any
    ) -> PreciseReport:
        """Estimate to a precision at a price, and wait for the report; see `start_precise`.

        Raises:
            JobFailed: A round failed, or not even the first was within the limits.
        """
        return await (await self.start_precise(circuit, observable, values, **options)).report()

    def attach_precise(self, precise_id: str) -> PreciseJob:
        """An estimate to a precision by its id, whoever started it."""
        return PreciseJob(precise_id, self.temporal)

    async def kernel(self, feature_map: Any, x_train: Any, x_test: Any = None, **options: Any) -> MatrixRun:
        """Start a quantum kernel matrix, or find the one that its key already started.

        K(x, y) = |<phi(x)|phi(y)>|^2 by overlap circuits. Half of the training matrix is run, its diagonal is not, and what an
        earlier matrix of the project has is taken from there.

        Args:
            feature_map: A unitary circuit with a parameter for each column of the data, in the order of Qiskit's `parameters`.
            x_train: Samples, shape (n, d).
            x_test: Samples whose kernel with the training samples is wanted, shape (m, d).
            **options: Fields of `KernelRequest`: `shots` (a number, or `exact`), `backend`, `seed`, `key`, `project`, ...

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to another matrix.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_matrix(
            self.temporal, self._read, as_kernel(feature_map, x_train, x_test, **options)
        )

    async def features(self, circuit: Any, observables: Any, data: Any, **options: Any) -> MatrixRun:
        """Start a matrix of expectation values, samples by observables, or find the one that its key already started.

        Args:
            circuit: With a parameter for each column of the data, in the order of Qiskit's `parameters`.
            observables: A list of Pauli labels, sums of them, or `SparsePauliOp`.
            data: Samples, shape (n, d).
            **options: Fields of `FeaturesRequest`: `precision` (0 for exact values), `shots`, `backend`, `key`, ...

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to another matrix.
            ServiceUnreachable: Temporal does not answer.
        """
        return await start_matrix(
            self.temporal, self._read, as_features(circuit, observables, data, **options)
        )

    async def run_matrix_again(self, matrix_id: str) -> MatrixRun:
        """Run what is missing of a matrix that has ended; one that runs goes on.

        Raises:
            JobNotFound: It is no matrix's id.
            ServiceUnreachable: Temporal does not answer.
        """
        return await run_matrix_again(self.temporal, self._read, matrix_id)

    def attach_matrix(self, matrix_id: str) -> MatrixRun:
        """A kernel or features by their id, whoever started them."""
        return MatrixRun(matrix_id, self.temporal, self._read)

    async def compare(self, work: Any, *, on: Sequence[str], **options: Any) -> Comparison:
        """Ask several places the same, or find the comparison that its key already started.

        Args:
            work: A job, or something to sample; its backend is not looked at.
            on: The places, each once.
            **options: `decide`, `classical` and `fallback` of a `Comparison`, and fields of the job.

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to another request, or to other places.
            ServiceUnreachable: Temporal does not answer.
        """
        return await self.start_comparison(as_comparison(work, on, **options))

    async def hedge(self, work: Any, *, on: Sequence[str], after: Any = "30s", **options: Any) -> Comparison:
        """Ask one place, and the next one too where that has no good answer in time; the losers are withdrawn.

        Args:
            work: As for `compare`.
            on: The places in the order in which they are asked, each once.
            after: How long a place has before the next one is asked too: seconds, a `timedelta`, or such as `30s`, `5min`.
            **options: `fallback` of a `Comparison`, and fields of the job.

        Raises:
            RequestRejected: Naming the field.
            KeyReused: The key belongs to another request, or to other places.
            ServiceUnreachable: Temporal does not answer.
        """
        return await self.start_comparison(as_comparison(work, on, after=after, **options))

    async def start_comparison(self, asked: ComparisonRequest) -> Comparison:
        """Start a comparison or hedged run that is written down already; see `compare` and `hedge`."""
        return await start_comparison(self.temporal, self._read, asked)

    def attach_comparison(self, comparison_id: str) -> Comparison:
        """A comparison or hedged run by its id, whoever started it."""
        return Comparison(comparison_id, self.temporal, self._read)

    async def _start(self, job: AnyJob) -> None:
        head = JobHead.of(job)
        pubs = len(getattr(job, "pubs", ())) or 1
        start = Start(
            HYBRID_JOB,
            head.id,
            [head, job],
            head.project,
            f"{head.kind} · {pubs} pub{'s' * (pubs > 1)} · asked for {head.asked}",
            "job",
            head.body_hash,
            priority=head.priority,
            words=first_words(head),
            eager=True,
        )
        self._attributes_known = await start_once(self.temporal, start, attributes=self._attributes_known)

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
        try:
            ended = await end_of(self.temporal, job_id, JobReport)
        except ValidationError:
            raise _no_job(job_id, "of another kind") from None
        if ended is not None:
            return ended
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

    async def why(self, job_id: str) -> Why:
        """Why a job ended as it did: its route, its checks, how far the answer is off, and the best other one.

        Raises:
            JobNotFound: The store has no such job, or it has not ended.
        """
        return await self._read(ReadRequest(what="why", job_id=job_id), Why)

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
            raise unreachable(failure) from None
        if description.workflow_type != HYBRID_JOB:
            raise _no_job(job_id, description.workflow_type)
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
        if not await cancel(self.temporal, job_id):
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

    async def route(self, work: Any, **options: Any) -> Route:
        """Where a job would run and what was thought of every other place; nothing is run or kept.

        A route without rungs says of each place why it cannot answer. Arguments are those of `submit`.

        Raises:
            RequestRejected: Naming the field.
        """
        return await self._read(ReadRequest(what="route", request=as_job(work, **options)), Route)

    async def budgets(self) -> Budgets:
        """Every budget with what is reserved, spent and left of it, and every project's guardrails."""
        return await self._read(ReadRequest(what="budgets"), Budgets)

    async def set_budget(self, change: BudgetChange) -> Budgets:
        """Change one budget, or one project's guardrails; gives back how all stand then."""
        return await self._shortly(SET_BUDGET, change, Budgets, "budget")

    async def rollout(self) -> Rollout:
        """The rules that send jobs to another place or switch one off, and what was changed of late."""
        return await self._read(ReadRequest(what="rollout"), Rollout)

    async def set_rollout(self, change: RolloutChange) -> Rollout:
        """Set or remove one rule, for all jobs that are planned from now on; gives back how all stand then.

        Raises:
            RequestRejected: It can match nothing, or contradicts another.
        """
        return await self._shortly(SET_ROLLOUT, change, Rollout, "rollout")

    async def approvals(self) -> Approvals:
        """Jobs that wait for somebody's word before they go to a place that costs money, the longest first."""
        return await self._read(ReadRequest(what="approvals"), Approvals)

    async def approve(self, job_id: str, *, by: str, reason: str, **words: Any) -> Decision:
        """Let a job that waits be sent; see `decide`.

        Args:
            job_id: Of the job.
            by: Who approves, a slug.
            reason: Why.
            **words: Other fields of a decision, such as the `cap` on what it may cost.
        """
        return await self.decide(job_id, as_decision(approve=True, by=by, reason=reason, **words))

    async def refuse(self, job_id: str, *, by: str, reason: str, **words: Any) -> Decision:
        """Have a job that waits go on to its next rung, or end; see `approve`."""
        return await self.decide(job_id, as_decision(approve=False, by=by, reason=reason, **words))

    async def decide(self, job_id: str, decision: Decision) -> Decision:
        """Decide about a job that waits: about the plan that the decision names, else the one that waits now.

        Raises:
            NotAnApprover: Who decides may not.
            DecisionRefused: The job has ended, waits for nobody's word or with another plan, or somebody was first.
            JobNotFound: Nobody knows it.
            NoWorker: No worker took it in time.
        """
        status = await self.status(job_id)
        if status.state.final:
            raise DecisionRefused(f"job {job_id!r} has ended ({status.state}): there is nothing to decide")
        if not decision.route and status.question is not None:
            decision = decision.model_copy(update={"route": status.question.route})
        return await decide(self.temporal, job_id, decision)

    async def _read(self, request: ReadRequest, kind: type[T]) -> T:
        return await self._shortly(READ_STORE, request, kind, "read")

    async def _shortly(self, workflow: str, request: Contract, kind: type[T], word: str) -> T:
        """Run a workflow of one activity; its id begins with the word."""
        try:
            answer: T = await self.temporal.execute_workflow(
                workflow,
                request,
                id=f"qurable-{word}-{secrets.token_hex(8)}",
                task_queue=Queue.WORKFLOWS,
                execution_timeout=_READ,
                result_type=kind,
                request_eager_start=True,
                rpc_timeout=_RPC,
            )
        except WorkflowFailureError as failure:
            error = document_of(failure)
            if error is None:
                raise NoWorker(
                    f"no worker answered within {_READ.total_seconds():g} s: start one with `python worker.py` or `make up`"
                ) from None
            raise from_document(error) from None
        except RPCError as failure:
            raise unreachable(failure) from None
        return answer


_STATE_OF = {
    WorkflowExecutionStatus.COMPLETED: State.COMPLETED,
    WorkflowExecutionStatus.FAILED: State.FAILED,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
    WorkflowExecutionStatus.CANCELED: State.CANCELLED,
}


def _no_job(job_id: str, kind: str) -> JobNotFound:
    return JobNotFound(
        f"{job_id!r} is no job's id: it is that of a workflow {kind}, which has a command and an attach_... of its own",
        job_id=job_id,
    )


def _status_of(report: JobReport) -> JobStatus:
    return JobStatus(id=report.id, state=report.state, backend=report.served_by, events=report.events)
