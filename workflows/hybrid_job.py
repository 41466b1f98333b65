"""One job: plan a route, walk it until a rung answers, report what ran."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeout

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import Attempt, JobEvent, JobReport, JobStatus, State
from qurable.contracts.routes import Rung
from qurable.contracts.stages import (
    AcceptCall,
    Accepted,
    FinishCall,
    Pace,
    PrepareCall,
    StageCall,
    Submitted,
    Validated,
)
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import (
    BY_CODE,
    DeadlineReached,
    HybridError,
    InternalError,
    JobCancelled,
    KeyReused,
    OutOfTime,
    QueueLimitReached,
    RouteExhausted,
    WorkerOutdated,
)
from qurable.names import HYBRID_JOB, Activity, Attribute
from workflows import stages

T = TypeVar("T")

_RECORD_BY_DEADLINE = timedelta(seconds=30)

_GAP = "\u2003"
"""Between the columns of the web UI's table, which has no room there of its own."""

_SHOWN_DURING: dict[str, State] = {
    Activity.AWAIT_START: State.QUEUED,
    Activity.AWAIT_DONE: State.RUNNING,
    Activity.FETCH: State.POST_PROCESSING,
    Activity.POST_PROCESS: State.POST_PROCESSING,
    Activity.FINISH: State.POST_PROCESSING,
}
"""States that begin with a stage rather than end it."""

_AFTER: dict[str, str] = {
    Activity.ACCEPT: "validate",
    Activity.PREPARE: "submit",
    Activity.VALIDATE: "plan route",
    Activity.PLAN_ROUTE: "transpile",
    Activity.TRANSPILE: "submit",
    Activity.SUBMIT: "await done",
    Activity.AWAIT_START: "await done",
    Activity.AWAIT_DONE: "fetch",
    Activity.FETCH: "post-process",
    Activity.POST_PROCESS: "record",
    Activity.FINISH: "the report",
    Activity.RECORD: "the report",
}


@workflow.defn(name=HYBRID_JOB, failure_exception_types=[HybridError])
class HybridJob:
    """Plan a route, walk it until a rung answers, report what ran."""

    @workflow.init
    def __init__(self, head: JobHead, body: RawValue) -> None:
        self._head = head
        self._body = body
        self._pace = Pace()
        self._state = State.ACCEPTED
        self._stage = ""
        self._since = workflow.now()
        self._backend = head.asked
        self._recorded = False
        self._owner = workflow.info().first_execution_run_id
        self._log: list[tuple[str, datetime, datetime | None]] = []
        self._events: list[JobEvent] = []
        self._qubits = 0
        self._circuit = ""

    @workflow.run
    async def run(self, head: JobHead, body: RawValue) -> RawValue:  # noqa: ARG002  `__init__` has taken it
        """The report, as the stage that recorded it wrote it."""
        if head.schema_version > SCHEMA_VERSION:
            raise _final(
                WorkerOutdated(
                    f"worker of another version: the request has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        try:
            return await self._within_deadline(self._answer())
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                await self._conclude(State.CANCELLED, _cancelled(head))
                raise
            error = _document(failure)
            if error.code != KeyReused.__name__:  # the row belongs to another job
                await self._conclude(State.FAILED, error)
            raise _failure(error) from failure
        except asyncio.CancelledError:
            await self._conclude(State.CANCELLED, _cancelled(head))
            raise
        except ApplicationError as failure:
            error = ErrorDocument.model_validate(failure.details[0])
            await self._conclude(State.FAILED, error)
            raise

    async def _answer(self) -> RawValue:
        accepted = await self._accept()
        if accepted.report is not None:
            return self._ended_before(accepted.report)
        validated = await self._prepare(accepted.request)
        tried: list[Attempt] = []
        assert validated.route is not None  # noqa: S101  `_prepare` has seen to it
        for number, rung in enumerate(validated.route.rungs):
            self._backend = rung.name
            try:
                return await self._run_on(rung, number, tried, compiled=validated.compiled and number == 0)
            except ActivityError as failure:
                error = _document(failure)
                if is_cancelled_exception(failure) or not _may_go_on(error):
                    raise
                tried.append(Attempt(backend=rung.name, error=error))
                workflow.logger.warning("rung %s failed: %s", rung.name, error.message)
        if len(tried) == 1:
            raise _failure(tried[0].error)
        raise _final(
            RouteExhausted(
                f"all {len(tried)} rungs failed, the last with: {tried[-1].error.message}",
                tried=[attempt.model_dump(mode="json") for attempt in tried],
            )
        )

    async def _accept(self) -> Accepted:
        call = AcceptCall(head=self._head, owner=self._owner)
        accepted = await self._during(Activity.ACCEPT, stages.accept(call, self._body))
        self._pace = accepted.pace
        self._enter(State.ACCEPTED)
        return accepted

    def _ended_before(self, report: JobReport) -> RawValue:
        """An earlier execution of this job has ended: so does this one, in the same way."""
        self._recorded = True
        if report.error is not None:
            raise _failure(report.error)
        return RawValue(workflow.payload_converter().to_payload(report))

    async def _prepare(self, request: str) -> Validated:
        """Validated, with a route."""
        hook = self._head.hooks.before
        if hook is None:
            call = PrepareCall(call=self._call("prepare"), request=request)
            validated = await self._during(Activity.PREPARE, stages.prepare(call, self._pace))
        else:
            call = PrepareCall(call=self._call("validate"), request=request)
            body = await self._during(hook.activity, stages.user_stage(hook, self._body, "before"))
            validated = await self._during(Activity.VALIDATE, stages.validate(call, body, self._pace))
        self._enter(State.VALIDATED)
        if validated.route is None:
            route = await self._during(
                Activity.PLAN_ROUTE, stages.plan_route(self._call("plan_route"), self._pace)
            )
            validated = validated.model_copy(update={"route": route})
        self._qubits, self._circuit = validated.qubits, validated.circuit
        return validated

    async def _run_on(self, rung: Rung, number: int, tried: list[Attempt], *, compiled: bool) -> RawValue:
        def call(stage: str) -> StageCall:
            return StageCall(job_id=self._head.id, step=f"{stage}-{number}", rung=number, backend=rung.name)

        if not compiled:
            await self._during(Activity.TRANSPILE, stages.transpile(call("transpile"), self._pace))
        self._enter(State.COMPILED)
        target, limits = rung.target, self._head.limits
        submitted = await self._submit(call("submit"), target)
        try:
            if not target.simulator:
                waiting = stages.await_start(call("await_start"), submitted.job, target, limits, self._pace)
                await self._during(Activity.AWAIT_START, waiting)
            self._enter(State.RUNNING)
            running = stages.await_done(call("await_done"), submitted.job, target, limits, self._pace)
            await self._during(Activity.AWAIT_DONE, running)
        except (ActivityError, asyncio.CancelledError):
            await asyncio.shield(asyncio.create_task(stages.withdraw(call("withdraw"), self._pace)))
            raise
        return await self._finish(call, submitted, tuple(tried), rung)

    async def _submit(self, call: StageCall, target: TargetSnapshot) -> Submitted:
        """Submit so that a cancellation never leaves a job behind: what was started is withdrawn."""
        submitting = asyncio.create_task(
            self._during(Activity.SUBMIT, stages.submit(call, target, self._pace))
        )
        try:
            submitted = await asyncio.shield(submitting)
        except (ActivityError, asyncio.CancelledError):
            await workflow.wait([submitting])
            await stages.withdraw(call.model_copy(update={"step": f"withdraw-{call.rung}"}), self._pace)
            raise
        self._enter(State.SUBMITTED)
        return submitted

    async def _finish(
        self, call: Any, submitted: Submitted, tried: tuple[Attempt, ...], rung: Rung
    ) -> RawValue:
        self._enter(State.POST_PROCESSING)
        after = self._head.hooks.after

        def finish(stage: str) -> FinishCall:
            return FinishCall(call=call(stage), job=submitted.job, tried=tried)

        if submitted.small and after is None:
            report = await self._during(Activity.FINISH, stages.finish(finish("finish"), self._pace))
        else:
            await self._during(Activity.FETCH, stages.fetch(finish("fetch"), rung.target, self._pace))
            draft = await self._during(
                Activity.POST_PROCESS,
                stages.post_process(finish("post_process"), self._pace, draft=after is not None),
            )
            derived = None if after is None else await self._derive(draft)
            report = await self._during(Activity.RECORD, stages.record(finish("record"), derived, self._pace))
        self._enter(State.COMPLETED)
        self._mark(State.COMPLETED, served_by=rung.name)
        return report

    async def _derive(self, draft: RawValue) -> Any:
        """What the caller's own stage makes of the report."""
        hook = self._head.hooks.after
        assert hook is not None  # noqa: S101  asked for only where there is one
        return await self._during(hook.activity, stages.user_stage(hook, draft, "after"))

    async def _within_deadline(self, answering: Coroutine[Any, Any, RawValue]) -> RawValue:
        """The answer, if it comes within the job's total limit; a late one is called off."""
        total = self._head.limits.total
        if total is None:
            return await answering
        task = asyncio.create_task(answering)
        left = total - (workflow.now() - workflow.info().start_time)
        try:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    task.done, timeout=left, timeout_summary=f"total limit of {total}"
                )
        finally:
            if not task.done():
                task.cancel()
                await workflow.wait([task])
        failure = None if task.cancelled() else task.exception()
        called_off = task.cancelled() or (failure is not None and is_cancelled_exception(failure))
        if not called_off:
            return await task
        raise _final(
            DeadlineReached(
                f"the job had {total} in all and no answer came in time: allow more with limits.total"
            )
        )

    async def _conclude(self, state: State, error: ErrorDocument) -> None:
        """Record how the job ended without an answer; a deadline does not wait for a store that is down."""
        if self._recorded:
            return
        call = FinishCall(
            call=self._call("record"), head=self._head, owner=self._owner, state=state, error=error
        )
        within = _RECORD_BY_DEADLINE if error.code == DeadlineReached.__name__ else None
        try:
            await self._during(Activity.RECORD, stages.record(call, None, self._pace, within))
        except ActivityError as failure:
            workflow.logger.warning("job %s ended as %s, unrecorded: %s", self._head.id, state, failure.cause)
        self._enter(state, error.message)
        self._mark(state)

    async def _during(self, stage: str, running: Coroutine[Any, Any, T]) -> T:
        """Run a stage, and show that it runs."""
        self._stage, self._since = stage, workflow.now()
        self._log.append((stage, self._since, None))
        self._show()
        try:
            return await running
        finally:
            if workflow.in_workflow():  # a worker that stops drops its workflows where they are
                self._log[-1] = (stage, self._since, workflow.now())
                self._stage = ""
                self._show()

    def _call(self, step: str) -> StageCall:
        return StageCall(job_id=self._head.id, step=step)

    def _enter(self, state: State, detail: str = "") -> None:
        self._state = state
        self._events.append(JobEvent(state=state, at=workflow.now(), backend=self._backend, detail=detail))

    def _mark(self, state: State, *, served_by: str = "") -> None:
        """Say in the details and in the search attributes how it ended."""
        self._show()
        if not self._pace.search_attributes:
            return
        words = {
            Attribute.STAGE: str(state),
            Attribute.PROJECT: self._head.project,
            Attribute.BACKEND: self._head.asked,
            Attribute.SERVED_BY: served_by,
            Attribute.CIRCUIT: self._circuit,
        }
        workflow.upsert_search_attributes(
            [
                *(
                    SearchAttributeKey.for_keyword(name).value_set(word)
                    for name, word in words.items()
                    if word
                ),
                SearchAttributeKey.for_bool(Attribute.DEGRADED).value_set(state is State.DEGRADED),
                SearchAttributeKey.for_int(Attribute.QUBITS).value_set(self._qubits),
            ]
        )

    def _show(self) -> None:
        """The stages with their times, as the web UI's current details."""
        lines = [
            f"**{self._state}** · asked for `{self._head.asked}`, on `{self._backend}`",
            "",
            f"| stage | {_GAP}began (UTC) | {_GAP}took |",
            "| :--- | ---: | ---: |",
        ]
        for stage, began, ended in self._log:
            took = "running" if ended is None else f"{(ended - began).total_seconds():.3f} s"
            at = began.isoformat(sep=" ", timespec="milliseconds")[11:23]
            lines.append(f"| {stage} | {_GAP}{at} | {_GAP}{took} |")
        workflow.set_current_details("\n".join(lines))

    @workflow.query
    def status(self) -> JobStatus:
        """Where the job stands."""
        return JobStatus(
            id=self._head.id,
            state=_SHOWN_DURING.get(self._stage, self._state) if not self._state.final else self._state,
            stage=self._stage,
            backend=self._backend,
            since=self._since,
            then=_AFTER.get(self._stage, ""),
            events=tuple(self._events),
        )


def _document(failure: ActivityError) -> ErrorDocument:
    """Why an activity failed, in this project's terms."""
    cause = failure.cause
    if isinstance(cause, ApplicationError):
        if cause.details and isinstance(cause.details[0], dict) and cause.type in BY_CODE:
            return ErrorDocument.model_validate(cause.details[0])
        return InternalError(f"{failure.activity_type} failed: {cause.message}").document()
    if isinstance(cause, TemporalTimeout):
        if cause.type is TimeoutType.SCHEDULE_TO_START:
            return QueueLimitReached(
                f"no worker took up {failure.activity_type} within the job's queue limit: start one for its task queue, or "
                "allow more with limits.queue"
            ).document()
        return OutOfTime(
            f"{failure.activity_type} did not end within its timeout, over all attempts"
        ).document()
    return InternalError(f"{failure.activity_type} failed: {cause or failure}").document()


def _may_go_on(error: ErrorDocument) -> bool:
    return BY_CODE.get(error.code, InternalError).next_rung


def _failure(error: ErrorDocument) -> ApplicationError:
    """The end of a job without an answer; its document travels in the details."""
    return ApplicationError(error.message, error, type=error.code, non_retryable=True)


def _final(error: HybridError) -> ApplicationError:
    return _failure(error.document())


def _cancelled(head: JobHead) -> ErrorDocument:
    return JobCancelled(f"job {head.id!r} was cancelled before it had an answer").document()
