"""Matrices over data: take one in, have a batch run what is missing, put the file together.

A matrix runs nothing itself. What it lacks is a batch, started and found again by an id that follows from the matrix and its
round, whose items are sweeps of one circuit; what the items bring is kept as they end. Whoever takes a matrix up, another
attempt, another run of the workflow or a rerun, goes on from there.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from activities import batch_items
from activities.boundary import beat, speaks_temporal
from activities.checkpoint import Failpoint
from activities.matrix_reports import MatrixReports, batch_key, matrix_status
from activities.started_jobs import reached
from circuits.matrix_jobs import answers_of, chunks_of, jobs_of
from circuits.source import SourceLimits
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import StillWaiting
from qurable.batches import Batch
from qurable.client import Qurable
from qurable.contracts.batches import BatchState, ItemReport, batch_id
from qurable.contracts.matrices import (
    MatrixCall,
    MatrixHead,
    MatrixReport,
    MatrixState,
    MatrixStatus,
    PreparedMatrix,
)
from qurable.contracts.reports import State
from qurable.contracts.stages import Waited
from qurable.errors import (
    InternalError,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyReused,
    from_document,
)
from qurable.names import Activity
from store import batches, matrices
from store.database import Database
from store.matrices import Entry
from store.shelf import StoreShelf

T = TypeVar("T")

Chunks = list[Sequence[int]]
"""Entries of a matrix by the item of the batch that runs them."""

TURN_SECONDS = 10.0
_PAGE = 20
"""Ended items that are read at once: each brings the shots of up to 250 entries."""

_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=300.0, cpu_seconds=300.0)
_RPC = timedelta(seconds=10)
_LOOK_AGAIN = timedelta(seconds=2)
_LOOK_AGAIN_AT_MOST = timedelta(seconds=30)
_ROUNDS_AT_HAND = 8
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_ANSWERED = (State.COMPLETED, State.DEGRADED)


class Matrices:
    """Runs matrices.

    Args:
        database: The store.
        shelf: Where results are.
        pool: Children that read circuits and put files together.
        client: Of Temporal.
        limits: Of circuits.
        failpoint: For tests.
    """

    def __init__(
        self,
        database: Database,
        shelf: StoreShelf,
        pool: ChildPool,
        client: Client,
        limits: SourceLimits,
        failpoint: Failpoint,
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool
        self._client = client
        self._qurable = Qurable(client)
        self._limits = limits
        self._reports = MatrixReports(database, pool)
        self._failpoint = failpoint
        self._recent: OrderedDict[tuple[str, int], Chunks] = OrderedDict()

    @activity.defn(name=Activity.MATRIX_BEGIN)
    @speaks_temporal
    async def begin(self, head: MatrixHead, call: MatrixCall, body: RawValue) -> MatrixStatus:
        """Read what is asked and keep it, with the values that are known; or find it, and have what it lacks run again.

        Raises:
            RequestRejected: The circuit is none that can be used, or does not fit the data.
            KeyReused: Its key belongs to another matrix.
            JobNotFound: It is to run again, and there is none.
        """
        row = await self._database.read(matrices.find, call.id)
        if head.rerun:
            if row is None:
                raise JobNotFound(f"no matrix {call.id!r} is in the store", job_id=call.id)
            await self._database.write(matrices.run_again, call.id, call.owner)
        elif row is None:
            document, addresses = await self._pool.call(
                "circuits.matrices:prepare_matrix",
                {"id": call.id, "request": bytes(body.payload.data), "limits": vars(self._limits)},
                _LIMITS,
                what="the preparation of the matrix",
            )
            prepared = PreparedMatrix.read(document)
            await self._database.write(
                matrices.take_in, call.id, head.project, head.body_hash, call.owner, prepared, addresses
            )
        elif row.body_hash != head.body_hash:
            raise KeyReused(
                f"the key of matrix {call.id!r} already belongs to another one: use a new key for a new matrix",
                job_id=call.id,
            )
        else:
            await self._database.write(matrices.claim, call.id, call.owner)
        self._failpoint("matrix:begun")
        return await matrix_status(self._database, call.id)

    @activity.defn(name=Activity.MATRIX_ADVANCE)
    @speaks_temporal
    async def advance(self, call: MatrixCall) -> MatrixStatus:
        """Have the batch run, and keep what it brings, for a turn; the status says `batch` for as long as it runs.

        Raises:
            StillWaiting: It brought nothing in it.
            RequestRejected: The batch was refused.
        """
        row = await self._row(call)
        if MatrixState(row.state).final or row.owner != call.owner:  # nobody would gather what a batch brings
            return await self._standing(call)
        batch = await self._batch(row)
        if batch is None:
            return await self._standing(call)
        clock = asyncio.get_running_loop().time
        until, brought, pause = clock() + TURN_SECONDS, 0, _SHORTEST_PAUSE
        ending = asyncio.create_task(batch.report())
        try:
            while clock() < until:
                over = ending.done()
                new = await self._gather(row.id, row.round, batch.id)
                brought += new
                if over and not new:
                    await _told(ending)
                    return await self._standing(call)
                pause = _SHORTEST_PAUSE if new else min(1.5 * pause, _LONGEST_PAUSE)
                if not over:
                    await asyncio.wait([ending], timeout=min(pause, max(0.0, until - clock())))
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        if not brought:
            again_in = min(_LOOK_AGAIN * activity.info().attempt, _LOOK_AGAIN_AT_MOST)
            raise StillWaiting(f"batch {batch.id} is under way", again_in)
        return (await self._standing(call)).model_copy(update={"batch": batch.id})

    async def _row(self, call: MatrixCall) -> Any:
        row = await self._database.read(matrices.find, call.id)
        if row is None:
            raise InternalError(f"matrix {call.id!r} was never taken in")
        return row

    async def _standing(self, call: MatrixCall) -> MatrixStatus:
        found = await self._database.read(matrices.status, call.id)
        if found is None:
            raise InternalError(f"matrix {call.id!r} was never taken in")
        return found

    async def _batch(self, row: Any) -> Batch | None:
        """The batch of a matrix's round, started unless it is there; None where the round has nothing to run."""
        identity = batch_id(row.project, batch_key(row.id, row.round))
        known = await self._database.read(batches.find, identity)
        if known is not None and (BatchState(known.state).final or await self._is_there(identity)):
            return self._qurable.attach_batch(identity)
        asked = await self._database.read(matrices.asked_in, row.id, row.round)
        if not asked:
            return None
        jobs = await asyncio.to_thread(lambda: list(jobs_of(matrices.prepared_of(row), asked)))
        self._failpoint("matrix:asked")
        # Where another attempt has started it meanwhile, its key says so: the same round asks the same.
        started = self._qurable.batch(jobs, key=batch_key(row.id, row.round), project=row.project)
        batch = await reached(started)
        self._failpoint("matrix:started")
        return batch

    async def _is_there(self, batch: str) -> bool:
        """Whether Temporal knows a batch that the store has; one that was restored from a backup may not."""
        try:
            await self._client.get_workflow_handle(batch).describe(rpc_timeout=_RPC)
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise StillWaiting(f"Temporal does not answer: {failure.message}", _LOOK_AGAIN) from None
            return False
        return True

    async def _gather(self, identity: str, turn: int, batch: str) -> int:
        """Keep what a page of the batch's ended items brings; how many items that were."""
        row = await self._database.read(matrices.find, identity)
        if row is None or row.round != turn:
            return 0
        page = await batch_items.page(self._database, self._shelf, batch, row.seen, _PAGE)
        if not page.items:
            return 0
        chunks = await self._chunks(row)
        entries = [entry for item in page.items for entry in _entries(item, chunks[item.item])]
        await self._database.write(matrices.keep, identity, turn, entries, page.after)
        self._failpoint("matrix:kept")
        beat(f"{page.after} jobs of batch {batch} have ended")
        return len(page.items)

    async def _chunks(self, row: Any) -> Chunks:
        """The entries of each item of a round's batch; they are the same for as long as it runs."""
        round_ = (row.id, row.round)
        if round_ not in self._recent:
            asked = await self._database.read(matrices.asked_in, row.id, row.round)
            prepared = await asyncio.to_thread(matrices.prepared_of, row)
            self._recent[round_] = chunks_of(prepared, asked)
            while len(self._recent) > _ROUNDS_AT_HAND:
                self._recent.popitem(last=False)
        return self._recent[round_]

    @activity.defn(name=Activity.MATRIX_CANCEL)
    @speaks_temporal
    async def cancel(self, call: MatrixCall) -> Waited:
        """Cancel the batch, see that it ends, and keep what it had brought: that is paid for."""
        row = await self._database.read(matrices.find, call.id)
        if row is None:
            return Waited()
        batch = self._qurable.attach_batch(batch_id(row.project, batch_key(row.id, row.round)))
        if await self._database.read(batches.find, batch.id) is None:
            # Whoever is about to start it, frozen until now, has its lines refused.
            word = JobCancelled(f"matrix {call.id!r} was cancelled before its batch had begun").document()
            await self._database.write(batches.call_off, batch.id, row.project, "", word)
        with contextlib.suppress(JobNotFound):  # it was never started, or it has ended
            await reached(batch.cancel())
        beat(f"waiting for batch {batch.id} to be withdrawn")
        with contextlib.suppress(
            JobNotFound, JobCancelled, JobFailed, KeyReused
        ):  # it was called off while it began
            await reached(batch.report())
        while await self._gather(row.id, row.round, batch.id):
            pass
        await self._reports.end(call, cancelled=True)
        return Waited()

    @activity.defn(name=Activity.MATRIX_END)
    @speaks_temporal
    async def end(self, call: MatrixCall) -> MatrixReport:
        """Put the file together, and give the matrix its report."""
        report = await self._reports.end(call, cancelled=False)
        self._failpoint("matrix:ended")
        return report


async def _told(ending: "asyncio.Task[Any]") -> None:
    """Let a refusal of the batch be heard, as if it were the matrix's own."""
    try:
        await reached(ending)
    except JobFailed as failure:
        raise from_document(failure.error) from None


def _entries(item: ItemReport, numbers: Any) -> list[Entry]:
    """The values that an item has brought."""
    if item.state not in _ANSWERED:
        return []
    (result,) = item.results
    answers = answers_of(result)
    if len(answers) != len(numbers):
        raise InternalError(
            f"job {item.job_id!r} answered {len(answers)} entries of a matrix, {len(numbers)} were asked"
        )
    return [
        Entry(number, *answer, item.job_id, item.served_by, item.state is State.DEGRADED)
        for number, answer in zip(numbers, answers, strict=True)
    ]
