"""One expectation value to a precision at a price: decide on a round, run it as a job, take it in, until there is no other."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    is_cancelled_exception,
)

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob
from qurable.contracts.precise import Precise, PreciseCall, PreciseReport, PreciseState
from qurable.errors import BudgetExceeded, HybridError, WorkerOutdated
from qurable.names import PRECISE
from workflows.calling import heed_cancellation
from workflows.calls import precise
from workflows.children import ChildJob
from workflows.failures import as_failure, document_of, final


@workflow.defn(name=PRECISE, failure_exception_types=[HybridError])
class PreciseEstimate:
    """Rounds of jobs until a precision is reached, or a limit would be passed."""

    @workflow.init
    def __init__(self, asked: Precise) -> None:
        self._asked = asked
        self._state: PreciseState | None = None

    @workflow.run
    async def run(self, asked: Precise) -> PreciseReport:
        """The report."""
        if asked.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the request has schema version {asked.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers"
                )
            )
        try:
            return await self._rounds()
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            raise as_failure(document_of(failure)) from failure

    async def _rounds(self) -> PreciseReport:
        step = await precise.step(PreciseCall(precise=self._asked))
        while step.report is None:
            assert step.job is not None  # noqa: S101  a step is one of the two
            self._show(step.state)
            refusal = await self._round(step.job, may_fail=bool(step.state.rounds))
            step = await precise.step(
                PreciseCall(
                    precise=self._asked,
                    state=step.state,
                    step=step.model_copy(update={"job": None}),
                    ended=step.job.job_id,
                    refusal=refusal,
                )
            )
        self._show(step.state)
        return step.report

    async def _round(self, job: EstimateJob, *, may_fail: bool) -> ErrorDocument | None:
        """Run a round to its end, or join it where an earlier run has left it; why it has no answer, if it has none.

        One that no budget let pass may be planned smaller. Where there were rounds before, what they brought is worth having
        without this one.
        """
        part_of = f"a round of {self._asked.id}"
        error = await heed_cancellation(asyncio.create_task(ChildJob.of(job, part_of).run()))
        if error is None or may_fail or error.code == BudgetExceeded.__name__:
            return error
        raise as_failure(error)

    def _show(self, state: PreciseState) -> None:
        self._state = state
        lines = [
            f"precision {self._asked.precision:g}",
            "",
            "| round | shots | value | standard error | price |",
        ]
        lines.append("| ---: | ---: | ---: | ---: | ---: |")
        lines += [
            f"| {done.number} | {sum(done.shots):,} | {done.value:.6g} | {done.standard_error:.3g} | "
            f"{'' if done.price is None else f'{done.price:.2f} {state.currency}'} |"
            for done in state.rounds
        ]
        workflow.set_current_details("\n".join(lines))

    @workflow.query
    def progress(self) -> PreciseState:
        """The rounds so far."""
        return self._state or PreciseState(id=self._asked.id)
