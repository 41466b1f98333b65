"""Batches: take the lines in, run their chunks as jobs, put the sum together.

A chunk is a job like any other, started and found again by its id. What is in flight stands in the store, so that whoever
takes a batch up goes on with it: another attempt, another run of the workflow, a rerun.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from activities import steps
from activities.batch_lines import BatchLines
from activities.bills import bill_of
from activities.boundary import beat, speaks_temporal
from activities.checkpoint import Failpoint, read_documents
from activities.started_jobs import reached, runs_on
from qurable.backend import StillWaiting
from qurable.client import Qurable
from qurable.contracts.batches import BatchCall, BatchHead, BatchReport, BatchStatus
from qurable.contracts.bindings import Bindings
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import Limits as JobLimits
from qurable.contracts.jobs import SolveJob, read_request
from qurable.contracts.pubs import EstimatePub
from qurable.contracts.reports import JobReport, State
from qurable.contracts.routes import Route
from qurable.contracts.stages import Waited
from qurable.errors import (
    BY_CODE,
    CancelledElsewhere,
    CircuitRejected,
    ExecutionFailed,
    GuardrailBroken,
    HybridError,
    InternalError,
    JobCancelled,
    JobNotFound,
    KeyReused,
    RequestRejected,
    UnknownBackend,
)
from qurable.names import Activity
from qurable.requests import AnyJob
from store import batches, jobs
from store.batches import Asked, Bill, Chunk, Ended
from store.database import Database
from store.shelf import StoreShelf

MOST_IN_FLIGHT = 50

TURN_SECONDS = 10.0

CHUNKS_OF_A_TURN = 20
"""Or so many that ended: each turn is a few events of the workflow's history."""

_LOOK_AGAIN = timedelta(seconds=2)

_LOOK_AGAIN_AT_MOST = timedelta(seconds=30)

_LONGEST_RUN = timedelta(days=365)


class Batches:
    """Runs batches.

    Args:
        database: The store.
        shelf: Where requests are.
        lines: Reads them.
        client: Of Temporal.
        failpoint: For tests.
    """

    def __init__(
        self,
        database: Database,
        shelf: StoreShelf,
        lines: BatchLines,
        client: Client,
        failpoint: Failpoint,
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._lines = lines
        self._client = client
        self._qurable = Qurable(client)
        self._failpoint = failpoint

    @activity.defn(name=Activity.BATCH_BEGIN)
    @speaks_temporal
    async def begin(self, head: BatchHead, call: BatchCall, body: RawValue) -> BatchStatus:
        """Read the lines and keep what they ask; or find it, and have what failed run again where that is wanted.

        Raises:
            RequestRejected: The batch is empty or too long, or a line is broken and it is to stop then.
            KeyReused: Its key belongs to a batch with other lines.
            JobNotFound: It is to run again, and there is none with items.
        """
        known = await self._database.read(batches.find, call.id)
        if head.rerun:
            if known is None:
                raise JobNotFound(f"no batch {call.id!r} is in the store", job_id=call.id)
            if not known.item_count:
                raise JobNotFound(
                    f"batch {call.id!r} was cancelled before its lines were read: send them again under a new key",
                    job_id=call.id,
                )
            await self._database.write(batches.run_again, call.id, call.owner)
        elif known is None:
            read = await self._lines.read(head, bytes(body.payload.data))
            self._failpoint("batch:read")
            await self._database.write(
                batches.take_in, call.id, head.project, head.body_hash, call.owner, read
            )
        elif known.body_hash != head.body_hash:
            raise KeyReused(
                f"the key of batch {call.id!r} already belongs to other lines: use a new key for a new batch",
                job_id=call.id,
            )
        else:
            await self._database.write(batches.claim, call.id, call.owner)
        return await self._status(call)

    async def _status(self, call: BatchCall) -> BatchStatus:
        found = await self._database.read(batches.status, call.id)
        if found is None:
            raise InternalError(f"batch {call.id!r} was never taken in")
        return found

    @activity.defn(name=Activity.BATCH_ADVANCE)
    @speaks_temporal
    async def advance(self, call: BatchCall) -> BatchStatus:
        """Start chunks, most urgent first and so many at a time, and keep what ends, for a turn.

        Raises:
            StillWaiting: Nothing ended in it.
        """
        clock = asyncio.get_running_loop().time
        until, ended = clock() + TURN_SECONDS, 0
        watched: dict[asyncio.Task[Ended], Chunk] = {}
        try:
            while ended < CHUNKS_OF_A_TURN and clock() < until:
                await self._fill(call, watched)
                if not watched:
                    return await self._status(call)
                done, _ = await asyncio.wait(
                    watched, timeout=max(0.0, until - clock()), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    await self._keep(call, watched.pop(task), task.result())
                ended += len(done)
                status = await self._status(call)
                beat(
                    f"{status.items - status.open} of {status.items} items ended, {status.in_flight} jobs in flight"
                )
        finally:
            await _drop(watched)
        if not ended:
            again_in = min(_LOOK_AGAIN * activity.info().attempt, _LOOK_AGAIN_AT_MOST)
            raise StillWaiting(f"{len(watched)} jobs are under way", again_in)
        return await self._status(call)

    async def _fill(self, call: BatchCall, watched: "dict[asyncio.Task[Ended], Chunk]") -> None:
        """Have as many chunks in flight as may be, and watch each of them."""
        known = {chunk.job_id for chunk in watched.values()}
        for chunk in await self._database.write(batches.take, call.id, call.owner, MOST_IN_FLIGHT):
            if chunk.job_id not in known:
                watched[asyncio.create_task(self._end_of(call, chunk))] = chunk

    async def _end_of(self, call: BatchCall, chunk: Chunk) -> Ended:
        """How a chunk's job ended, once it has; one that nobody has started, or that Temporal has lost, is started."""
        if not chunk.started:
            await self._start(call, chunk)
        while True:
            handle = self._client.get_workflow_handle(chunk.job_id, result_type=RawValue)
            cause: BaseException | None = None
            try:
                await handle.result()
            except WorkflowFailureError as failure:
                cause = failure.cause
            except RPCError as failure:
                if failure.status is not RPCStatusCode.NOT_FOUND:
                    raise StillWaiting(f"Temporal does not answer: {failure.message}", _LOOK_AGAIN) from None
                await self._start(call, chunk)
                continue
            report = await self._database.read(jobs.find_report, chunk.job_id)
            if report is not None:
                return _ended(report)
            if not await runs_on(self._client, chunk.job_id):
                return await self._unreported(chunk, cause)

    async def _unreported(self, chunk: Chunk, cause: BaseException | None) -> Ended:
        """The end of a job that left no report; with what it has cost so far, where somebody terminated it."""
        if isinstance(cause, TerminatedError):
            return await self._called_off(chunk, f"was terminated: {cause.message}")
        error = InternalError(f"job {chunk.job_id!r} ended without a report: {cause or 'it was removed'}")
        return Ended(State.FAILED, error=error.document())

    async def _called_off(self, chunk: Chunk, what: str) -> Ended:
        """The end of a job that somebody has ended, with what it has cost."""
        error = JobCancelled(f"job {chunk.job_id!r} {what}")
        bill = await self._database.read(_bill_so_far, chunk.job_id)
        return Ended(State.CANCELLED, bill=bill, error=error.document())

    async def _start(self, call: BatchCall, chunk: Chunk) -> None:
        asked = await self._database.read(batches.asked, call.id, chunk)
        job = _job(read_request(await self._shelf.artifact(asked.request)), chunk, asked)
        self._failpoint("batch:taken")
        try:
            await reached(self._qurable.submit(job))
        except KeyReused:
            # Another version of this code has started it and wrote the request otherwise: its id says that it runs these items.
            activity.logger.warning("job %s of batch %s is there already", chunk.job_id, call.id)
        await self._database.write(batches.started, call.id, chunk)
        self._failpoint("batch:started")

    async def _keep(self, call: BatchCall, chunk: Chunk, ended: Ended) -> None:
        """Give the items their ends; where one of several may be to blame for a failure, look for it in each half."""
        if len(chunk.members) > 1 and ended.error is not None and _may_be_one_items(ended.error):
            await self._database.write(batches.split_chunk, call.id, chunk, ended.bill)
        else:
            asked = await self._database.read(batches.asked, call.id, chunk)
            await self._database.write(batches.end_chunk, call.id, chunk, ended, alone=asked.alone)
        self._failpoint("batch:kept")

    @activity.defn(name=Activity.BATCH_CANCEL)
    @speaks_temporal
    async def cancel(self, head: BatchHead, call: BatchCall) -> Waited:
        """Cancel the jobs in flight and what waits, and see that they end."""
        word = JobCancelled(f"batch {call.id!r} was cancelled before the item had an answer").document()
        off = (call.id, head.project, head.body_hash, word)
        # Again until nothing is left: a turn that was frozen may have cut a chunk in halves meanwhile.
        while flying := await self._database.write(batches.call_off, *off):
            await self._withdraw(call, flying)
        await self._database.write(batches.end, call.id, cancelled=True)
        return Waited()

    async def _withdraw(self, call: BatchCall, flying: Sequence[Chunk]) -> None:
        """Cancel jobs, and keep how they ended: one or the other may have had its answer."""
        lost = set()
        for chunk in flying:
            if not chunk.started:  # a start may be on its way: only a job that is there can be cancelled
                await self._start(call, chunk)
            try:
                await reached(self._qurable.cancel(chunk.job_id))
            except JobNotFound:
                lost.add(chunk.job_id)
        for chunk in flying:
            beat(f"waiting for job {chunk.job_id} to be withdrawn")
            if (
                chunk.job_id in lost
            ):  # to start it again, as whoever waits for an answer does, would pay for it
                ended = await self._called_off(chunk, "is not known to Temporal any more, and was cancelled")
            else:
                ended = await self._end_of(call, replace(chunk, started=True))
            asked = await self._database.read(batches.asked, call.id, chunk)
            await self._database.write(batches.end_chunk, call.id, chunk, ended, alone=asked.alone)

    @activity.defn(name=Activity.BATCH_END)
    @speaks_temporal
    async def end(self, call: BatchCall) -> BatchReport:
        """Close the batch, and give its report."""
        return await self._database.write(batches.end, call.id, cancelled=False)


async def _drop(watched: "dict[asyncio.Task[Ended], Chunk]") -> None:
    """Stop watching; the jobs go on."""
    for task in watched:
        task.cancel()
    await asyncio.gather(*watched, return_exceptions=True)


def _job(first: AnyJob, chunk: Chunk, asked: Asked) -> AnyJob:
    """The job that runs a chunk: the first item's, with the bindings and seeds of all."""
    update: dict[str, Any] = {"key": chunk.job_key, "labels": {}, "seed": None}
    if asked.alone:
        seeds = {"seed": None} if first.seed is None and first.seeds else {"seed": asked.seeds[0]}
        return first.model_copy(update={**update, "labels": first.labels, **seeds})
    if isinstance(first, SolveJob):
        raise InternalError(f"chunk {chunk.job_id!r} groups problems, which run alone")
    (pub,) = first.pubs
    number = len(chunk.members)
    beside = (1,) * len(pub.observables.shape) if isinstance(pub, EstimatePub) else ()
    bindings = Bindings(
        parameters=tuple(sorted(pub.bindings.parameters)),
        shape=(number, *beside),
        values=tuple(value for row in asked.numbers for value in row),
    )
    limits: JobLimits = first.limits.model_copy(update={"run": min(first.limits.run * number, _LONGEST_RUN)})
    pubs = (pub.model_copy(update={"bindings": bindings}),)
    return first.model_copy(update={**update, "seeds": asked.seeds, "pubs": pubs, "limits": limits})


def _ended(report: JobReport) -> Ended:
    paid = report.provider_jobs or report.incidents
    bill = Bill(
        durations=report.durations,
        qpu_seconds=report.qpu_seconds,
        price=report.price if paid else 0.0,
        currency=report.currency,
    )
    return Ended(report.state, report.served_by, bill, report.error)


def _bill_so_far(connection: Connection, job_id: str) -> Bill:
    """What a job without a report has cost."""
    route = read_documents(connection, job_id).find(steps.PLAN_ROUTE, Route)
    known = bill_of(connection, job_id, route).fields()
    paid = known["provider_jobs"] or known["incidents"]
    return Bill(
        qpu_seconds=known["qpu_seconds"],
        price=known["price"] if paid else 0.0,
        currency=known["currency"],
    )


def _may_be_one_items(error: ErrorDocument) -> bool:
    """Whether one item may be to blame, and the others not: not where a place or a budget is."""
    tried: Sequence[Any] = error.details.get("tried", ())
    codes = {error.code, *(attempt["error"]["code"] for attempt in tried)}
    classes = [BY_CODE.get(code, InternalError) for code in codes]
    return any(
        issubclass(kind, RequestRejected | ExecutionFailed | InternalError) and not issubclass(kind, _OF_ALL)
        for kind in classes
    )


_OF_ALL: tuple[type[HybridError], ...] = (
    CircuitRejected,
    UnknownBackend,
    GuardrailBroken,
    KeyReused,
    CancelledElsewhere,
)
"""Ends that every item of a chunk would meet."""
