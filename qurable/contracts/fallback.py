"""What may answer where the place that was asked does not."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, field_validator, model_validator

from qurable.contracts.base import Contract
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.pubs import MAX_SHOTS
from qurable.contracts.targets import AnswerKind

_LARGER_IS_BETTER = frozenset({ConfidenceKind.SURVIVAL_ESTIMATE, ConfidenceKind.TWIN_CHECK})


_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def _by_its_unit(value: Any) -> Any:
    """`7d`, `12h`, `30min` or `90s` as a duration; anything else as it is."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|min|h|d)", value) if isinstance(value, str) else None
    return value if found is None else timedelta(**{_UNITS[found[2]]: float(found[1])})


def _age(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(_by_its_unit(value))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{value!r} is no age: give 0 to 36500 days as a number with its unit, s, min, h or d, such as 12h"
        ) from None


Age = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=36_500)), WrapValidator(_age)]
"""How old something may be: seconds, an ISO 8601 duration, or a number with its unit."""


class ConfidenceFloor(Contract):
    """How far an answer has to be trusted, in one kind of record; numbers of two kinds are never compared.

    Attributes:
        kind: Of the record.
        value: For a standard error, truncation or gap at most this; for survival and twin check at least this.
    """

    kind: ConfidenceKind
    value: float = Field(ge=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_both(cls, value: Any) -> Any:
        if isinstance(value, int | float | str):
            raise ValueError(  # noqa: TRY004  pydantic takes no other for a refusal
                f"{value!r} has no kind: give kind and value, such as standard_error and 0.01"
            )
        return value

    @field_validator("value", mode="wrap")
    @classmethod
    def _is_a_bound(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValueError:
            raise ValueError(f"{value!r} is no bound: give a number of 0 or more, such as 0.01") from None

    @property
    def at_least(self) -> bool:
        """Whether a larger number is the better one."""
        return self.kind in _LARGER_IS_BETTER

    def holds(self, value: float) -> bool:
        """Whether a number of this kind is good enough."""
        return value >= self.value if self.at_least else value <= self.value

    def failed_by(self, record: Confidence) -> bool:
        """Whether a record says that its answer is not good enough; one of another kind says nothing about it."""
        return record.kind is self.kind and not self.holds(record.value)

    def __str__(self) -> str:
        """As `--confidence` takes it, in words."""
        return f"{self.kind} of at {'least' if self.at_least else 'most'} {self.value:g}"


Policy = Literal["table", "none"]


def _is_unsaid(value: object) -> bool:
    return value is None


class Fallback(Contract):
    """Which places may answer instead of the one that was asked; a bare `none` or `table` is the policy.

    Attributes:
        policy: `table` walks the house's strategy table, `none` asks one place and no other.
        kinds: Kinds of answers that are good enough; empty for all.
        other_devices: Whether another device that costs money may be asked than the one that was named.
        leave_house: Whether the job's data may leave this house's machines.
        floor: How far an answer has to be trusted, None for no such limit.
        cache_age: How old the answer of an earlier job may be that stands for this one's; None for what the strategy table
            says, 0 for never.
        least_shots: Down to how many shots a pub may be cut where a place cannot run as many; None for never.
        coarsest_precision: Up to which standard error the same may be done with a pub that asks for a precision.
        least_level: Down to which optimisation level a `transpile.level` may be lowered that does not come to its end;
            None leaves it as it was named. One that was not named may always be lowered.
    """

    policy: Policy = "table"
    kinds: tuple[AnswerKind, ...] = ()
    other_devices: bool = False
    leave_house: bool = True
    floor: ConfidenceFloor | None = None
    cache_age: Age | None = None
    # Left out where they are not said: a job without them has the digest that it always had.
    least_shots: int | None = Field(default=None, ge=1, le=MAX_SHOTS, exclude_if=_is_unsaid)
    coarsest_precision: float | None = Field(default=None, gt=0, le=1, exclude_if=_is_unsaid)
    least_level: Literal[0, 1, 2, 3] | None = Field(default=None, exclude_if=_is_unsaid)

    @model_validator(mode="before")
    @classmethod
    def _policy_by_its_name(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value
