"""Seats: a job waits for others to share a provider job with, and takes its part of what comes of it."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities import joining, steps
from activities.bills import bill_of
from activities.boundary import speaks_temporal
from activities.changes_made import compiled_with
from activities.checkpoint import Checkpoints, Documents, Outcome, Row, read_documents
from activities.documents import CompiledCircuit, FetchedDocument, SubmittedDocument, ValidatedDocument
from activities.groups import Groups
from activities.joining import Member, member_of
from activities.reporting import last_submitted
from activities.shares import share_of
from activities.waiting import Pacing, at_most
from backends.registry import Registry
from circuits.assembly import is_complete
from circuits.runnable import pubs_of
from qurable.backend import StillWaiting
from qurable.contracts.executions import JobRef, Phase, Piece
from qurable.contracts.reports import JobEvent, JobReport, State
from qurable.contracts.routes import Route
from qurable.contracts.sharing import GroupEnd, Joined
from qurable.contracts.stages import StageCall
from qurable.errors import QueueLimitReached, StageForgotten, from_document
from qurable.names import COLLECTOR, JOIN, Activity, Queue
from store import groups, jobs, results, submissions
from store.database import now
from store.groups import Group, Seat
from store.shelf import StoreShelf

_RPC = timedelta(seconds=10)
_AGAIN = timedelta(seconds=1)
_JITTER = 0.2
_SELDOM = timedelta(seconds=5)
_PER_MEMBER = timedelta(seconds=0.1)
"""Of many who wait for the same each asks the more seldom."""

_OVERDUE = timedelta(seconds=30)
"""So long after its window a job that has no group yet joins again: its collector may be gone."""

_JOIN_AT_ONCE = 4
"""Temporal takes ten updates of an execution at a time, and refuses more: a few workers stay below that."""

_MIRRORED = (State.SUBMITTED, State.QUEUED, State.RUNNING)
_RUNS = (None, WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)


class Seats:
    """Has jobs wait for others.

    Args:
        checkpoints: Where rows go.
        shelf: Where requests are.
        registry: The backends.
        client: Of Temporal.
        starting: Starts a group's job where Temporal has lost it.
        pacing: How often a group is asked after.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        shelf: StoreShelf,
        registry: Registry,
        client: Client,
        starting: Groups,
        pacing: Pacing,
    ) -> None:
        self._checkpoints = checkpoints
        self._database = checkpoints.database
        self._failpoint = checkpoints.failpoint
        self._shelf = shelf
        self._registry = registry
        self._client = client
        self._starting = starting
        self._pacing = pacing
        self._joining = asyncio.Semaphore(_JOIN_AT_ONCE)

    @activity.defn(name=Activity.JOIN_GROUP)
    @speaks_temporal
    async def join_group(self, call: StageCall) -> Joined:
        """Take a seat and tell the collector, or say why the job goes alone.

        Raises:
            StillWaiting: The collector does not answer yet.
        """

        async def work(documents: Documents) -> Outcome[Joined]:
            began = now()
            member = await member_of(self._shelf, documents)
            rung = documents.need(steps.PLAN_ROUTE, Route).rungs[call.rung]
            joined = joining.joined(call, member, rung)
            if joined.joiner is not None:
                await self._database.write(groups.take_seat, call.job_id, joined.joiner)
                self._failpoint("join:seated")
                await self._tell_collector(joined)
                self._failpoint("join:told")
            row = Row(call.step, Activity.JOIN_GROUP, began, now(), joined)
            return Outcome(joined, [row])

        return await self._checkpoints.once(call, lambda documents: documents.find(call.step, Joined), work)

    async def _tell_collector(self, joined: Joined) -> None:
        """Join the collector, which is started where none runs; whoever joins twice is in it once.

        Raises:
            StillWaiting: It does not answer.
        """
        head = joined.head
        assert head is not None  # noqa: S101  there is one for whoever has a seat
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            COLLECTOR,
            head,
            id=head.id,
            task_queue=Queue.WORKFLOWS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"jobs that share provider jobs on {head.backend}",
        )
        try:
            async with self._joining:
                await self._client.execute_update_with_start_workflow(
                    JOIN, joined.joiner, start_workflow_operation=start, rpc_timeout=_RPC
                )
        except (RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError) as failure:
            raise StillWaiting(f"collector {head.id!r} does not answer: {failure}", _AGAIN) from None

    @activity.defn(name=Activity.AWAIT_GROUP)
    @speaks_temporal
    async def await_group(self, call: StageCall, joined: Joined, limit: timedelta) -> GroupEnd:
        """Return once the job's group has ended, with the job's own results where it answered.

        Args:
            call: The stage.
            joined: As whom it waits.
            limit: How long it may wait for a group.

        Raises:
            StillWaiting: It has none yet, or that runs.
            QueueLimitReached: No group was made within the limit, or the provider did not run it within the same.
            StageForgotten: The store knows nothing of its seat.
        """

        async def work(documents: Documents) -> Outcome[GroupEnd]:
            began = now()
            assert joined.joiner is not None  # noqa: S101  whoever waits has a seat
            seat = await self._database.read(groups.seat, joined.joiner.tag)
            if seat is None:
                raise StageForgotten(
                    f"the store has no seat of job {call.job_id!r}: it was restored from a backup"
                )
            if not seat.group:
                return await self._without_group(call, joined, seat, began, limit)
            group = await self._database.read(groups.find, seat.group)
            if group is None:
                raise StageForgotten(f"the store has no group {seat.group!r}: it was restored from a backup")
            report = await self._database.read(jobs.find_report, group.id)
            if group.error is None and report is None:
                await self._mirror(call, group.id)
                report = await self._looked_after(group)
            return await self._ended(call, documents, seat, group, report, began)

        return await self._checkpoints.once(call, lambda documents: documents.find(call.step, GroupEnd), work)

    async def _without_group(
        self, call: StageCall, joined: Joined, seat: Seat, began: datetime, limit: timedelta
    ) -> Outcome[GroupEnd]:
        """Wait for a group, and join again where one is overdue."""
        assert joined.joiner is not None  # noqa: S101  as above
        if seat.left:
            return _alone(call, GroupEnd(because="it had stopped waiting for others before"), began)
        waited = datetime.now(UTC) - seat.joined_at
        if waited >= limit and not await self._database.write(groups.leave, call.job_id, joined.joiner):
            raise QueueLimitReached(
                f"no group was made of job {call.job_id!r} and others for {call.backend!r} within its queue limit of {limit}: "
                "allow more with limits.queue, or leave batch_window out"
            )
        if waited > joined.joiner.window + _OVERDUE:
            await self._tell_collector(joined)
        again_in = self._again_in(waited, min(joined.joiner.window - waited, _SELDOM))
        raise StillWaiting("waits for others to share a provider job with", at_most(again_in, limit - waited))

    def _again_in(self, age: timedelta, least: timedelta) -> timedelta:
        """Seldom for what has lasted long, and jittered: at most a tenth of a wait is spent on not having looked."""
        bounded = min(max(age / 10, least, self._pacing.shortest), self._pacing.longest)
        return bounded * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  no secret

    async def _mirror(self, call: StageCall, group: str) -> None:
        """Write down where the group stands as where its member does."""

        def states(connection: Connection) -> tuple[set[State], list[tuple[State, datetime]]]:
            mine = {event.state for event in jobs.events_of(connection, call.job_id)}
            theirs = [(event.state, event.at) for event in jobs.events_of(connection, group)]
            return mine, theirs

        mine, theirs = await self._database.read(states)
        new = [state for state, _ in theirs if state in _MIRRORED and state not in mine]
        if new:
            await self._database.write(_add_events, call, group)

    async def _looked_after(self, group: Group) -> JobReport | None:
        """See that the group's job runs; gives back its report where it has one after all, None where it left none.

        Raises:
            StillWaiting: It runs.
        """
        age = datetime.now(UTC) - group.made_at
        again = StillWaiting(
            f"shares the provider job of {group.id!r}", self._again_in(age, _PER_MEMBER * group.members)
        )
        try:
            description = await self._client.get_workflow_handle(group.id).describe(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND:
                await self._starting.start(group)
            raise again from None
        if description.status in _RUNS:
            raise again
        report = await self._database.read(jobs.find_report, group.id)
        if report is None:
            await self._close(group)
        return report

    async def _close(self, group: Group) -> None:
        """What was terminated with its job at a provider is cancelled, and what had ended by then is not paid for in vain.

        Raises:
            StillWaiting: The provider has not confirmed.
        """
        for key in await self._database.read(submissions.of_job, group.id, group.backend):
            backend = self._registry.get(key.backend)
            cancelled = await backend.cancel(key)
            await self._database.write(submissions.withdraw, key)
            ref = await backend.find(key) if cancelled.final is Phase.DONE else None
            if ref is not None:
                brought = list(await backend.result(ref))
                await self._database.write(results.put, key.tag, brought)

    async def _ended(
        self,
        call: StageCall,
        documents: Documents,
        seat: Seat,
        group: Group,
        report: JobReport | None,
        began: datetime,
    ) -> Outcome[GroupEnd]:
        """The job's own results, where the group has them whatever became of it; else the job goes alone."""
        ran = await self._database.read(_what_ran, group.id)
        member = await member_of(self._shelf, documents)
        if ran is not None:
            pubs = range(seat.first, seat.first + seat.pubs)
            pieces = await self._database.read(results.get, ran.submitted.job.key.tag, pubs)
            own = [piece.model_copy(update={"pub": piece.pub - seat.first}) for piece in pieces]
            if _all_there(own, member):
                self._failpoint("share:found")
                return await self._shared(call, documents, seat, ran, report, own, began)
        error = group.error or (None if report is None else report.error)
        if error is not None and error.code == QueueLimitReached.__name__:
            raise from_document(error)
        reason = "it left no report" if error is None else error.message
        end = GroupEnd(
            group=group.id, because=f"its group {group.id!r} has no answer ({reason})", error=error
        )
        return _alone(call, end, began)

    async def _shared(
        self,
        call: StageCall,
        documents: Documents,
        seat: Seat,
        ran: "_Ran",
        report: JobReport | None,
        pieces: Sequence[Piece],
        began: datetime,
    ) -> Outcome[GroupEnd]:
        """The job has its results, its part of the bill, and all that it would have of a submission of its own."""
        sent = ran.submitted.job
        key = joining.key_of(call, await member_of(self._shelf, documents))
        job = JobRef(backend=sent.backend, key=key, handle=sent.handle)
        end = GroupEnd(job=job, group=seat.group)
        submitted = SubmittedDocument(job=job, small=False, compiled=_compiled(documents, call, seat, ran))
        fetched = FetchedDocument(
            size=sum(len(piece.data) for piece in pieces), seconds=sum(piece.seconds for piece in pieces)
        )
        at = now()
        rows = [
            Row(call.step, Activity.AWAIT_GROUP, began, at, end),
            Row(steps.submit(call.rung), Activity.SUBMIT, began, at, submitted),
            Row(steps.fetch(call.rung), Activity.FETCH, began, at, fetched),
        ]

        def keep(connection: Connection) -> None:
            seats = groups.members(connection, seat.group)
            known = report or _left_behind(connection, seat.group, documents.need(steps.PLAN_ROUTE, Route))
            groups.keep_share(connection, seat.tag, share_of(seats, seat.tag, known, ran.submitted))
            submissions.settle_handle(connection, key, sent.handle)
            submissions.as_sent(connection, key.tag, sent.key.tag)
            results.put(connection, key.tag, pieces)
            _add_events(connection, call, seat.group)

        return Outcome(end, rows, writes=[keep])

    @activity.defn(name=Activity.LEAVE_GROUP)
    @speaks_temporal
    async def leave_group(self, call: StageCall) -> GroupEnd:
        """Nobody waits for the job's seat any more; a group that has it goes on."""
        documents = await self._database.read(read_documents, call.job_id)
        joiner = joining.joiner(call, await member_of(self._shelf, documents))
        group = await self._database.write(groups.leave, call.job_id, joiner)
        self._failpoint("leave:kept")
        return GroupEnd(group=group, because="it was called off")


@dataclass(frozen=True)
class _Ran:
    """What a group had sent.

    Attributes:
        validated: What validation found of it.
        submitted: The submission.
        compiled: Its circuits.
    """

    validated: ValidatedDocument
    submitted: SubmittedDocument
    compiled: Sequence[CompiledCircuit]


def _what_ran(connection: Connection, group: str) -> _Ran | None:
    """What a group had sent; None where nothing is known to have been."""
    documents = read_documents(connection, group)
    submitted = last_submitted(documents, 0)
    if submitted is None:
        return None
    compiled = compiled_with(documents, 0, submitted.changes)
    return _Ran(documents.need(steps.VALIDATE, ValidatedDocument), submitted, compiled.circuits)


def _all_there(pieces: Sequence[Piece], member: Member) -> bool:
    """Whether every pub of a job has its whole result."""
    _, pubs = pubs_of(member.request)
    return all(
        is_complete([piece for piece in pieces if piece.pub == number], pub.bindings.size)
        for number, pub in enumerate(pubs)
    )


def _compiled(documents: Documents, call: StageCall, seat: Seat, ran: _Ran) -> tuple[CompiledCircuit, ...]:
    """The job's distinct circuits as they ran; empty where they are what it had compiled itself."""
    circuit_of = documents.need(steps.VALIDATE, ValidatedDocument).circuit_of
    own = compiled_with(documents, call.rung, call.changes).circuits
    ran_as = ran.validated.circuit_of
    found = tuple(ran.compiled[ran_as[seat.first + circuit_of.index(circuit)]] for circuit in range(len(own)))
    same = [(one.isa, one.target) for one in found] == [(one.isa, one.target) for one in own]
    return () if same else found


def _alone(call: StageCall, end: GroupEnd, began: datetime) -> Outcome[GroupEnd]:
    return Outcome(end, [Row(call.step, Activity.AWAIT_GROUP, began, now(), end)])


def _add_events(connection: Connection, call: StageCall, group: str) -> None:
    """Where a group stood is where its member did."""
    entered = [
        JobEvent(state=event.state, at=event.at, backend=call.backend, detail=f"with others, as {group}")
        for event in jobs.events_of(connection, group)
        if event.state in _MIRRORED
    ]
    if entered:
        jobs.add_events(connection, call.job_id, entered, rung=call.rung)


def _left_behind(connection: Connection, group: str, route: Route) -> JobReport:
    """What is known of a group's job that left no report, since somebody terminated it."""
    job = jobs.need(connection, group)
    bill = bill_of(connection, group, route).fields()
    return JobReport(
        id=group, project=job.project, kind=job.kind, state=State.CANCELLED, asked=job.asked, **bill
    )
