"""The end of a matrix: its file and its report, and what clients read of both."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from activities.reporting import versions
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.batches import BatchReport, batch_id
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.matrices import (
    MatrixBody,
    MatrixCall,
    MatrixReport,
    MatrixState,
    MatrixStatus,
    Spectrum,
)
from qurable.contracts.reports import Durations
from qurable.errors import InternalError, JobCancelled, JobNotFound, RequestRejected
from store import artifacts, batches, matrices
from store.database import Database, now, utc
from store.matrices import Entry

_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=300.0, cpu_seconds=300.0)


def batch_key(identity: str, turn: int) -> str:
    """The key of the batch that runs what a matrix lacks in one of its rounds."""
    return f"{identity}/{turn}"


class MatrixReports:
    """Makes reports.

    Args:
        database: The store.
        pool: Children that put files together.
    """

    def __init__(self, database: Database, pool: ChildPool) -> None:
        self._database = database
        self._pool = pool

    async def end(self, call: MatrixCall, *, cancelled: bool) -> MatrixReport:
        """Make the report and keep it; the first one stands and is given back."""
        row = await self._database.read(matrices.find, call.id)
        status = await self._database.read(matrices.status, call.id)
        if row is None or status is None:
            raise InternalError(f"matrix {call.id!r} was never taken in")
        stands = await self._database.read(matrices.find_report, call.id)
        if stands is not None:
            return stands
        entries = await self._database.read(matrices.known, call.id)
        ran = await self._batches(row.project, call.id, row.round)
        report = MatrixReport(
            id=call.id,
            project=row.project,
            kind=status.kind,
            state=MatrixState.CANCELLED if cancelled and call.error is None else MatrixState.INCOMPLETE,
            samples=status.samples,
            entries=status.entries,
            kept=len(entries),
            reused=status.reused,
            served_by=dict(Counter(entry.served_by for entry in entries)),
            accepted=utc(row.accepted_at),
            ended=now(),
            **_costs(ran),
            error=call.error or _reason(call.id, status, ran, cancelled=cancelled),
        )
        file = None
        if report.missing == 0:
            report, file = await self._with_file(report, row, entries)
        return await self._database.write(matrices.end, report, call.owner, file)

    async def _batches(self, project: str, identity: str, turn: int) -> list[BatchReport]:
        """Reports of the batches that were run, round by round."""
        found = []
        for number in range(turn + 1):
            batch = batch_id(project, batch_key(identity, number))
            report = await self._database.read(batches.report, batch)
            if report is not None:
                found.append(report)
        return found

    async def _with_file(
        self, report: MatrixReport, row: Row[Any], entries: Sequence[Entry]
    ) -> tuple[MatrixReport, bytes]:
        jobs = list(dict.fromkeys((entry.job_id, entry.served_by) for entry in entries))
        place = {job: at for at, job in enumerate(jobs)}
        prepared = matrices.prepared_of(row)
        answer = await self._pool.call(
            "circuits.matrices:assemble_matrix",
            {
                "id": report.id,
                "prepared": prepared.model_dump_json(),
                "entries": [
                    [
                        entry.value,
                        entry.error,
                        entry.shots,
                        entry.origin,
                        place[entry.job_id, entry.served_by],
                    ]
                    for entry in entries
                ],
                "jobs": [list(job) for job in jobs],
                "versions": versions(),
            },
            _LIMITS,
            what="the file of the matrix",
        )
        file: bytes = answer["file"]
        return (
            report.model_copy(
                update={
                    "state": MatrixState.COMPLETED,
                    "error": None,
                    "sha256": digest(file),
                    "size": len(file),
                    "shape": tuple(answer["shape"]),
                    "test_shape": tuple(answer["test_shape"]),
                    "largest_error": answer["largest_error"],
                    "spectrum": None if answer["spectrum"] is None else Spectrum.read(answer["spectrum"]),
                }
            ),
            file,
        )


def _costs(ran: Sequence[BatchReport]) -> dict[str, object]:
    prices = [batch.price for batch in ran]
    return {
        "batches": tuple(batch.id for batch in ran),
        "jobs": sum(batch.chunks for batch in ran),
        "durations": Durations(
            **{name: sum(getattr(batch.durations, name) for batch in ran) for name in Durations.model_fields}
        ),
        "qpu_seconds": sum(batch.qpu_seconds for batch in ran),
        "price": None if None in prices else sum(price for price in prices if price is not None),
        "currency": next((batch.currency for batch in ran if batch.currency), ""),
    }


def _reason(
    identity: str, status: MatrixStatus, ran: Sequence[BatchReport], *, cancelled: bool
) -> ErrorDocument | None:
    """Why entries have no value."""
    if cancelled:
        return JobCancelled(
            f"matrix {identity!r} was cancelled before all its entries had a value"
        ).document()
    failed = [item.error for batch in ran[-1:] for item in batch.failed if item.error is not None]
    if failed:
        return failed[0]
    if status.open:
        return InternalError(
            f"matrix {identity!r} lacks {status.open} entries, and no job says why"
        ).document()
    return None


async def matrix_status(database: Database, identity: str) -> MatrixStatus:
    """Where a matrix stands.

    Raises:
        JobNotFound: The store has no such matrix.
    """
    found = await database.read(matrices.status, identity)
    row = await database.read(matrices.find, identity)
    if found is None or row is None:
        raise JobNotFound(f"no matrix {identity!r} is in the store", job_id=identity)
    batch = batch_id(row.project, batch_key(row.id, row.round))
    running = await database.read(batches.find, batch) is not None
    return found.model_copy(update={"batch": batch if running else ""})


async def matrix_report(database: Database, identity: str) -> MatrixReport:
    """The report of a matrix.

    Raises:
        JobNotFound: The store has no such matrix, or it has not ended.
    """
    report = await database.read(matrices.find_report, identity)
    if report is None:
        await matrix_status(database, identity)
        raise JobNotFound(f"matrix {identity!r} has not ended yet", job_id=identity)
    return report


async def matrix_body(database: Database, identity: str) -> MatrixBody:
    """The file of a matrix.

    Raises:
        JobNotFound: The store has no such matrix, or it has not ended.
        RequestRejected: It ended without all its entries.
    """
    report = await matrix_report(database, identity)
    if not report.sha256:
        raise RequestRejected(
            f"matrix {identity!r} is {report.state} and lacks {report.missing} of {report.entries} entries: run it again, which runs "
            "these alone",
            missing=report.missing,
        )
    found = await database.read(artifacts.get, [report.sha256])
    return MatrixBody(sha256=report.sha256, body=found[report.sha256])
