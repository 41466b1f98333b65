"""One circuit in fragments: plan it, run the fragments, run again alone what failed, put the values together."""

import asyncio

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.cutting import (
    CutCall,
    CutHead,
    CutPrice,
    CutReport,
    CutState,
    CutStatus,
    EndCut,
    FragmentEnd,
    FragmentRun,
    FragmentsCall,
)
from qurable.contracts.errors import ErrorDocument
from qurable.errors import FragmentFailed, HybridError, JobCancelled, WorkerOutdated
from qurable.names import CUT
from workflows.calls import cuts
from workflows.failures import as_failure, document_of, final


@workflow.defn(name=CUT, failure_exception_types=[HybridError])
class Cut:
    """Plan, run the fragments, put the values together.

    The plan and how each fragment's job ended stand in the store; what is here is which of them are waited for.
    """

    @workflow.init
    def __init__(self, head: CutHead, body: RawValue) -> None:  # noqa: ARG002  a workflow's arguments are its constructor's
        self._head = head
        self._state = CutState.PLANNING
        self._price: CutPrice | None = None
        self._open: dict[str, FragmentRun] = {}
        self._answered: list[FragmentRun] = []
        self._ended: list[FragmentEnd] = []

    @workflow.run
    async def run(self, head: CutHead, body: RawValue) -> CutReport | CutPrice:
        """The report; the price where that is all that is asked for."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the cut has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers"
                )
            )
        call = CutCall(id=head.id, owner=workflow.info().first_execution_run_id)
        try:
            return await self._run(call, body)
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                await self._cancel(call)
                raise
            error = document_of(failure)
            await self._conclude(call, error)
            raise as_failure(error) from failure
        except asyncio.CancelledError:
            await self._cancel(call)
            raise

    async def _run(self, call: CutCall, body: RawValue) -> CutReport | CutPrice:
        planned = await cuts.plan(self._head, call, body)
        self._price = planned.price
        if self._head.price:
            return planned.price
        if planned.report is not None:
            return _as_it_ended(planned.report)
        self._open = {run.name: run for run in planned.runs}
        self._enter(CutState.RUNNING)
        failed = await self._run_fragments(call)
        if failed:
            error = _without(call.id, failed)
            await self._conclude(call, error)
            raise as_failure(error)
        self._enter(CutState.RECONSTRUCTING)
        report = await cuts.end(EndCut(cut=call, runs=tuple(self._answered), ended=tuple(self._ended)))
        self._enter(report.state)
        return report

    async def _run_fragments(self, call: CutCall) -> list[FragmentEnd]:
        """Wait for every fragment, and run again those that failed where that may help; the ends of those without an answer.

        Where one fails for good the others go on: what they read is kept, and is not paid for again when that one is.
        """
        failed = []
        reruns = dict.fromkeys(self._open, 0)
        while self._open:
            found = await cuts.run_fragments(FragmentsCall(cut=call, runs=tuple(self._open.values())))
            for end in found.ends:
                self._ended.append(end)
                run = self._open.pop(end.name)
                if end.answered:
                    self._answered.append(run)
                elif end.again and reruns[end.name] < self._head.reruns:
                    reruns[end.name] += 1
                    self._open[end.name] = run.model_copy(update={"ordinal": run.ordinal + 1})
                else:
                    failed.append(end)
            self._enter(CutState.RUNNING)
        return failed

    async def _cancel(self, call: CutCall) -> None:
        """Cancel what runs; nobody else would, since jobs are executions of their own."""
        found = await cuts.cancel_fragments(FragmentsCall(cut=call, runs=tuple(self._open.values())))
        self._ended += found.ends
        error = JobCancelled(f"cut {call.id!r} was cancelled before it had an answer")
        await self._conclude(call, error.document())

    async def _conclude(self, call: CutCall, error: ErrorDocument) -> None:
        """Keep that there is no answer, where there is something to keep it of: a cut that was refused left nothing behind."""
        if self._price is not None and not self._head.price:
            ended = EndCut(cut=call, ended=tuple(self._ended), error=error)
            self._enter((await cuts.end(ended)).state)

    def _enter(self, state: CutState) -> None:
        """Where it stands, as the web UI's current details too."""
        self._state = state
        lines = [f"# {state}", ""]
        if self._price is not None:
            price = self._price
            what = f"{len(price.cuts)} cuts, sampling overhead {price.overhead:,.1f}"
            lines += [f"{what}, {price.experiments:,} experiments, {price.shots:,} shots", ""]
        if self._ended or self._open:
            lines += ["| fragment | job | state | served by |", "| :--- | :--- | :--- | :--- |"]
            lines += [f"| {end.name} | {end.job_id} | {end.state} | {end.served_by} |" for end in self._ended]
            lines += [f"| {name} | | running | |" for name in self._open]
        workflow.set_current_details("\n".join(lines))

    @workflow.query(name="status")
    def status(self) -> CutStatus:
        """Where it stands."""
        return CutStatus(
            id=self._head.id,
            state=self._state,
            price=self._price,
            ended=tuple(self._ended),
            open=tuple(self._open),
        )


def _as_it_ended(report: CutReport) -> CutReport:
    """The report of an earlier execution, or its failure."""
    if report.error is not None:
        raise as_failure(report.error)
    return report


def _without(cut_id: str, failed: list[FragmentEnd]) -> ErrorDocument:
    named = "; ".join(
        f"fragment {end.name} (job {end.job_id}): {'' if end.error is None else end.error.message}"
        for end in failed[:3]
    )
    return FragmentFailed(
        f"{len(failed)} of the jobs of cut {cut_id!r} have no answer: {named}; the others' answers are kept: run what failed again with "
        f"`qurable cut --rerun {cut_id}`",
        fragments=[end.name for end in failed],
    ).document()
