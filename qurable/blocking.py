"""The client for code without an event loop: the same verbs, waiting for each."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from qurable.client import Job, Qurable
from qurable.contracts.approvals import Approvals, Decision
from qurable.contracts.budgets import BudgetChange, Budgets
from qurable.contracts.precise import PreciseReport
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary, State
from qurable.contracts.results import Results
from qurable.contracts.rollout import Rollout, RolloutChange
from qurable.contracts.targets import TargetSnapshot
from qurable.contracts.why import Why

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

    def cancel(self, job_id: str) -> None:
        """Cancel a job; see `Qurable.cancel`."""
        self._wait(self._client.cancel(job_id))

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
