"""Batches for clients: start one, follow its items, get the sum. It speaks Temporal and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client

from qurable.contracts.base import digest
from qurable.contracts.batches import (
    MAX_BATCH_BYTES,
    MAX_ITEMS,
    BatchHead,
    BatchReport,
    BatchStatus,
    ItemPage,
    ItemReport,
    OnError,
    batch_id,
    project_of,
)
from qurable.contracts.jobs import mint_key
from qurable.contracts.stages import ReadRequest
from qurable.errors import JobCancelled, JobNotFound, RequestRejected
from qurable.input_files import readable
from qurable.names import BATCH
from qurable.requests import as_job
from qurable.temporal.following import Read, cancel, end_of
from qurable.temporal.starting import Start, start_once

_WITHIN = timedelta(seconds=30)
"""Of a start: its lines may be tens of megabytes."""

_PAGE = 500
_LOOK_AGAIN_SECONDS = 0.2
_LOOK_AGAIN_AT_MOST_SECONDS = 2.0


@dataclass(frozen=True)
class Batch:
    """A batch that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> BatchStatus:
        """Where it stands.

        Raises:
            JobNotFound: Nobody knows it, or its lines have not been taken in yet.
        """
        status: BatchStatus = await self._read(ReadRequest(what="batch", job_id=self.id), BatchStatus)
        return status

    async def results(self, *, after: int = 0) -> AsyncIterator[ItemReport]:
        """Its items' ends with their results, as they come, until the last.

        Args:
            after: Leave out the first so many.

        Raises:
            JobFailed: It was refused, for a broken line for instance.
            JobCancelled: It was cancelled before its lines were taken in.
        """
        pause, ending = _LOOK_AGAIN_SECONDS, asyncio.create_task(self._end())
        try:
            while True:
                over = ending.done()
                page = await self.page(after=after)
                if page.items:
                    for item in page.items:
                        yield item
                    after, pause = page.after, _LOOK_AGAIN_SECONDS
                elif over:
                    await ending
                    return
                else:
                    await asyncio.wait([ending], timeout=pause)
                    pause = min(pause * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def page(self, *, after: int = 0, limit: int = _PAGE) -> ItemPage:
        """Items that have ended, in the order in which they did, with their results.

        Args:
            after: Leave out the first so many.
            limit: At most so many.
        """
        request = ReadRequest(what="batch_items", job_id=self.id, after=after, limit=limit)
        page: ItemPage = await self._read(request, ItemPage)
        return page

    async def report(self) -> BatchReport:
        """The sum, once all items have ended; also of a batch that was cancelled.

        Raises:
            JobFailed: It was refused, for a broken line for instance.
            JobCancelled: It was cancelled before its lines were taken in.
            JobNotFound: Nobody knows it.
        """
        await self._end()
        report: BatchReport = await self._read(ReadRequest(what="batch_report", job_id=self.id), BatchReport)
        return report

    async def cancel(self) -> None:
        """Cancel what has not ended; what has stays as it is.

        Raises:
            JobNotFound: Nobody knows it.
        """
        if not await cancel(self._temporal, self.id):
            await self.status()  # ended, or unknown: the difference matters

    async def _end(self) -> None:
        """Return once its workflow has ended, if only by a cancellation that its items tell of."""
        try:
            found = await end_of(self._temporal, self.id, BatchReport)
        except JobCancelled:
            if not (await self.page(limit=1)).known:
                raise
            return
        if found is None:
            await self.status()  # Temporal has forgotten it; the store may have not


async def start_batch(
    temporal: Client,
    read: Read,
    work: Any,
    key: str | None,
    project: str,
    on_error: OnError,
    *,
    qpy: bool,
) -> Batch:
    """As `Qurable.batch`."""
    lines = as_lines(work)
    identity = batch_id(project, mint_key() if key is None else key)
    head = BatchHead(id=identity, project=project, body_hash=digest(lines), on_error=on_error, qpy=qpy)
    await _start(temporal, head, lines)
    return Batch(identity, temporal, read)


async def run_again(temporal: Client, read: Read, identity: str) -> Batch:
    """As `Qurable.run_batch_again`."""
    if not project_of(identity):
        raise JobNotFound(f"{identity!r} is no batch's id", job_id=identity)
    await _start(temporal, BatchHead(id=identity, project=project_of(identity), rerun=True), b"")
    return Batch(identity, temporal, read)


def as_lines(work: Any) -> bytes:
    """The lines of a batch: those of a file, as they are given, or one for each job.

    Raises:
        RequestRejected: There is no such file, it is too large, or there is nothing in it.
    """
    if isinstance(work, Path | str):
        path = Path(work)
        with readable(path):
            _within(path.stat().st_size)
            lines = path.read_bytes()
    else:
        lines = work if isinstance(work, bytes) else b"\n".join(_lines(work))
        _within(len(lines))
    number = lines.count(b"\n") + (not lines.endswith(b"\n"))
    if not lines.strip():
        raise RequestRejected("the batch is empty: it takes a job on each line")
    if number > 2 * MAX_ITEMS:  # half of them may be empty; who reads them counts those that are not
        raise RequestRejected(
            f"the batch has {number:,} lines; at most {MAX_ITEMS:,} jobs are taken: split it, or make one job of a sweep, which takes "
            "up to 1,000,000 bindings",
            lines=number,
            limit=MAX_ITEMS,
        )
    return lines


def _lines(work: Iterable[Any]) -> Iterable[bytes]:
    for item in work:
        job = as_job(item)
        unsaid = {"key", "project"} - job.model_fields_set
        yield job.model_dump_json(exclude=unsaid | {"project"}).encode()


def _within(size: int) -> None:
    if size > MAX_BATCH_BYTES:
        raise RequestRejected(
            f"the batch has {size:,} bytes; at most {MAX_BATCH_BYTES:,} are taken: split it",
            size=size,
            limit=MAX_BATCH_BYTES,
        )


async def _start(temporal: Client, head: BatchHead, lines: bytes) -> None:
    summary = "batch · what failed, again" if head.rerun else f"batch · {len(lines):,} bytes of lines"
    start = Start(
        BATCH,
        head.id,
        [head, lines],
        head.project,
        summary,
        "batch",
        head.body_hash,
        other="other lines",
        again=head.rerun,
        within=_WITHIN,
    )
    await start_once(temporal, start)
