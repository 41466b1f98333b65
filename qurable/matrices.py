"""Kernels and features from a client: start one, follow it, read its file. It speaks Temporal and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.common import WorkflowIDReusePolicy as Reuse
from temporalio.exceptions import CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

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
from qurable.endings import ended, lacks_attributes, unreachable
from qurable.errors import JobNotFound, KeyReused, RequestRejected
from qurable.matrix_files import Matrix, read_matrix
from qurable.names import MATRIX, Attribute, Queue
from qurable.requests import as_circuit, as_observables
from qurable.temporal.bodies import has_another_body
from qurable.temporal.in_workflow import MEMO_BODY

Read = Callable[[ReadRequest, Any], Awaitable[Any]]
"""Asks the store a question, for an answer of a type."""

R = TypeVar("R", KernelRequest, FeaturesRequest)

_RPC = timedelta(seconds=30)
_LOOK_AGAIN_SECONDS = 0.2
_LOOK_AGAIN_AT_MOST_SECONDS = 2.0


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
        last, pause, ending = None, _LOOK_AGAIN_SECONDS, asyncio.create_task(self._end())
        try:
            while True:
                over = ending.done()
                if over:
                    await ending
                try:
                    status = await self.status()
                except JobNotFound:
                    status = None
                if status is not None and status != last:
                    last, pause = status, _LOOK_AGAIN_SECONDS
                    yield status
                if over:
                    return
                await asyncio.wait([ending], timeout=pause)
                pause = min(pause * 1.5, _LOOK_AGAIN_AT_MOST_SECONDS)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

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
        """Cancel what is in flight; entries that have a value keep it, also for other matrices.

        Raises:
            JobNotFound: Nobody knows it, or it has ended.
        """
        try:
            await self._temporal.get_workflow_handle(self.id).cancel(rpc_timeout=_RPC)
        except RPCError as failure:
            raise unreachable(failure) from None

    async def _end(self) -> None:
        """Return once its workflow has ended, if only by a cancellation that it has a report of."""
        try:
            await self._temporal.get_workflow_handle(self.id, result_type=MatrixReport).result()
        except WorkflowFailureError as failure:
            if isinstance(failure.cause, CancelledError) and await self._is_known():
                return
            raise ended(self.id, failure) from None
        except RPCError as failure:
            if failure.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(failure) from None
            await self.status()  # Temporal has forgotten it; the store may have not

    async def _is_known(self) -> bool:
        try:
            return (await self.status()).state.final
        except JobNotFound:
            return False


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


async def _start(temporal: Client, head: MatrixHead, body: Any, *, attributes: bool = True) -> None:
    project = SearchAttributePair(SearchAttributeKey.for_keyword(Attribute.PROJECT), head.project)
    try:
        await temporal.start_workflow(
            MATRIX,
            args=[head, body],
            id=head.id,
            task_queue=Queue.WORKFLOWS,
            id_reuse_policy=Reuse.ALLOW_DUPLICATE if head.rerun else Reuse.REJECT_DUPLICATE,
            memo={MEMO_BODY: head.body_hash},
            search_attributes=TypedSearchAttributes([project] if attributes else []),
            static_summary="matrix · what is missing, again" if head.rerun else f"matrix · {head.kind}",
            priority=Priority(fairness_key=head.project),
            rpc_timeout=_RPC,
        )
    except WorkflowAlreadyStartedError:
        if not head.rerun and await has_another_body(temporal, head.id, head.body_hash, _RPC):
            raise KeyReused(
                f"the key of matrix {head.id!r} already belongs to another one: use a new key for a new matrix",
                job_id=head.id,
            ) from None
    except RPCError as failure:
        if not (attributes and lacks_attributes(failure)):
            raise unreachable(failure) from None
        await _start(temporal, head, body, attributes=False)
