"""What jobs may cost, what is spent of it, and what may be sent at all."""

import operator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract

EACH = "*"
"""In the place of a name: every one of the kind, each by itself, unless it has a budget of its own."""

NAME_PATTERN = r"^(\*|[a-z0-9-]{0,80})$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Zero would refuse every job, below zero means nothing."""


class Scope(StrEnum):
    """Whose spending a budget bounds."""

    JOB = "job"
    USER = "user"
    PROJECT = "project"
    HOUSE = "house"


class Period(StrEnum):
    """The time that a budget is for: a calendar month (UTC), or all time."""

    MONTH = "month"
    TOTAL = "total"


class JobBudget(Contract):
    """What one job may cost, all its submissions together; nothing is limited by default.

    Attributes:
        qpu_seconds: Most QPU seconds.
        price: Most money.
        currency: Of the money, as three capital letters; empty for that of the account that pays, whichever it is.
    """

    qpu_seconds: Above | None = None
    price: Above | None = None
    # Left out where it is empty: a job that says none has the digest that it always had.
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$", exclude_if=operator.not_)

    @model_validator(mode="after")
    def _is_of_money(self) -> Self:
        if self.currency and self.price is None:
            raise ValueError("a currency alone limits nothing: name a price")
        return self


class Payer(Contract):
    """On whose account a submission is booked.

    Attributes:
        project: Of the job; empty where none is known.
        user: Of the job; empty where none was named.
        budget: The job's own.
        approved: The most that somebody has approved for the place; nothing is limited where nobody had to.
    """

    project: str = ""
    user: str = ""
    budget: JobBudget = JobBudget()
    approved: JobBudget = JobBudget()


class Budget(Contract):
    """A limit on spending.

    Attributes:
        scope: Whose spending.
        name: Of the job (its id), user or project; `*` for each of them by itself, unless it has one of its own;
            empty for the house.
        period: For a calendar month, anew with each, or for all time.
        qpu_seconds: Most QPU seconds, None for no limit.
        money: Most money, None for no limit.
        currency: Of the money, as three capital letters; accounts that are priced in another cannot be paid from it.
    """

    scope: Scope
    name: str = Field(default="", pattern=NAME_PATTERN)
    period: Period = Period.MONTH
    qpu_seconds: Above | None = None
    money: Above | None = None
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.scope is Scope.HOUSE) != (not self.name):
            raise ValueError(
                "the house has no name" if self.name else f"name the {self.scope}, or * for each {self.scope}"
            )
        if (self.money is None) != (not self.currency):
            raise ValueError("money and currency go together")
        return self

    def __str__(self) -> str:
        """Whose it is, in words."""
        whose = {
            Scope.HOUSE: "the house",
            Scope.JOB: "each job" if self.name == EACH else f"job {self.name!r}",
        }.get(self.scope, f"each {self.scope}" if self.name == EACH else f"{self.scope} {self.name!r}")
        return f"{whose} {'a month' if self.period is Period.MONTH else 'in all'}"

    def of(self, subject: str) -> Self:
        """The budget of one of those that it is for each of."""
        return self.model_copy(update={"name": subject})

    @property
    def way_out(self) -> str:
        """What to do where it has no room."""
        whose = "" if self.scope is Scope.HOUSE else f" --{self.scope} {self.name}"
        total = "" if self.period is Period.MONTH else " --total"
        return (
            "wait until running jobs are settled, ask for less, or allow more with "
            f"`qurable budget set{whose}{total} LIMIT`"
        )


class Guardrails(Contract):
    """What a project may send to places that cost money; None allows anything.

    Attributes:
        project: Its slug; `*` for each project that has none of its own.
        depth: Deepest ISA circuit.
        two_qubit_gates: Most two-qubit gates of an ISA circuit.
        shots: Most shots of a submission, over all its pubs and bindings.
        submissions: Most provider jobs in a calendar month (UTC).
    """

    project: str = Field(pattern=r"^(\*|[a-z0-9-]{1,40})$")
    depth: int | None = Field(default=None, ge=1)
    two_qubit_gates: int | None = Field(default=None, ge=1)
    shots: int | None = Field(default=None, ge=1)
    submissions: int | None = Field(default=None, ge=1)


class Forecast(Contract):
    """Where a month's spending ends if it goes on as it has begun.

    Attributes:
        qpu_seconds: At the end of the month.
        money: At the end of the month, in the budget's currency; None without a limit in money.
        exhausted: When the first limit is reached, None where none is within the month.
        basis: What it was computed from, in one sentence.
    """

    qpu_seconds: float
    money: float | None = None
    exhausted: datetime | None = None
    basis: str


class Standing(Contract):
    """What is left of a budget.

    Attributes:
        budget: The limits.
        whose: The job, user or project it is about, where the budget is for each of them.
        month: As YYYY-MM; empty for all time.
        reserved_seconds: QPU seconds reserved for jobs that are not settled.
        spent_seconds: QPU seconds that were billed, duplicates included.
        left_seconds: Of the limit; below zero where more was billed than was reserved.
        reserved_money: The same in the budget's currency.
        spent_money: The same in the budget's currency.
        left_money: The same in the budget's currency.
        unpriced_seconds: QPU seconds, reserved or spent, that have no price in the budget's currency.
        forecast: For the running month, once there is enough of it to go by.
    """

    budget: Budget
    whose: str = ""
    month: str = ""
    reserved_seconds: float = 0.0
    spent_seconds: float = 0.0
    left_seconds: float | None = None
    reserved_money: float = 0.0
    spent_money: float = 0.0
    left_money: float | None = None
    unpriced_seconds: float = 0.0
    forecast: Forecast | None = None


class BudgetChange(Contract):
    """One change of what jobs may cost; a budget without limits, or guardrails without any, is taken away.

    Attributes:
        budget: To stand in the place of the one with its scope, name and period.
        guardrails: To stand in the place of the project's.
    """

    budget: Budget | None = None
    guardrails: Guardrails | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if (self.budget is None) == (self.guardrails is None):
            raise ValueError("change a budget or guardrails, one at a time")
        return self


class Budgets(Contract):
    """Every budget with what is left of it, and every project's guardrails."""

    standings: tuple[Standing, ...] = ()
    guardrails: tuple[Guardrails, ...] = ()
