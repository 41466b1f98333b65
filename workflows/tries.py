"""The tries on one rung: what fails is tried again there with something changed, as far as the job allows."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from qurable.contracts.changes import may_be_changed
from qurable.contracts.routes import Rung
from qurable.contracts.stages import ChangeCall, Changed, Pace, StageCall
from qurable.names import Activity
from workflows import stages
from workflows.failures import document_of

T = TypeVar("T")

Showing = Callable[[str, Coroutine[Any, Any, Changed]], Coroutine[Any, Any, Changed]]
"""Awaits a stage, and shows by its name that it runs."""


class Tries:
    """On one rung.

    What is changed is decided by an activity that writes it down: whoever dies, or is set back to before it, goes on
    with the same change.

    Args:
        job_id: Of the job.
        rung: The rung.
        number: Its position on the route.
        pace: Of the job.
        during: Shows the stage that decides.

    Attributes:
        session: The provider's id of the session or batch of the submission that is tried now.
    """

    def __init__(self, job_id: str, rung: Rung, number: int, pace: Pace, during: Showing) -> None:
        self._job_id = job_id
        self._rung = rung
        self._number = number
        self._pace = pace
        self._during = during
        self._changes = 0
        self._ordinal = 0
        self.session = ""

    def compiling(self) -> StageCall:
        """The compilation that is tried now."""
        return self._call(f"transpile-{self._number}", self._changes)

    def sending(self, stage: str) -> StageCall:
        """A stage of the submission that is tried now."""
        return self._call(f"{stage}-{self._number}", self._ordinal)

    def _call(self, step: str, again: int) -> StageCall:
        return StageCall(
            job_id=self._job_id,
            step=f"{step}.{again}" if again else step,
            rung=self._number,
            backend=self._rung.name,
            ordinal=self._ordinal,
            session=self.session,
            changes=self._changes,
        )

    async def until_done(self, trying: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a try comes to, once one has gone well; the last failure, where nothing may be changed any more."""
        while True:
            try:
                return await trying()
            except ActivityError as failure:
                if is_cancelled_exception(failure) or not await self._changed(failure):
                    raise
            self.session = ""

    async def _changed(self, failure: ActivityError) -> bool:
        """Whether something is different now."""
        error = document_of(failure)
        if not may_be_changed(failure.activity_type, error.code):
            return False
        call = self._call(f"change-{self._number}", self._changes + 1)
        deciding = stages.change(ChangeCall(call=call, stage=failure.activity_type, error=error), self._pace)
        change = (await self._during(Activity.CHANGE, deciding)).change
        if change is None:
            return False
        workflow.logger.warning("%s: %s; tried again with %s", self._rung.name, error.message, change)
        self._changes += 1
        if failure.activity_type != Activity.TRANSPILE:
            self._ordinal += 1
        return True
