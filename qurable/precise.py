"""An expectation value to a precision at a price, from a client: start it, watch it, attach to it by id from anywhere."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.base import explain
from qurable.contracts.precise import Precise, PreciseReport, PreciseState
from qurable.endings import ended, unreachable
from qurable.errors import JobNotFound, KeyReused, NoWorker, RequestRejected
from qurable.names import PRECISE, Queue
from qurable.requests import estimate
from qurable.temporal.bodies import has_another_body
from qurable.temporal.in_workflow import MEMO_BODY

_RPC = timedelta(seconds=10)
_QUERY = timedelta(seconds=5)
_OWN = frozenset(Precise.model_fields) - {"job", "schema_version"}


def as_precise(circuit: Any, observable: Any, values: Any = None, **options: Any) -> Precise:
    """A request from what people have at hand.

    Args:
        circuit: As for `estimate`.
        observable: One: a Pauli label, a sum of them, a `SparsePauliOp`.
        values: Of the circuit's parameters.
        **options: Fields of `Precise` (`precision`, `max_price`, ...), and of `EstimateJob` (`backend`, `seed`, `key`, ...).

    Raises:
        RequestRejected: Naming the field.
    """
    own = {name: options.pop(name) for name in list(options) if name in _OWN}
    job = estimate((circuit, observable, values), **{"fallback": "none", **options})
    try:
        return Precise.model_validate({"job": job, **own})
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the request")) from None


@dataclass(frozen=True)
class PreciseJob:
    """One that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client

    async def progress(self) -> PreciseState:
        """The rounds so far.

        Raises:
            NoWorker: No worker is there to tell.
            JobNotFound: Nobody knows it.
        """
        try:
            found: PreciseState = await self._temporal.get_workflow_handle(self.id).query(
                "progress", result_type=PreciseState, rpc_timeout=_QUERY
            )
        except WorkflowQueryFailedError as failure:
            raise NoWorker(f"no worker tells where {self.id!r} stands: {failure}") from None
        except RPCError as failure:
            raise self._unknown(failure) from None
        return found

    async def report(self, *, wait: timedelta | None = None) -> PreciseReport:
        """Its report, waiting until it has one.

        Args:
            wait: Give up waiting after this long; it goes on.

        Raises:
            JobFailed: A round failed, or not even the first was within the limits; `.error` says why.
            JobCancelled: It was cancelled.
            JobNotFound: Nobody knows it, or any more.
            TimeoutError: The wait is over.
        """
        handle = self._temporal.get_workflow_handle(self.id, result_type=PreciseReport)
        try:
            async with asyncio.timeout(None if wait is None else wait.total_seconds()):
                found: PreciseReport = await handle.result()
        except WorkflowFailureError as failure:
            raise ended(self.id, failure) from None
        except RPCError as failure:
            raise self._unknown(failure) from None
        return found

    async def cancel(self) -> None:
        """Give it up, and the round that runs with it; what earlier rounds brought stays in their reports."""
        try:
            await self._temporal.get_workflow_handle(self.id).cancel(rpc_timeout=_RPC)
        except RPCError as failure:
            raise self._unknown(failure) from None

    def _unknown(self, failure: RPCError) -> Exception:
        if failure.status is not RPCStatusCode.NOT_FOUND:
            return unreachable(failure)
        return JobNotFound(
            f"no {self.id!r} is known to Temporal, or any more: started again with its key it finds its rounds, and pays none twice",
            job_id=self.id,
        )


async def start_precise(temporal: Client, asked: Precise) -> PreciseJob:
    """Start it, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to one with another body.
        ServiceUnreachable: Temporal does not answer.
    """
    try:
        await temporal.start_workflow(
            PRECISE,
            args=[asked],
            id=asked.id,
            task_queue=Queue.WORKFLOWS,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={MEMO_BODY: asked.body_hash},
            static_summary=f"precision {asked.precision:g} · asked for {asked.job.asked}",
            priority=Priority(fairness_key=asked.job.project),
            rpc_timeout=_RPC,
        )
    except WorkflowAlreadyStartedError:
        if await has_another_body(temporal, asked.id, asked.body_hash, _RPC):
            raise KeyReused(
                f"the idempotency key of {asked.id!r} already belongs to another request: use a new key for a new one",
                job_id=asked.id,
            ) from None
    except RPCError as failure:
        raise unreachable(failure) from None
    return PreciseJob(asked.id, temporal)
