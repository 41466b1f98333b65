"""One job: plan a route, walk it until a rung answers, report what ran."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    is_cancelled_exception,
)

from qurable.contracts.approvals import Approval, Decision, Question
from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import Attempt, JobEvent, JobReport, JobStatus, State
from qurable.contracts.routes import Rung
from qurable.contracts.shadows import ShadowCall, Shadowing
from qurable.contracts.stages import (
    AcceptCall,
    Accepted,
    ApprovalCall,
    Billed,
    CalibrationCall,
    Compiled,
    FinishCall,
    Pace,
    PrepareCall,
    StageCall,
    Submitted,
    Validated,
    Withdrawn,
)
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import (
    DeadlineAtRisk,
    DeadlineReached,
    HybridError,
    JobCancelled,
    KeyReused,
    RouteExhausted,
    WorkerOutdated,
)
from qurable.names import DECIDE, HYBRID_JOB, Activity, Attribute
from workflows import shadow, stages
from workflows.approval import Approvals, described, refusal
from workflows.deadline import Deadline
from workflows.failures import RungGivenUp, as_failure, document_of, final, is_forgotten, may_go_on
from workflows.tries import Tries

T = TypeVar("T")

_RECORD_BY_DEADLINE = timedelta(seconds=30)

_CALIBRATION = timedelta(minutes=10)
"""How long an answer waits for a calibration that another job measures, where the job's deadline leaves it as long again."""

_RESTORES = 3
"""How often a job begins again because the store has forgotten one of its stages."""

_GAP = "\u2003"
"""Between the columns of the web UI's table, which has no room there of its own."""

_SHOWN_DURING: dict[str, State] = {
    Activity.AWAIT_START: State.QUEUED,
    Activity.AWAIT_GROUP: State.QUEUED,
    Activity.AWAIT_DONE: State.RUNNING,
    Activity.AWAIT_CALIBRATION: State.POST_PROCESSING,
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
    Activity.APPROVAL: "transpile",
    Activity.TRANSPILE: "submit",
    Activity.CHANGE: "the same rung again",
    Activity.OPEN_SESSION: "submit",
    Activity.SUBMIT: "await done",
    Activity.JOIN_GROUP: "wait with others",
    Activity.AWAIT_GROUP: "fetch",
    Activity.AWAIT_START: "await done",
    Activity.AWAIT_DONE: "fetch",
    Activity.AWAIT_CALIBRATION: "fetch",
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
        self._kept = ""
        self._provider_job = ""
        self._qpu_seconds: float | None = None
        self._tried: list[Attempt] = []
        self._below: tuple[Rung, ...] = ()
        self._deadline = Deadline(head.limits.total)
        self._approvals = Approvals()
        self._route = ""
        self._shadowing: Shadowing | None = None

    @workflow.run
    async def run(self, head: JobHead, body: RawValue) -> RawValue:  # noqa: ARG002  `__init__` has taken it
        """The report, as the stage that recorded it wrote it."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the request has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        try:
            report = await self._within_deadline(self._answer_whatever_the_store_forgets())
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                await self._conclude(State.CANCELLED, self._cancelled())
                raise
            error = document_of(failure)
            if error.code != KeyReused.__name__:  # the row belongs to another job
                await self._conclude(State.FAILED, error)
            raise as_failure(error) from failure
        except asyncio.CancelledError:
            await self._conclude(State.CANCELLED, self._cancelled())
            raise
        except ApplicationError as failure:
            error = ErrorDocument.model_validate(failure.details[0])
            await self._conclude(State.FAILED, error)
            raise
        await self._begin_shadow()
        return report

    async def _begin_shadow(self) -> None:
        """Have the answer compared with another place's, where a rollout rule wants it and that place is not who answered."""
        if self._shadowing is not None and self._shadowing.backend != self._backend:
            await shadow.begin(
                ShadowCall(job_id=self._head.id, project=self._head.project, shadowing=self._shadowing)
            )

    async def _answer_whatever_the_store_forgets(self) -> RawValue:
        """The answer, from the beginning again where the store was restored from before: what is paid for is found."""
        for _ in range(_RESTORES):
            try:
                return await self._answer()
            except ActivityError as failure:
                if not is_forgotten(failure):
                    raise
                workflow.logger.warning("job %s begins again: %s", self._head.id, failure.cause)
        return await self._answer()

    async def _answer(self) -> RawValue:
        accepted = await self._accept()
        if accepted.report is not None:
            return self._ended_before(accepted.report)
        validated = await self._prepare(accepted.request)
        self._tried = []
        assert validated.route is not None  # noqa: S101  `_prepare` has seen to it
        rungs, self._route = validated.route.rungs, validated.route.sha256
        self._shadowing = validated.route.shadow
        for number, rung in enumerate(rungs):
            self._backend = rung.name
            self._below = rungs[number + 1 :]
            try:
                return await self._run_on(rung, number, compiled=validated.compiled and number == 0)
            except (ActivityError, RungGivenUp) as failure:
                error = failure.error if isinstance(failure, RungGivenUp) else document_of(failure)
                if is_cancelled_exception(failure) or not may_go_on(error):
                    raise
                self._tried.append(Attempt(backend=rung.name, error=error))
                workflow.logger.warning("rung %s failed: %s", rung.name, error.message)
        if len(self._tried) == 1:
            raise as_failure(self._tried[0].error)
        raise final(
            RouteExhausted(
                f"all {len(self._tried)} rungs failed: "
                + "; ".join(f"{attempt.backend}: {attempt.error.message}" for attempt in self._tried),
                tried=[attempt.model_dump(mode="json") for attempt in self._tried],
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
            raise as_failure(report.error)
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

    async def _run_on(self, rung: Rung, number: int, *, compiled: bool) -> RawValue:
        """The report of an answer from a rung."""

        def call(stage: str) -> StageCall:
            return StageCall(job_id=self._head.id, step=f"{stage}-{number}", rung=number, backend=rung.name)

        await self._approved(rung, number)
        tries = Tries(self._head.id, rung, number, self._pace, self._during)
        submitted = await self._in_its_share(self._run_to_its_end(rung.target, tries, compiled=compiled))
        return await self._finish(call, submitted, rung)

    async def _approved(self, rung: Rung, number: int) -> None:
        """Wait for somebody's word, where the rung needs one before the job may be sent there.

        Raises:
            RungGivenUp: It may not be sent there; the rungs below may answer.
            ApplicationError: Nobody has decided in time, and the job ends by its rule.
        """
        if rung.approval is None:
            return
        asked = workflow.now()
        question = Question(
            job_id=self._head.id,
            project=self._head.project,
            rung=number,
            backend=rung.name,
            route=self._route,
            terms=rung.approval,
            asked=asked,
            expires=asked + rung.approval.timeout,
        )
        self._enter(State.AWAITING_APPROVAL, rung.approval.because)
        standing = await self._keep_approval("ask", question, self._approvals.decided(question))
        if standing.decision is None:
            waiting = self._approvals.wait(standing.question, self._deadline.share(self._below))
            self._mark(State.AWAITING_APPROVAL)
            decided = await self._during(Activity.APPROVAL, waiting)
            standing = await self._keep_approval("decide", standing.question, decided)
        decision = standing.decision
        assert decision is not None  # noqa: S101  it was written down
        verb = "approved" if decision.approve else "refused"
        self._enter(State.VALIDATED, f"{decision.by} {verb}: {decision.reason}")
        self._mark(State.VALIDATED)
        if not decision.approve:
            raise refusal(standing, decision)

    async def _keep_approval(self, step: str, question: Question, decision: Decision | None) -> Approval:
        """What stands in the store: another execution of this job may have asked and been answered before."""
        call = StageCall(
            job_id=self._head.id,
            step=f"{step}-{question.rung}",
            rung=question.rung,
            backend=question.backend,
        )
        return await stages.approval(
            ApprovalCall(call=call, question=question, decision=decision), self._pace
        )

    async def _run_to_its_end(self, target: TargetSnapshot, tries: Tries, *, compiled: bool) -> Submitted:
        """What was submitted to a rung, once it has run there."""

        async def compile_for() -> Compiled:
            return await self._during(Activity.TRANSPILE, stages.transpile(tries.compiling(), self._pace))

        if not compiled:
            await tries.until_done(compile_for)
        self._enter(State.COMPILED)
        return await tries.until_done(lambda: self._answer_from(target, tries))

    async def _in_its_share(self, running: Coroutine[Any, Any, Submitted]) -> Submitted:
        """Run a rung; where the job has a deadline and rungs below, only as long as these have time left.

        Raises:
            RungGivenUp: It took too long.
        """
        share = self._deadline.share(self._below)
        if share is None:
            return await running
        task = asyncio.create_task(running)
        if await self._deadline.ends_within(
            task, share, f"{self._backend}'s share of the deadline", quit_rung=True
        ):
            return await task
        raise RungGivenUp(
            DeadlineAtRisk(
                f"{self._backend!r} had {share.total_seconds():.1f} s of the job's {self._head.limits.total} and did not answer in "
                "them; the rest is for the places below it"
            ).document()
        )

    async def _answer_from(self, target: TargetSnapshot, tries: Tries) -> Submitted:
        """Submit to a rung and wait for its end; whatever goes wrong, nothing is left behind there."""
        shared = await self._with_others(target, tries)
        if shared is not None:
            return shared
        tries.session = await self._open_session(tries.sending("open_session"), target)
        call, limits, submitted = tries.sending, self._head.limits, None
        try:
            submitted = await self._submit(call("submit"), target)
            if not target.simulator:
                self._enter(State.QUEUED)
                waiting = stages.await_start(call("await_start"), submitted.job, target, limits, self._pace)
                await self._during(Activity.AWAIT_START, waiting)
            self._enter(State.RUNNING)
            running = stages.await_done(call("await_done"), submitted.job, target, limits, self._pace)
            await self._during(Activity.AWAIT_DONE, running)
        except (ActivityError, asyncio.CancelledError) as failure:
            if is_forgotten(failure):
                raise
            withdrawn = await self._withdraw(call("withdraw"), target)
            in_time = submitted is not None and withdrawn.all_done
            if submitted is None or not in_time or target.simulator:
                raise
            if is_cancelled_exception(failure) and not self._deadline.leaving:
                fetching = stages.fetch(FinishCall(call=call("fetch"), job=submitted.job), target, self._pace)
                await self._to_its_end(fetching)
                self._kept = f"; it had ended on {target.name!r} before that, and its result is kept"
                raise
            workflow.logger.warning("%s ended before it could be withdrawn: %s", target.name, failure)
        finally:
            if tries.session and workflow.in_workflow():
                await self._close_session(call("close_session"), target)
        return submitted

    async def _close_session(self, call: StageCall, target: TargetSnapshot) -> None:
        """Close the job's own session; where that fails it is the reconciler's, and an answer that is there is not given up."""
        try:
            await self._to_its_end(stages.close_session(call, target, self._pace))
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            workflow.logger.warning("session %r is left to the reconciler: %s", call.session, failure.cause)

    async def _with_others(self, target: TargetSnapshot, tries: Tries) -> Submitted | None:
        """What answered in a provider job that others share; None where the job goes alone, as whatever is tried again does."""
        call = tries.sending
        first = call("join_group")
        if self._head.batch_window is None or not target.paid or first.ordinal or first.changes:
            return None
        try:
            joined = await self._during(Activity.JOIN_GROUP, stages.join_group(first, self._pace))
            if joined.alone:
                return None
            self._enter(State.QUEUED, "waits for others to share a provider job with")
            waiting = stages.await_group(call("await_group"), joined, self._head.limits, self._pace)
            end = await self._during(Activity.AWAIT_GROUP, waiting)
        except (ActivityError, asyncio.CancelledError) as failure:
            if not is_forgotten(failure):
                left = await self._to_its_end(stages.leave_group(call("leave_group"), self._pace))
                if left.group:
                    self._kept = f"; the provider job that it shares as {left.group!r} goes on"
            raise
        if end.job is None:
            workflow.logger.warning("job %s goes alone: %s", self._head.id, end.because)
            return None
        self._provider_job = end.job.handle
        return Submitted(job=end.job, small=False)

    async def _withdraw(self, call: StageCall, target: TargetSnapshot) -> Withdrawn:
        """Take back what was started; what cannot be, with other rungs below within a while, is the reconciler's."""
        within = self._deadline.to_withdraw(self._below)
        try:
            return await self._to_its_end(stages.withdraw(call, target, self._pace, within))
        except ActivityError as failure:
            if is_cancelled_exception(failure) or is_forgotten(failure):
                raise
            workflow.logger.warning("%s is left to the reconciler: %s", target.name, failure.cause)
            self._kept = f"; what it has on {target.name!r} is left to the reconciler to cancel"
            return Withdrawn(left=1)

    async def _submit(self, call: StageCall, target: TargetSnapshot) -> Submitted:
        """Submit; a cancellation ends the wait for its turn, and is not forgotten where the job was taken meanwhile."""
        submitting = asyncio.create_task(
            self._during(Activity.SUBMIT, stages.submit(call, target, self._pace, self._within_queue(target)))
        )
        try:
            submitted = await asyncio.shield(submitting)
        except asyncio.CancelledError:
            submitting.cancel()
            await workflow.wait([submitting])
            raise
        self._enter(State.SUBMITTED)
        if not target.simulator:
            self._provider_job = submitted.job.handle
            self._mark(State.SUBMITTED)  # it may wait for hours, and be looked for by the provider's id
        return submitted

    def _within_queue(self, target: TargetSnapshot) -> timedelta | None:
        """How long sending may be tried where another place can answer; None for as long as it takes."""
        return self._head.limits.queue if self._below and not target.simulator else None

    async def _open_session(self, call: StageCall, target: TargetSnapshot) -> str:
        """The provider's id of the job's own session or batch; empty where none is asked for, or nobody is paid."""
        if self._head.mode == "job" or not target.paid:
            return ""
        opening = stages.open_session(call, target, self._pace)
        return (await self._during(Activity.OPEN_SESSION, opening)).id

    async def _to_its_end(self, tidying: Coroutine[Any, Any, T]) -> T:
        """Let something that tidies up run through, also when the job is being cancelled meanwhile."""
        task = asyncio.create_task(tidying)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await workflow.wait([task])
            raise

    async def _finish(self, call: Any, submitted: Submitted, rung: Rung) -> RawValue:
        self._enter(State.POST_PROCESSING)
        if submitted.awaits:
            waiting = CalibrationCall(
                call=call("await_calibration"), key=submitted.awaits, within=self._deadline.part(_CALIBRATION)
            )
            await self._during(Activity.AWAIT_CALIBRATION, stages.await_calibration(waiting, self._pace))
        after = self._head.hooks.after

        def finish(stage: str) -> FinishCall:
            answered = call(stage).model_copy(update={"ordinal": submitted.job.key.ordinal})
            return FinishCall(call=answered, job=submitted.job, tried=tuple(self._tried))

        if submitted.small and after is None:
            report = await self._during(Activity.FINISH, stages.finish(finish("finish"), self._pace))
        else:
            fetching = stages.fetch(
                finish("fetch"), rung.target, self._pace, self._deadline.share_to_fetch(self._below)
            )
            await self._during(Activity.FETCH, fetching)
            draft = await self._during(
                Activity.POST_PROCESS,
                stages.post_process(finish("post_process"), self._pace, draft=after is not None),
            )
            derived = None if after is None else await self._derive(draft)
            report = await self._during(Activity.RECORD, stages.record(finish("record"), derived, self._pace))
        billed = workflow.payload_converter().from_payload(report.payload, Billed)
        if rung.target.paid:
            self._qpu_seconds = billed.qpu_seconds
        self._enter(billed.state)
        self._mark(billed.state, served_by=rung.name)
        return report

    async def _derive(self, draft: RawValue) -> Any:
        """What the caller's own stage makes of the report."""
        hook = self._head.hooks.after
        assert hook is not None  # noqa: S101  asked for only where there is one
        return await self._during(hook.activity, stages.user_stage(hook, draft, "after"))

    async def _within_deadline(self, answering: Coroutine[Any, Any, RawValue]) -> RawValue:
        """The answer, if it comes within the job's total limit; a late one is called off."""
        total, left = self._deadline.total, self._deadline.left()
        if left is None:
            return await answering
        task = asyncio.create_task(answering)
        if await self._deadline.ends_within(task, left, f"total limit of {total}"):
            return await task
        raise final(
            DeadlineReached(
                f"the job had {total} in all and no answer came in time{self._kept}: allow more with limits.total"
            )
        )

    async def _conclude(self, state: State, error: ErrorDocument) -> None:
        """Record how the job ended without an answer; a deadline does not wait for a store that is down."""
        if self._recorded:
            return
        call = FinishCall(
            call=self._call("record"),
            head=self._head,
            owner=self._owner,
            tried=tuple(self._tried),
            state=state,
            error=error,
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

    def _cancelled(self) -> ErrorDocument:
        return JobCancelled(
            f"job {self._head.id!r} was cancelled before it had an answer{self._kept}"
        ).document()

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
            Attribute.PROVIDER_JOB: self._provider_job.partition(",")[0],
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
                *(
                    []
                    if self._qpu_seconds is None
                    else [SearchAttributeKey.for_float(Attribute.QPU_SECONDS).value_set(self._qpu_seconds)]
                ),
            ]
        )

    def _show(self) -> None:
        """The stages with their times, as the web UI's current details."""
        lines = [
            f"**{self._state}** · asked for `{self._head.asked}`, on `{self._backend}`",
            *([f"\nprovider job `{self._provider_job}`"] if self._provider_job else []),
            *([described(self._approvals.question)] if self._approvals.question else []),
            *([f"\n{self._qpu_seconds:.2f} QPU seconds"] if self._qpu_seconds is not None else []),
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
            question=self._approvals.question,
        )

    @workflow.update(name=DECIDE)
    def decide(self, decision: Decision) -> Decision:
        """Approve of what is asked, or refuse it; gives back the decision as it stands."""
        return self._approvals.take(decision)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        self._approvals.check(decision, self._state)
