"""One leg of a comparison: its job as a child, joined again where it runs already, withdrawn with the end waited for."""

from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)

from qurable.contracts.comparisons import ComparisonHead, Leg, LegEnd, LegStatus
from qurable.contracts.errors import ErrorDocument
from workflows.calls import comparisons
from workflows.children import ASK_AGAIN, ChildJob, longer
from workflows.failures import document_of

Standing = Literal["waiting", "running", "withdrawing", "ended", "not started"]


class LegRun:
    """A leg, from before it is started until its job is known to have ended.

    A job that runs already, left by an execution that continued as new or was reset, is joined: started again under its
    id, it refuses while it runs, and once it has ended gives the end that is recorded.

    Args:
        leg: The place and its job.
        head: Of the comparison.
        search_attributes: Whether the server knows this project's.
        end: How it ended, where an earlier execution has seen that.
    """

    def __init__(
        self, leg: Leg, head: ComparisonHead, *, search_attributes: bool, end: LegEnd | None = None
    ) -> None:
        self.leg = leg
        self.end = end
        self._head = head
        self._search_attributes = search_attributes
        self._withdrawing = False
        self._begun = False
        self._joined = False

    @property
    def place(self) -> str:
        """Its name."""
        return self.leg.place

    def withdraw(self) -> None:
        """Tell it to stop; `run` returns once its job has."""
        self._withdrawing = True

    @property
    def withdrawing(self) -> bool:
        """Whether it was told to stop."""
        return self._withdrawing

    @property
    def joined(self) -> bool:
        """Whether it is only asked from time to time whether its job has ended: the one wait that makes history."""
        return self._joined

    async def run(self) -> None:
        """Return once the job has ended, however; or soon where it is withdrawn before it was ever started."""
        if self.end is None:
            self.end = await self._ended()

    async def _ended(self) -> LegEnd:
        self._begun = not self._withdrawing
        try:
            body = await comparisons.request_of(self.leg)
            job = self._job(body)
            # Told to stop before there was anything to stop, unless an earlier run of this comparison has started it.
            if self._withdrawing and not await job.tell():
                return LegEnd(place=self.place, started=False)
            error = await self._run_or_join(job)
            if error is not None or not self._head.first_good:
                return LegEnd(place=self.place, withdrawn=self._withdrawing, error=error)
            found = await comparisons.judge(self.leg)
        except ActivityError as failure:
            return LegEnd(place=self.place, withdrawn=self._withdrawing, error=document_of(failure))
        return LegEnd(place=self.place, good=found.good, because=found.because, withdrawn=self._withdrawing)

    def _job(self, body: RawValue) -> ChildJob:
        """Those of a hedged run are told to stop where their parent is closed; those of a comparison go on, and are joined."""
        return ChildJob(
            self.leg.head,
            body,
            self._head.id,
            outlives=self._head.after is None,
            search_attributes=self._search_attributes,
        )

    async def _run_or_join(self, job: ChildJob) -> ErrorDocument | None:
        """Why the job ended without an answer; None where it has one."""
        pause, told = ASK_AGAIN, False
        while True:
            try:
                child = await job.start()
            except WorkflowAlreadyStartedError:
                if self._withdrawing and not told:
                    await job.tell()
                    told = True
                await self._wait(pause, told=told)
                pause = longer(pause, told=told)
                continue
            return await self._followed(job, child)

    async def _followed(self, job: ChildJob, child: Any) -> ErrorDocument | None:
        """Why a child ended without an answer; it is told to stop where the leg is."""
        await workflow.wait_condition(lambda: child.done() or self._withdrawing)
        if not child.done():
            child.cancel()
        try:
            await workflow.wait([child])
            child.result()
        except ChildWorkflowError as failure:
            return job.error_of(failure)
        return None

    async def _wait(self, pause: timedelta, *, told: bool) -> None:
        """Until it is worth asking again."""
        self._joined = True
        try:
            await workflow.wait_condition(
                lambda: self._withdrawing and not told,
                timeout=pause,
                timeout_summary=f"join {self.leg.head.id}",
            )
        except TimeoutError:
            return
        finally:
            self._joined = False

    def status(self) -> LegStatus:
        """Where it stands."""
        end = self.end
        because = "" if end is None else (end.because if end.error is None else end.error.message)
        return LegStatus(
            place=self.place,
            job_id=self.leg.head.id,
            state=self._standing(),
            good=None if end is None else end.good,
            because=because,
        )

    def _standing(self) -> Standing:
        if self.end is not None:
            return "ended" if self.end.started else "not started"
        if self._withdrawing:
            return "withdrawing"
        return "running" if self._begun else "waiting"
