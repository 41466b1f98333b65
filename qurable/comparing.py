"""Comparisons and hedged runs from a client: start one, watch it, attach to it by id from anywhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.base import explain
from qurable.contracts.comparisons import Comparison as ComparisonContract
from qurable.contracts.comparisons import (
    ComparisonHead,
    ComparisonReport,
    ComparisonState,
    ComparisonStatus,
    LegReport,
    LegStatus,
)
from qurable.contracts.fallback import Age
from qurable.contracts.jobs import AUTO
from qurable.contracts.reports import JobReport
from qurable.contracts.stages import ReadRequest
from qurable.endings import ended, from_error, lacks_attributes, unreachable
from qurable.errors import KeyReused, NoWorker, RequestRejected
from qurable.names import COMPARISON, Attribute, Queue
from qurable.requests import as_job
from qurable.temporal.bodies import has_another_body
from qurable.temporal.in_workflow import MEMO_BODY

Read = Callable[[ReadRequest, Any], Awaitable[Any]]
"""Asks the store a question, for an answer of a type."""

_RPC = timedelta(seconds=10)
_QUERY = timedelta(seconds=5)
_LOOK_AGAIN_SECONDS = 0.2
_LOOK_AGAIN_AT_MOST_SECONDS = 2.0

_NO_WORKER = frozenset(
    {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION}
)
"""How a query ends that nobody answers in time: there is no worker, or the one that has the workflow hangs."""

_AGE: TypeAdapter[timedelta] = TypeAdapter(Age)


@dataclass(frozen=True)
class Comparison:
    """A comparison or hedged run that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> ComparisonStatus:
        """Where it stands; also where no worker is there to tell.

        Raises:
            JobNotFound: Nobody knows it.
        """
        handle = self._temporal.get_workflow_handle(self.id)
        try:
            found: ComparisonStatus = await handle.query(
                "progress", result_type=ComparisonStatus, rpc_timeout=_QUERY
            )
        except WorkflowQueryFailedError as failure:
            raise NoWorker(f"no worker tells where comparison {self.id!r} stands: {failure}") from None
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND:
                return _status_of(await self.stored())
            if failure.status in _NO_WORKER:
                message = "no worker answers; the comparison waits for one"
                return ComparisonStatus(id=self.id, state=ComparisonState.PREPARING, message=message)
            raise unreachable(failure) from None
        return found

    async def progress(self) -> AsyncIterator[ComparisonStatus]:
        """Where it stands, each time that changes, until it ends."""
        seen, pause = None, _LOOK_AGAIN_SECONDS
        ending = asyncio.create_task(self._ended())
        try:
            while True:
                over = ending.done()
                found = await self.status()
                if found != seen:
                    yield found
                    pause = _LOOK_AGAIN_SECONDS
                seen = found
                if over or found.state.final:
                    return
                await asyncio.wait([ending], timeout=pause)
                pause = min(pause * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def report(self, *, wait: timedelta | None = None) -> ComparisonReport:
        """Its report, waiting until it has one: until every place has ended, and what was withdrawn is confirmed.

        Args:
            wait: Give up waiting after this long; the comparison goes on.

        Raises:
            JobFailed: No place has answered, or it was refused; `stored` has the rows.
            JobCancelled: It was cancelled; `stored` has what its places had by then.
            JobNotFound: Nobody knows it.
            TimeoutError: The wait is over.
        """
        async with asyncio.timeout(None if wait is None else wait.total_seconds()):
            found = await self._ended()
        if found is None:
            found = await self.stored()  # Temporal has forgotten it; the store has not
        if found.error is not None:
            raise from_error(self.id, found.error)
        return found

    async def answer(self) -> JobReport:
        """The report of the job whose answer was chosen; of a hedged run as soon as it is, while losers are withdrawn.

        Raises:
            RequestRejected: No one place's answer was chosen: the comparison's own report has what was decided.
            JobFailed: No place has answered.
            JobCancelled: It was cancelled.
        """
        async for found in self.progress():
            if found.taken:
                taken = next(leg for leg in found.legs if leg.place == found.taken)
                return await self._job_report(taken.job_id)
        decided = (await self.report()).decided
        if decided is None or not decided.job_id:
            raise RequestRejected(
                f"no single place's answer was chosen in {self.id!r}: its report says what was decided"
            )
        return await self._job_report(decided.job_id)

    async def cancel(self) -> None:
        """Cancel it: every place's job is withdrawn, and `report` returns once all are.

        Raises:
            JobNotFound: Nobody knows it.
        """
        try:
            await self._temporal.get_workflow_handle(self.id).cancel(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(failure) from None
            await self.status()  # ended, or unknown: the difference matters

    async def stored(self) -> ComparisonReport:
        """Its report from the store, also where it failed or was cancelled.

        Raises:
            JobNotFound: The store has none, or it has not ended.
        """
        report: ComparisonReport = await self._read(
            ReadRequest(what="comparison", job_id=self.id), ComparisonReport
        )
        return report

    async def _ended(self) -> ComparisonReport | None:
        """Its report once it has ended; None where Temporal does not know it."""
        handle = self._temporal.get_workflow_handle(self.id, result_type=ComparisonReport)
        try:
            found: ComparisonReport = await handle.result()
        except WorkflowFailureError as failure:
            raise ended(self.id, failure) from None
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(failure) from None
            return None
        return found

    async def _job_report(self, job_id: str) -> JobReport:
        report: JobReport = await self._read(ReadRequest(what="report", job_id=job_id), JobReport)
        return report


def as_comparison(work: Any, on: Sequence[str], *, after: Any = None, **options: Any) -> ComparisonContract:
    """A comparison of what people have at hand.

    Args:
        work: A job, or something to sample.
        on: The places.
        after: For a hedged run: how long a place has before the next one is asked too.
        **options: Other fields of the comparison, and of the job.

    Raises:
        RequestRejected: Naming the field.
    """
    fields: dict[str, Any] = {name: options.pop(name) for name in ("decide", "classical") if name in options}
    legs_fall_back = options.pop("fallback", False)
    if isinstance(legs_fall_back, bool):
        fields["fallback"] = legs_fall_back
    else:
        options["fallback"] = legs_fall_back
    if isinstance(on, str):
        raise RequestRejected(f"`on` is a list of places, such as ['aer', 'fake_torino'], not {on!r}")
    job = as_job(work, **options)
    try:
        if after is not None:
            fields["after"] = _AGE.validate_python(after)
        return ComparisonContract(job=job.model_copy(update={"backend": AUTO}), on=tuple(on), **fields)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the comparison")) from None


def _status_of(report: ComparisonReport) -> ComparisonStatus:
    return ComparisonStatus(
        id=report.id,
        state=report.state,
        legs=tuple(map(_leg_status, report.legs)),
        taken=report.decided.place if report.decided is not None else "",
    )


def _leg_status(leg: LegReport) -> LegStatus:
    because = leg.because if leg.error is None else leg.error.message
    return LegStatus(
        place=leg.place,
        job_id=leg.job_id,
        state="not started" if leg.state is None else "ended",
        good=leg.good,
        because=because,
    )


async def start_comparison(temporal: Client, read: Read, comparison: ComparisonContract) -> Comparison:
    """Start a comparison, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to another request, or to other places.
        ServiceUnreachable: Temporal does not answer.
    """
    head = ComparisonHead.of(comparison)
    await _start(temporal, head, comparison)
    return Comparison(head.id, temporal, read)


async def _start(
    temporal: Client, head: ComparisonHead, comparison: ComparisonContract, *, attributes: bool = True
) -> None:
    words = {
        Attribute.PROJECT: head.project,
        Attribute.BACKEND: ",".join(comparison.places)[:200],
        Attribute.STAGE: ComparisonState.PREPARING,
    }
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word)) for name, word in words.items()
    ]
    what = "hedged run" if comparison.hedged else "comparison"
    try:
        await temporal.start_workflow(
            COMPARISON,
            args=[head, comparison, None],
            id=head.id,
            task_queue=Queue.WORKFLOWS,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={MEMO_BODY: head.body_hash},
            search_attributes=TypedSearchAttributes(pairs if attributes else []),
            static_summary=f"{what} · {head.kind} on {', '.join(comparison.places)}"[:200],
            priority=Priority(priority_key=comparison.job.priority, fairness_key=head.project),
            rpc_timeout=_RPC,
        )
    except WorkflowAlreadyStartedError:
        await _same_body(temporal, head)
    except RPCError as failure:
        if not (attributes and lacks_attributes(failure)):
            raise unreachable(failure) from None
        await _start(temporal, head, comparison, attributes=False)


async def _same_body(temporal: Client, head: ComparisonHead) -> None:
    if await has_another_body(temporal, head.id, head.body_hash, _RPC):
        raise KeyReused(
            f"the idempotency key of comparison {head.id!r} already belongs to another request or other places: use a new key",
            job_id=head.id,
        )
