"""An expectation value to a precision at a price, from a client: start it, watch it, attach to it by id from anywhere."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client

from qurable.contracts.base import explain
from qurable.contracts.precise import Precise, PreciseReport, PreciseState
from qurable.errors import JobNotFound, RequestRejected
from qurable.names import PRECISE
from qurable.requests import estimate
from qurable.temporal.following import ask, cancel, end_of
from qurable.temporal.starting import Start, start_once

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
        found = await ask(self._temporal, self.id, "progress", PreciseState)
        if found is None:
            raise self._unknown()
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
        found = await end_of(self._temporal, self.id, PreciseReport, wait=wait)
        if found is None:
            raise self._unknown()
        return found

    async def cancel(self) -> None:
        """Give it up, and the round that runs with it; what earlier rounds brought stays in their reports.

        Raises:
            JobNotFound: Nobody knows it.
        """
        if not await cancel(self._temporal, self.id):
            await self.progress()  # ended, or unknown: the difference matters

    def _unknown(self) -> JobNotFound:
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
    summary = f"precision {asked.precision:g} · asked for {asked.job.asked}"
    start = Start(PRECISE, asked.id, [asked], asked.job.project, summary, "estimate", asked.body_hash)
    await start_once(temporal, start)
    return PreciseJob(asked.id, temporal)
