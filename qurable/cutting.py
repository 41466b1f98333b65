"""Circuit cutting from a client: ask the price, start a cut, attach to it by id from anywhere, get its report."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from qurable.contracts.base import explain
from qurable.contracts.cutting import CutHead, CutJob, CutPrice, CutReport, CutStatus
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.stages import ReadRequest
from qurable.endings import ended, from_error, unreachable
from qurable.errors import JobNotFound, RequestRejected
from qurable.names import CUT, Queue
from qurable.requests import estimate
from qurable.temporal.following import Read, ask, cancel, end_of
from qurable.temporal.starting import Start, start_once

_RPC = timedelta(seconds=10)
_PRICE = timedelta(minutes=15)

_NO_SAMPLES = (
    "a cut circuit cannot be sampled: its fragments give expectation values with signs, and no shot of the whole; estimate "
    "observables, or ask for the marginals of a few qubits"
)


@dataclass(frozen=True)
class Cut:
    """A cut that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> CutStatus:
        """Where it stands.

        Raises:
            JobNotFound: Nobody knows it.
            NoWorker: No worker answers.
        """
        found = await ask(self._temporal, self.id, "status", CutStatus)
        return _status_of(await self._stored()) if found is None else found

    async def report(self, *, wait: timedelta | None = None) -> CutReport:
        """Its report, waiting until it has one.

        Args:
            wait: Give up waiting after this long; the cut goes on.

        Raises:
            JobFailed: It ended without an answer; `.error` says why. `failed_report` has the fragments that were run.
            JobCancelled: It was cancelled.
            JobNotFound: Nobody knows it.
            TimeoutError: The wait is over.
        """
        found = await end_of(self._temporal, self.id, CutReport, wait=wait)
        if found is None:
            found = await self._stored()  # Temporal has forgotten it; the store has not
        if found.error is not None:
            raise from_error(self.id, found.error)
        return found

    async def failed_report(self) -> CutReport:
        """The report of a cut that has ended, also without an answer: which fragments have one, and what they cost.

        Raises:
            JobNotFound: The store has no such cut that has ended, or it was refused before anything ran.
        """
        return await self._stored()

    async def cancel(self) -> None:
        """Cancel it, and the jobs of its fragments; one that has ended stays as it is.

        Raises:
            JobNotFound: Nobody knows it.
        """
        if not await cancel(self._temporal, self.id):
            await self.status()  # ended, or unknown: the difference matters

    async def _stored(self) -> CutReport:
        report: CutReport = await self._read(ReadRequest(what="cut", job_id=self.id), CutReport)
        return report


def as_cut(
    work: Any,
    *,
    cut: Any = None,
    marginals: Sequence[Sequence[int]] = (),
    shots: int | None = None,
    **options: Any,
) -> CutJob:
    """A cut from what people have at hand.

    Args:
        work: A cut as it is, an estimation job of one pub, or a pub as Qiskit's estimator takes it: `(circuit, observables)`,
            `(circuit, observables, values)` or `(circuit, observables, values, precision)`; `(circuit, [])` for marginals alone.
        cut: Fields of `CutOptions`.
        marginals: Sets of virtual qubits whose joint probabilities are asked for.
        shots: Of each experiment of a fragment, instead of a precision.
        **options: Other fields of `EstimateJob`: `precision`, `backend`, `seed`, `key`, ...

    Raises:
        RequestRejected: Naming the field; sampling is refused with the reason.
    """
    if isinstance(work, CutJob):
        return work
    if isinstance(work, SampleJob | SamplePub):
        raise RequestRejected(_NO_SAMPLES)
    if isinstance(work, SolveJob):
        raise RequestRejected("a problem is not cut: give the circuit and the observable of its objective")
    try:
        job = work if isinstance(work, EstimateJob) else estimate(work, **options)
        if isinstance(work, EstimateJob) and options:
            job = EstimateJob.model_validate({**dict(work), **options})
        if shots is not None:
            fields = {"precision": None, "shots": shots}
            pubs = tuple(EstimatePub.model_validate({**dict(pub), **fields}) for pub in job.pubs)
            job = job.model_copy(update={"pubs": pubs})
        return CutJob.model_validate({"estimate": job, "marginals": marginals, "cut": cut or {}})
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the cut")) from None


async def start_cut(temporal: Client, read: Read, job: CutJob) -> Cut:
    """Start a cut, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to a cut with another body.
        ServiceUnreachable: Temporal does not answer.
    """
    head = CutHead(
        id=job.cut_id,
        project=job.estimate.project,
        body_hash=job.body_hash,
        reruns=job.cut.reruns,
        schema_version=job.schema_version,
    )
    start = Start(
        CUT,
        head.id,
        [head, job],
        head.project,
        f"cut · on {job.estimate.asked}",
        "cut",
        head.body_hash,
        priority=job.estimate.priority,
    )
    await start_once(temporal, start)
    return Cut(head.id, temporal, read)


async def run_cut_again(temporal: Client, read: Read, cut_id: str) -> Cut:
    """Run the fragments without an answer of a cut that has ended; one that runs goes on.

    Raises:
        JobNotFound: The store has no such cut, or it was refused before anything ran.
        ServiceUnreachable: Temporal does not answer.
    """
    cut = Cut(cut_id, temporal, read)
    project = cut_id.removeprefix("cut-").rpartition("-")[0]
    if not cut_id.startswith("cut-") or not project:
        raise JobNotFound(f"{cut_id!r} is no cut's id", job_id=cut_id)
    head = CutHead(id=cut_id, project=project, again=True)
    summary = "cut · what has no answer again"
    await start_once(temporal, Start(CUT, cut_id, [head, b""], project, summary, "cut", again=True))
    return cut


async def price_cut(temporal: Client, job: CutJob) -> CutPrice:
    """What a cut would take; nothing is run or kept.

    Raises:
        JobFailed: It cannot be cut so; `.error` says why.
        ServiceUnreachable: Temporal does not answer.
    """
    head = CutHead(id=job.cut_id, project=job.estimate.project, price=True, schema_version=job.schema_version)
    identity = f"qurable-cut-price-{secrets.token_hex(8)}"
    try:
        found: CutPrice = await temporal.execute_workflow(
            CUT,
            args=[head, job],
            id=identity,
            task_queue=Queue.WORKFLOWS,
            execution_timeout=_PRICE,
            result_type=CutPrice,
            rpc_timeout=_RPC,
        )
    except WorkflowFailureError as failure:
        raise ended(identity, failure) from None
    except RPCError as failure:
        raise unreachable(failure) from None
    return found


def _status_of(report: CutReport) -> CutStatus:
    return CutStatus(id=report.id, state=report.state, price=report.price, ended=report.fragments)
