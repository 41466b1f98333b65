"""What was changed about a job after it had failed at a place, so that it could be tried there once more."""

from collections.abc import Mapping
from enum import StrEnum

from qurable.contracts.base import Contract
from qurable.errors import (
    BudgetExceeded,
    ChildCrashed,
    GuardrailBroken,
    JobLost,
    JobTooLarge,
    OutOfMemory,
    OutOfTime,
    SessionClosed,
    SurvivalTooLow,
)
from qurable.names import Activity


class Altered(StrEnum):
    """What may be changed.

    `provider_jobs` is into how many times as many of the provider's jobs a submission is divided as it has to be.
    """

    SEED = "transpile.seed"
    LEVEL = "transpile.level"
    SHOTS = "shots"
    PRECISION = "precision"
    PROVIDER_JOBS = "provider_jobs"
    SESSION = "session"
    SUBMISSION = "submission"


class Change(Contract):
    """One change, and what it answered; that it is listed does not say that it helped.

    Attributes:
        rung: Position on the route, 0 first.
        number: Of the changes on this rung, from 1; the next try is made with all of them so far.
        backend: Of the rung.
        what: Was changed.
        before: Its value until then. Of shots and precisions, that of the pub that asked for the most.
        after: Its value from then on. No pub has more shots, or a finer precision; those that asked for less keep it.
        because: Code of the error that it answers.
        message: That error's.
    """

    rung: int
    number: int
    backend: str
    what: Altered
    before: int | float | str
    after: int | float | str
    because: str
    message: str

    def __str__(self) -> str:
        """What was changed, and where."""
        return f"{self.what} {_short(self.before)} -> {_short(self.after)} on {self.backend!r}"


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


COMPILING = frozenset(error.__name__ for error in (SurvivalTooLow, OutOfTime, OutOfMemory, ChildCrashed))
"""Codes after which something else may be compiled: with another seed, or on a lower level."""

RUNNING = frozenset(
    error.__name__
    for error in (
        *(SessionClosed, JobLost, JobTooLarge, GuardrailBroken),
        *(OutOfTime, OutOfMemory, BudgetExceeded),
    )
)
"""Codes after which something else may be sent: fewer shots, smaller parts, or the same once more."""

_CHANGED_AFTER: Mapping[str, frozenset[str]] = {
    Activity.TRANSPILE: COMPILING,
    **dict.fromkeys(
        (Activity.OPEN_SESSION, Activity.SUBMIT, Activity.AWAIT_START, Activity.AWAIT_DONE), RUNNING
    ),
}


def may_be_changed(stage: str, code: str) -> bool:
    """Whether something may be changed after a stage has ended with an error; what the job allows is another question."""
    return code in _CHANGED_AFTER.get(stage, frozenset())
