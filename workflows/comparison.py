"""One comparison, or hedged run: ask each place, wait for all of them or for the first good one, put it together."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.comparisons import (
    BeginComparison,
    ComparisonCarry,
    ComparisonHead,
    ComparisonPlan,
    ComparisonReport,
    ComparisonState,
    ComparisonStatus,
    EndComparison,
    LegEnd,
)
from qurable.errors import HybridError, WorkerOutdated
from qurable.names import COMPARISON, Attribute
from workflows.calls import comparisons
from workflows.failures import as_failure, document_of, final
from workflows.legs import LegRun


@workflow.defn(name=COMPARISON, failure_exception_types=[HybridError])
class Comparison:
    """Ask each place, wait, withdraw what is not needed any more, report."""

    @workflow.init
    def __init__(self, head: ComparisonHead, body: RawValue, carry: ComparisonCarry | None = None) -> None:
        self._head = head
        self._body = body
        self._carry = carry or ComparisonCarry()
        self._state = ComparisonState.PREPARING
        self._plan = ComparisonPlan()
        self._legs: list[LegRun] = []
        self._ended: list[LegRun] = []
        self._running: list[asyncio.Task[None]] = []
        self._taken = ""

    @workflow.run
    async def run(
        self,
        head: ComparisonHead,
        body: RawValue,  # noqa: ARG002  `__init__` has taken it
        carry: ComparisonCarry | None = None,  # noqa: ARG002
    ) -> ComparisonReport:
        """The report."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the comparison has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        try:
            report = await self._report()
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            self._enter(ComparisonState.FAILED)
            raise as_failure(document_of(failure)) from failure
        self._enter(report.state)
        self._mark(report)
        if report.error is not None:
            raise as_failure(report.error)
        return report

    async def _report(self) -> ComparisonReport:
        call = BeginComparison(head=self._head, owner=workflow.info().first_execution_run_id)
        # Planned to its end also where it is called off meanwhile: an earlier run of it may have started jobs.
        planning = asyncio.create_task(comparisons.begin(call, self._body))
        try:
            self._plan = await asyncio.shield(planning)
        except asyncio.CancelledError:
            if workflow.in_workflow():  # a worker that stops drops its workflows where they are
                await self._call_off_at_once(planning)
            raise
        if self._plan.report is not None:
            return self._plan.report
        self._legs = self._taken_up()
        self._enter(ComparisonState.RUNNING)
        try:
            await self._run_legs()
        except asyncio.CancelledError:
            await self._call_off()
            raise
        self._enter(ComparisonState.COMPARING)
        ending = asyncio.create_task(comparisons.end(self._sum()))
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:  # every place has ended: it comes too late
            await workflow.wait([ending])
            return ending.result()

    def _taken_up(self) -> list[LegRun]:
        """The legs, as far as an earlier execution has brought them."""
        ends = {end.place: end for end in self._carry.ends}
        legs = [
            LegRun(leg, self._head, search_attributes=self._plan.search_attributes, end=ends.get(leg.place))
            for leg in self._plan.legs
        ]
        of_place = {leg.place: leg for leg in legs}
        self._ended = [of_place[place] for place in ends]
        return legs

    async def _run_legs(self) -> None:
        """Return once every leg that was started has ended; where the first good answer is enough, the others are withdrawn."""
        starting = asyncio.create_task(self._start_in_turn())
        try:
            await workflow.wait_condition(lambda: self._is_over(starting) or self._is_full())
            if not self._is_over(starting):
                self._continue_as_new()
        finally:
            if workflow.in_workflow():  # a worker that stops drops its workflows where they are
                starting.cancel()
        self._withdraw_others()
        await workflow.wait([starting, *self._running])
        for task in self._running:
            task.result()

    def _is_over(self, starting: asyncio.Task[None]) -> bool:
        """Whether one answer is taken, or there is none to wait for."""
        return bool(self._taken) or (starting.done() and all(task.done() for task in self._running))

    async def _start_in_turn(self) -> None:
        """Start every leg at once; of a hedged run the next one once the last has had its time, or has no good answer."""
        for number, leg in enumerate(self._legs):
            if number and self._head.after is not None:
                await self._has_had_its_time(self._legs[number - 1], self._head.after, leg.place)
            if self._taken:
                return
            self._running.append(asyncio.create_task(self._run(leg)))
            self._show()

    async def _has_had_its_time(self, last: LegRun, after: timedelta, following: str) -> None:
        """Until a place's time is over, or it has ended."""
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: last.end is not None, timeout=after, timeout_summary=f"ask {following} too"
            )

    async def _run(self, leg: LegRun) -> None:
        """Run a leg to its end, and note whether its answer is the one that is taken."""
        await leg.run()
        end = leg.end
        if leg not in self._ended:
            self._ended.append(leg)
        if self._head.first_good and not self._taken and end is not None and end.good and not end.withdrawn:
            self._taken = leg.place
        self._show()

    def _withdraw_others(self) -> None:
        """Tell every leg to stop that has not ended."""
        open_still = [leg for leg in self._legs if leg.end is None]
        for leg in open_still:
            leg.withdraw()
        if open_still:
            self._enter(ComparisonState.WITHDRAWING)

    async def _call_off(self) -> None:
        """Stop every leg, wait until each has, and keep what they had by then."""
        self._withdraw_others()
        if self._running:
            await workflow.wait(self._running)
        report = await comparisons.end(self._sum(cancelled=True))
        self._enter(ComparisonState.CANCELLED)
        self._mark(report)

    async def _call_off_at_once(self, planning: "asyncio.Task[ComparisonPlan]") -> None:
        """Stop what an earlier run of this comparison has started, and write down that it was cancelled."""
        await workflow.wait([planning])
        if planning.cancelled() or planning.exception() is not None:
            workflow.logger.info("comparison %s was cancelled before it was taken in", self._head.id)
            return
        self._plan = planning.result()
        if self._plan.report is not None:
            return
        self._legs = self._taken_up()
        self._withdraw_others()
        self._running = [asyncio.create_task(self._run(leg)) for leg in self._legs]
        await self._call_off()

    def _sum(self, *, cancelled: bool = False) -> EndComparison:
        return EndComparison(
            id=self._head.id,
            legs=self._plan.legs,
            ends=self._ends(),
            cancelled=cancelled,
        )

    def _ends(self) -> tuple[LegEnd, ...]:
        """Of the legs that have one, in the order in which they ended."""
        return tuple(leg.end for leg in self._ended if leg.end is not None)

    def _is_full(self) -> bool:
        """Whether the history is to be left behind, at a moment when nothing is under way but waiting.

        Only joining makes history; that of a hedged run, whose legs would be told to stop, is never left behind.
        """
        open_still = [leg for leg in self._legs if leg.end is None]
        return (
            self._head.after is None
            and workflow.info().is_continue_as_new_suggested()
            and bool(open_still)
            and all(leg.joined for leg in open_still)
        )

    def _continue_as_new(self) -> None:
        """Go on as another execution, which joins the jobs that run."""
        carry = ComparisonCarry(ends=self._ends())
        workflow.continue_as_new(args=[self._head, self._body, carry])

    def _enter(self, state: ComparisonState) -> None:
        self._state = state
        self._show()

    def _show(self) -> None:
        """Where each place stands, as the web UI's current details."""
        lines = [
            f"**{self._state}**" + (f" · the answer of {self._taken} is taken" if self._taken else ""),
            "",
            "| place | state | job | |",
            "| :--- | :--- | :--- | :--- |",
        ]
        for leg in self._legs:
            found = leg.status()
            lines.append(f"| {found.place} | {found.state} | `{found.job_id}` | {found.because} |")
        workflow.set_current_details("\n".join(lines))

    def _mark(self, report: ComparisonReport) -> None:
        """Say in the search attributes how it ended."""
        if not self._plan.search_attributes:
            return
        served_by = report.decided.place if report.decided is not None else ""
        words = {
            Attribute.STAGE: str(report.state),
            Attribute.PROJECT: self._head.project,
            Attribute.SERVED_BY: served_by,
        }
        workflow.upsert_search_attributes(
            [
                *(
                    SearchAttributeKey.for_keyword(name).value_set(word)
                    for name, word in words.items()
                    if word
                ),
                SearchAttributeKey.for_float(Attribute.QPU_SECONDS).value_set(report.qpu_seconds),
            ]
        )

    @workflow.query
    def progress(self) -> ComparisonStatus:
        """Where the comparison stands."""
        return ComparisonStatus(
            id=self._head.id,
            state=self._state,
            legs=tuple(leg.status() for leg in self._legs),
            taken=self._taken,
        )
