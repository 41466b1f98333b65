"""The client for code without an event loop: the same verbs, waiting for each."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from qurable.blocking_loops import BlockingLoop
from qurable.client import Job, Qurable
from qurable.comparing import Comparison
from qurable.contracts.approvals import Approvals, Decision
from qurable.contracts.batches import BatchReport, BatchStatus, ItemReport
from qurable.contracts.budgets import BudgetChange, Budgets
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.cutting import CutPrice, CutReport, CutStatus
from qurable.contracts.matrices import MatrixReport
from qurable.contracts.precise import PreciseReport
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary, State
from qurable.contracts.results import Results
from qurable.contracts.rollout import Rollout, RolloutChange
from qurable.contracts.targets import TargetSnapshot
from qurable.contracts.why import Why
from qurable.matrix_files import Matrix

T = TypeVar("T")


class BlockingQurable:
    """A client that blocks; its event loop runs in a thread of its own.

    Args:
        address: `host:port` of Temporal; by default as configured.
        home: Data folder; by default `QURABLE_HOME`.
    """

    def __init__(self, address: str | None = None, *, home: Path | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qurable", daemon=True)
        self._thread.start()
        self._connection: AbstractAsyncContextManager[Qurable] = Qurable.connect(address, home=home)
        try:
            self._client = self._wait(self._connection.__aenter__())
        except BaseException:
            self._stop()
            raise

    def submit(self, work: Any, **options: Any) -> str:
        """Start a job and give back its id; see `Qurable.submit`."""
        return self._wait(self._client.submit(work, **options)).id

    @overload
    def run(self, work: Any, *, wait: None = None, **options: Any) -> JobReport: ...

    @overload
    def run(self, work: Any, *, wait: timedelta, **options: Any) -> JobReport | str: ...

    def run(self, work: Any, *, wait: timedelta | None = None, **options: Any) -> JobReport | str:
        """Start a job and wait for its report; with a `wait`, its id where no report comes within that. See `Qurable.run`."""
        running: Coroutine[Any, Any, JobReport | Job] = self._client.run(work, wait=wait, **options)
        answer = self._wait(running)
        return answer.id if isinstance(answer, Job) else answer

    def precise(self, circuit: Any, observable: Any, values: Any = None, **options: Any) -> PreciseReport:
        """Estimate to a precision at a price, and wait for the report; see `Qurable.precise`."""
        return self._wait(self._client.precise(circuit, observable, values, **options))

    def result(self, job_id: str, *, wait: timedelta | None = None) -> JobReport:
        """The report of a job; see `Qurable.result`."""
        return self._wait(self._client.result(job_id, wait=wait))

    def results(self, job_id: str) -> Results:
        """Results of finished pubs; see `Qurable.results`."""
        return self._wait(self._client.results(job_id))

    def why(self, job_id: str) -> Why:
        """Why a job ended as it did; see `Qurable.why`."""
        return self._wait(self._client.why(job_id))

    def status(self, job_id: str) -> JobStatus:
        """Where a job stands; see `Qurable.status`."""
        return self._wait(self._client.status(job_id))

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """State changes as they come; see `Qurable.events`."""
        stream = self._client.events(job_id)
        while True:
            try:
                yield self._wait(_next(stream))
            except StopAsyncIteration:
                return

    def compare(self, work: Any, *, on: Sequence[str], **options: Any) -> ComparisonReport:
        """Ask several places the same and wait for the report; see `Qurable.compare`."""
        return self._wait(self._compared(self._client.compare(work, on=on, **options)))

    def hedge(self, work: Any, *, on: Sequence[str], after: Any = "30s", **options: Any) -> ComparisonReport:
        """Keep the first good answer of several places and wait for the report; see `Qurable.hedge`."""
        return self._wait(self._compared(self._client.hedge(work, on=on, after=after, **options)))

    def comparison(self, comparison_id: str) -> ComparisonReport:
        """The report of a comparison or hedged run by its id, waiting for it; see `Qurable.attach_comparison`."""
        return self._wait(self._client.attach_comparison(comparison_id).report())

    async def _compared(self, starting: Coroutine[Any, Any, Comparison]) -> ComparisonReport:
        return await (await starting).report()

    def cancel(self, job_id: str) -> None:
        """Cancel a job; see `Qurable.cancel`."""
        self._wait(self._client.cancel(job_id))

    def cut(self, work: Any, **options: Any) -> CutReport:
        """Estimate a circuit in fragments and wait for the report; see `Qurable.cut`."""
        return self.cut_report(self.start_cut(work, **options))

    def start_cut(self, work: Any, **options: Any) -> str:
        """Start a cut and give back its id; see `Qurable.cut`."""
        return self._wait(self._client.cut(work, **options)).id

    def price_cut(self, work: Any, **options: Any) -> CutPrice:
        """What a cut would take; see `Qurable.price_cut`."""
        return self._wait(self._client.price_cut(work, **options))

    def cut_status(self, cut_id: str) -> CutStatus:
        """Where a cut stands."""
        return self._wait(self._client.attach_cut(cut_id).status())

    def cut_report(self, cut_id: str, *, wait: timedelta | None = None) -> CutReport:
        """The report of a cut; see `qurable.cutting.Cut.report`."""
        return self._wait(self._client.attach_cut(cut_id).report(wait=wait))

    def run_cut_again(self, cut_id: str) -> CutReport:
        """Run what has no answer of a cut again, and wait for the report; see `Qurable.run_cut_again`."""
        return self.cut_report(self._wait(self._client.run_cut_again(cut_id)).id)

    def cancel_cut(self, cut_id: str) -> None:
        """Cancel a cut and the jobs of its fragments."""
        self._wait(self._client.attach_cut(cut_id).cancel())

    def batch(self, work: Any, **options: Any) -> str:
        """Start any number of jobs as one and give back the batch's id; see `Qurable.batch`."""
        return self._wait(self._client.batch(work, **options)).id

    def run_batch_again(self, batch_id: str) -> str:
        """Run what has no answer of a batch again; see `Qurable.run_batch_again`."""
        return self._wait(self._client.run_batch_again(batch_id)).id

    def batch_status(self, batch_id: str) -> BatchStatus:
        """Where a batch stands; see `Batch.status`."""
        return self._wait(self._client.attach_batch(batch_id).status())

    def batch_results(self, batch_id: str, *, after: int = 0) -> Iterator[ItemReport]:
        """The ends of a batch's items as they come; see `Batch.results`."""
        stream = self._client.attach_batch(batch_id).results(after=after)
        while True:
            try:
                yield self._wait(_next(stream))
            except StopAsyncIteration:
                return

    def batch_report(self, batch_id: str) -> BatchReport:
        """The sum of a batch, once all its items have ended; see `Batch.report`."""
        return self._wait(self._client.attach_batch(batch_id).report())

    def cancel_batch(self, batch_id: str) -> None:
        """Cancel what has not ended of a batch; see `Batch.cancel`."""
        self._wait(self._client.attach_batch(batch_id).cancel())

    def kernel(self, feature_map: Any, x_train: Any, x_test: Any = None, **options: Any) -> Matrix:
        """Start a quantum kernel matrix, or find it by its key, and wait for it; see `Qurable.kernel`.

        Raises:
            RequestRejected: It ended without all its entries; the message names it, and what ran is kept.
        """
        started = self._wait(self._client.kernel(feature_map, x_train, x_test, **options))
        return self._wait(started.matrix())

    def features(self, circuit: Any, observables: Any, data: Any, **options: Any) -> Matrix:
        """Start a matrix of expectation values, or find it by its key, and wait for it; see `Qurable.features`.

        Raises:
            RequestRejected: It ended without all its entries; the message names it, and what ran is kept.
        """
        started = self._wait(self._client.features(circuit, observables, data, **options))
        return self._wait(started.matrix())

    def matrix(self, matrix_id: str, *, again: bool = False) -> Matrix:
        """Wait for a matrix that was started before, running again what is missing where that is asked for."""
        if again:
            self._wait(self._client.run_matrix_again(matrix_id))
        return self._wait(self._client.attach_matrix(matrix_id).matrix())

    def matrix_report(self, matrix_id: str) -> MatrixReport:
        """The report of a matrix, once it has ended."""
        return self._wait(self._client.attach_matrix(matrix_id).report())

    def list(
        self, *, project: str | None = None, states: Sequence[State] = (), limit: int = 50
    ) -> tuple[JobSummary, ...]:
        """Jobs, newest first."""
        return self._wait(self._client.list(project=project, states=states, limit=limit))

    def backends(self) -> tuple[TargetSnapshot, ...]:
        """What the workers offer."""
        return self._wait(self._client.backends())

    def budgets(self) -> Budgets:
        """Every budget with what is left of it; see `Qurable.budgets`."""
        return self._wait(self._client.budgets())

    def set_budget(self, change: BudgetChange) -> Budgets:
        """Change one budget, or one project's guardrails; see `Qurable.set_budget`."""
        return self._wait(self._client.set_budget(change))

    def rollout(self) -> Rollout:
        """The rollout rules; see `Qurable.rollout`."""
        return self._wait(self._client.rollout())

    def set_rollout(self, change: RolloutChange) -> Rollout:
        """Set or remove one rollout rule; see `Qurable.set_rollout`."""
        return self._wait(self._client.set_rollout(change))

    def approvals(self) -> Approvals:
        """Jobs that wait for somebody's word; see `Qurable.approvals`."""
        return self._wait(self._client.approvals())

    def approve(self, job_id: str, *, by: str, reason: str, **words: Any) -> Decision:
        """Let a job that waits be sent; see `Qurable.approve`."""
        return self._wait(self._client.approve(job_id, by=by, reason=reason, **words))

    def refuse(self, job_id: str, *, by: str, reason: str, **words: Any) -> Decision:
        """Have a job that waits go on to its next rung, or end; see `Qurable.refuse`."""
        return self._wait(self._client.refuse(job_id, by=by, reason=reason, **words))

    def optimise(self, work: Any, ansatz: Any, **options: Any) -> BlockingLoop:
        """Start a variational loop, or find the one that its key already started; see `Qurable.optimise`."""
        return BlockingLoop(self._wait(self._client.optimise(work, ansatz, **options)), self._wait)

    def attach_loop(self, loop_id: str) -> BlockingLoop:
        """A variational loop by its id, whoever started it."""
        return BlockingLoop(self._client.attach_loop(loop_id), self._wait)

    def close(self) -> None:
        """Let the connection go."""
        self._wait(self._connection.__aexit__(None, None, None))
        self._stop()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(stream: AsyncIterator[T]) -> T:
    return await anext(stream)
