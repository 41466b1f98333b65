"""Kernels and features from a client: start one, follow it, read its file. It speaks Temporal and nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client

from qurable.contracts.base import explain
from qurable.contracts.matrices import (
    FeaturesRequest,
    KernelRequest,
    MatrixBody,
    MatrixHead,
    MatrixReport,
    MatrixStatus,
    matrix_project,
)
from qurable.contracts.stages import ReadRequest
from qurable.errors import JobCancelled, JobNotFound, RequestRejected
from qurable.matrix_files import Matrix, read_matrix
from qurable.names import MATRIX
from qurable.requests import as_circuit, as_observables
from qurable.temporal.following import Read, cancel, changes, end_of
from qurable.temporal.starting import Start, start_once

R = TypeVar("R", KernelRequest, FeaturesRequest)

_WITHIN = timedelta(seconds=30)
"""Of a start: its data may be tens of megabytes."""


@dataclass(frozen=True)
class MatrixRun:
    """A kernel or features that were started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> MatrixStatus:
        """Where it stands.

        Raises:
            JobNotFound: Nobody knows it, or its data have not been taken in yet.
        """
        status: MatrixStatus = await self._read(ReadRequest(what="matrix", job_id=self.id), MatrixStatus)
        return status

    async def progress(self) -> AsyncIterator[MatrixStatus]:
        """Where it stands whenever that has changed, until it ends.

        Raises:
            JobFailed: It was refused.
        """
        async for status in changes(self._known, self._end):
            yield status
        await self._end()

    async def report(self) -> MatrixReport:
        """Its report, once it has ended; also of one that was cancelled or lacks entries.

        Raises:
            JobFailed: It was refused.
            JobCancelled: It was cancelled before its data were taken in.
            JobNotFound: Nobody knows it.
        """
        await self._end()
        report: MatrixReport = await self._read(
            ReadRequest(what="matrix_report", job_id=self.id), MatrixReport
        )
        return report

    async def file(self) -> bytes:
        """Its file, once it has ended: npz, see `qurable.matrix_files`.

        Raises:
            JobFailed: It was refused.
            RequestRejected: It ended without all its entries.
        """
        await self._end()
        found: MatrixBody = await self._read(ReadRequest(what="matrix_file", job_id=self.id), MatrixBody)
        return found.body

    async def matrix(self) -> Matrix:
        """The matrix itself, once it has ended, checked against the report's hash (needs NumPy).

        Raises:
            JobFailed: It was refused.
            RequestRejected: It ended without all its entries.
        """
        report, body = await self.report(), await self.file()
        return read_matrix(body, sha256=report.sha256)

    async def cancel(self) -> None:
        """Cancel what is in flight; entries that have a value keep it, also for other matrices; one that has ended stays as it is.

        Raises:
            JobNotFound: Nobody knows it.
        """
        if not await cancel(self._temporal, self.id):
            await self.status()  # ended, or unknown: the difference matters

    async def _end(self) -> None:
        """Return once its workflow has ended, if only by a cancellation that it has a report of."""
        try:
            found = await end_of(self._temporal, self.id, MatrixReport)
        except JobCancelled:
            known = await self._known()
            if known is None or not known.state.final:
                raise
            return
        if found is None:
            await self.status()  # Temporal has forgotten it; the store may have not

    async def _known(self) -> MatrixStatus | None:
        """Where it stands; None before its data were taken in."""
        try:
            return await self.status()
        except JobNotFound:
            return None


def as_kernel(feature_map: Any, x_train: Any, x_test: Any = None, **options: Any) -> KernelRequest:
    """A request for a kernel; see `Qurable.kernel`.

    Raises:
        RequestRejected: Naming the field.
    """
    fields = {"circuit": as_circuit(feature_map), "x_train": x_train, "x_test": x_test, **options}
    return _checked(KernelRequest, "the kernel", fields)


def as_features(circuit: Any, observables: Any, data: Any, **options: Any) -> FeaturesRequest:
    """A request for features; see `Qurable.features`.

    Raises:
        RequestRejected: Naming the field.
    """
    fields = {"circuit": as_circuit(circuit), "observables": as_observables(observables), "data": data}
    return _checked(FeaturesRequest, "the features", {**fields, **options})


def _checked(kind: type[R], what: str, fields: dict[str, Any]) -> R:
    plain = {
        name: value.to_numpy() if hasattr(value, "to_numpy") and name.startswith(("x_", "data")) else value
        for name, value in fields.items()
    }
    try:
        return kind.model_validate(plain)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, what)) from None


async def start_matrix(temporal: Client, read: Read, request: KernelRequest | FeaturesRequest) -> MatrixRun:
    """Start a matrix, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to another matrix.
        ServiceUnreachable: Temporal does not answer.
    """
    head = MatrixHead(
        id=request.matrix_id, project=request.project, kind=request.kind, body_hash=request.body_hash
    )
    await _start(temporal, head, request)
    return MatrixRun(head.id, temporal, read)


async def run_matrix_again(temporal: Client, read: Read, identity: str) -> MatrixRun:
    """As `Qurable.run_matrix_again`."""
    if not matrix_project(identity):
        raise JobNotFound(f"{identity!r} is no matrix's id", job_id=identity)
    await _start(temporal, MatrixHead(id=identity, project=matrix_project(identity), rerun=True), b"")
    return MatrixRun(identity, temporal, read)


async def _start(temporal: Client, head: MatrixHead, body: Any) -> None:
    summary = "matrix · what is missing, again" if head.rerun else f"matrix · {head.kind}"
    start = Start(
        MATRIX,
        head.id,
        [head, body],
        head.project,
        summary,
        "matrix",
        head.body_hash,
        again=head.rerun,
        within=_WITHIN,
    )
    await start_once(temporal, start)
