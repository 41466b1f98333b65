"""Qiskit's primitives, durable by one changed line: real `BaseSamplerV2` and `BaseEstimatorV2`.

Each call of `run` is one job. With a `run_name`, the n-th call of a program has the same idempotency key every
time the program is started, so that a program that was killed finds its finished jobs instead of paying again.
Needs the extra `qiskit`.
"""

import atexit
import threading
from collections.abc import Iterable
from typing import Any

from qiskit.primitives import BaseEstimatorV2, BasePrimitiveJob, BaseSamplerV2, PrimitiveResult
from qiskit.primitives.containers import EstimatorPubLike, SamplerPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import JobStatus as QiskitStatus

from qurable.blocking import BlockingQurable
from qurable.contracts.base import digest
from qurable.contracts.pubs import DEFAULT_PRECISION, DEFAULT_SHOTS
from qurable.contracts.reports import JobReport, State
from qurable.requests import AnyJob, estimate, sample

_STATUS = {
    State.ACCEPTED: QiskitStatus.INITIALIZING,
    State.VALIDATED: QiskitStatus.VALIDATING,
    State.AWAITING_APPROVAL: QiskitStatus.QUEUED,
    State.COMPILED: QiskitStatus.VALIDATING,
    State.SUBMITTED: QiskitStatus.QUEUED,
    State.QUEUED: QiskitStatus.QUEUED,
    State.RUNNING: QiskitStatus.RUNNING,
    State.POST_PROCESSING: QiskitStatus.RUNNING,
    State.COMPLETED: QiskitStatus.DONE,
    State.DEGRADED: QiskitStatus.DONE,
    State.FAILED: QiskitStatus.ERROR,
    State.CANCELLED: QiskitStatus.CANCELLED,
}

_shared: BlockingQurable | None = None
_sharing = threading.Lock()


def shared_client() -> BlockingQurable:
    """One client per process, for primitives that are given none."""
    global _shared
    with _sharing:
        if _shared is None:
            _shared = BlockingQurable()
            atexit.register(_shared.close)
        return _shared


class QurableJob(BasePrimitiveJob[PrimitiveResult[Any], QiskitStatus]):
    """A started job; any process gets it back by its id.

    Args:
        job_id: Of the job.
        client: The client; one for the process is made without it.
    """

    def __init__(self, job_id: str, client: BlockingQurable | None = None) -> None:
        super().__init__(job_id)
        self._client = client or shared_client()

    def result(self) -> PrimitiveResult[Any]:
        """Results of the pubs, waiting for them.

        Raises:
            JobFailed: The job ended without an answer.
        """
        return self.report().to_primitive_result()

    def report(self) -> JobReport:
        """The whole report, waiting for it."""
        return self._client.result(self.job_id())

    def status(self) -> QiskitStatus:
        """Where the job stands, in Qiskit's words."""
        return _STATUS[self._client.status(self.job_id()).state]

    def done(self) -> bool:
        """Whether it has an answer."""
        return self.status() is QiskitStatus.DONE

    def running(self) -> bool:
        """Whether it runs now."""
        return self.status() is QiskitStatus.RUNNING

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.status() is QiskitStatus.CANCELLED

    def in_final_state(self) -> bool:
        """Whether nothing comes after it."""
        return self._client.status(self.job_id()).state.final

    def cancel(self) -> None:
        """Cancel it."""
        self._client.cancel(self.job_id())


class _Durable:
    """What sampler and estimator share: where jobs go, and which call of the program this is."""

    def __init__(self, client: BlockingQurable | None, run_name: str | None, options: dict[str, Any]) -> None:
        self._client = client
        self._run_name = run_name
        self._options = options
        self._calls = 0

    def start(self, job: AnyJob) -> QurableJob:
        """Start a job under the key of this call."""
        if self._run_name is not None:
            key = f"{self._run_name}/{self._calls}/{digest(job.body_hash, length=16)}"
            job = job.model_copy(update={"key": key})
        self._calls += 1
        client = self._client or shared_client()
        return QurableJob(client.submit(job), client)


class QurableSampler(BaseSamplerV2):
    """A sampler whose every call is a durable job.

    Args:
        client: The client; one for the process is made without it.
        backend: `auto`, a backend's name, or requirements.
        default_shots: For pubs that name none.
        seed: Base seed of each call, as of Aer's sampler.
        run_name: Name of this run of the program, which makes its calls the same when it is started again.
        **options: Other fields of `SampleJob`.
    """

    def __init__(
        self,
        client: BlockingQurable | None = None,
        *,
        backend: Any = "auto",
        default_shots: int = DEFAULT_SHOTS,
        seed: int | None = None,
        run_name: str | None = None,
        **options: Any,
    ) -> None:
        self._default_shots = default_shots
        self._durable = _Durable(client, run_name, {"backend": backend, "seed": seed, **options})

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> QurableJob:
        """Start one job for these pubs.

        Args:
            pubs: As of Qiskit's samplers.
            shots: For pubs that name none.
        """
        coerced = [SamplerPub.coerce(pub, shots or self._default_shots) for pub in pubs]
        return self._durable.start(sample(*coerced, **self._durable._options))  # noqa: SLF001  its other half


class QurableEstimator(BaseEstimatorV2):
    """An estimator whose every call is a durable job.

    Args:
        client: The client; one for the process is made without it.
        backend: `auto`, a backend's name, or requirements.
        default_precision: For pubs that name none; 0 asks simulators for exact values.
        seed: Base seed of each call.
        run_name: Name of this run of the program, which makes its calls the same when it is started again.
        **options: Other fields of `EstimateJob`.
    """

    def __init__(
        self,
        client: BlockingQurable | None = None,
        *,
        backend: Any = "auto",
        default_precision: float = DEFAULT_PRECISION,
        seed: int | None = None,
        run_name: str | None = None,
        **options: Any,
    ) -> None:
        self._default_precision = default_precision
        self._durable = _Durable(client, run_name, {"backend": backend, "seed": seed, **options})

    def run(self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None) -> QurableJob:
        """Start one job for these pubs.

        Args:
            pubs: As of Qiskit's estimators.
            precision: For pubs that name none.
        """
        wanted = self._default_precision if precision is None else precision
        coerced = [EstimatorPub.coerce(pub, wanted) for pub in pubs]
        return self._durable.start(estimate(*coerced, **self._durable._options))  # noqa: SLF001  its other half
