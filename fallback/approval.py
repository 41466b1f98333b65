"""Rules by which a job waits for somebody's word before it goes to a place that costs money.

They are a section of the strategy table, so that a route is planned, hashed and recorded together with the words it
needs.
"""

import fnmatch
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.approvals import APPROVER_PATTERN, AtTimeout, Terms
from qurable.contracts.base import Contract
from qurable.contracts.budgets import Above
from qurable.contracts.routes import Estimate
from qurable.names import DATA_CLASS_PATTERN

_PROJECTS = r"^[a-z0-9*?-]{1,80}$"
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Spending:
    """A job and a place that costs money, as the rules look at them.

    Attributes:
        backend: Its name.
        project: Of the job.
        user: Of the job; empty where none was named.
        data_class: Of the job; empty where none was named.
        shots: Over all pubs and bindings.
        estimate: What the place is expected to take.
        limit_seconds: The job's own limit of QPU time, which is reserved where it is given (s).
        is_new: Whether some circuit of the job was never sent to a place that costs money by this project.
    """

    backend: str
    project: str
    user: str = ""
    data_class: str = ""
    shots: int = 0
    estimate: Estimate = field(default_factory=Estimate)
    limit_seconds: int | None = None
    is_new: bool = False


class ApprovalWhen(Contract):
    """Conditions; those that are absent hold always, and all of them have to.

    Attributes:
        price_over: The estimate is more than so much, in `currency`; one that nobody can say is.
        currency: Of `price_over`.
        qpu_seconds_over: The estimate is more than so many QPU seconds; one that nobody can say is.
        shots_over: More shots than so many, over all pubs and bindings.
        first_run: A circuit of the job was never sent to a place that costs money by its project.
        data_class: One of these.
        projects: One of these, or of these patterns.
    """

    price_over: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    qpu_seconds_over: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    shots_over: int | None = Field(default=None, ge=0)
    first_run: Literal[True] | None = None
    data_class: tuple[Annotated[str, Field(pattern=DATA_CLASS_PATTERN, min_length=1)], ...] | None = Field(
        default=None, min_length=1
    )
    projects: tuple[Annotated[str, Field(pattern=_PROJECTS)], ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _has_a_currency(self) -> Self:
        if (self.price_over is None) != (not self.currency):
            raise ValueError("price_over and currency go together")
        return self

    def reasons(self, spending: Spending) -> list[str] | None:
        """What was found of each condition; None where one does not hold.

        Each check below says None where nothing is asked, and nothing where its condition does not hold.
        """
        found = [
            self._price(spending.estimate),
            self._qpu_seconds(spending.estimate),
            self._shots(spending.shots),
            None
            if self.first_run is None
            else ("a circuit runs for the first time" if spending.is_new else ""),
            _one_of("data class", spending.data_class, self.data_class),
            _one_of("project", spending.project, self.projects),
        ]
        stated = [reason for reason in found if reason is not None]
        return stated if all(stated) else None

    def _price(self, estimate: Estimate) -> str | None:
        if self.price_over is None:
            return None
        if estimate.price is None or estimate.currency != self.currency:
            return f"nobody can say what it costs in {self.currency}"
        if estimate.price <= self.price_over:
            return ""
        return f"up to {estimate.price:.2f} {estimate.currency} are more than {self.price_over:g}"

    def _qpu_seconds(self, estimate: Estimate) -> str | None:
        if self.qpu_seconds_over is None:
            return None
        if estimate.qpu_seconds is None:
            return "nobody can say how many QPU seconds it takes"
        most = estimate.qpu_seconds.high
        if most <= self.qpu_seconds_over:
            return ""
        return f"up to {most:.1f} QPU seconds are more than {self.qpu_seconds_over:g}"

    def _shots(self, shots: int) -> str | None:
        if self.shots_over is None:
            return None
        return f"{shots:,} shots are more than {self.shots_over:,}" if shots > self.shots_over else ""

    def takes_all_of(self, other: "ApprovalWhen") -> bool:
        """Whether every job that meets the other's conditions meets these too."""
        return (
            (
                self.price_over is None
                or (self.currency == other.currency and _at_most(self.price_over, other.price_over))
            )
            and (self.qpu_seconds_over is None or _at_most(self.qpu_seconds_over, other.qpu_seconds_over))
            and (self.shots_over is None or _at_most(self.shots_over, other.shots_over))
            and (self.first_run is None or other.first_run is True)
            and (self.data_class is None or set(other.data_class or ("",)) <= set(self.data_class))
            and (self.projects is None or _within(other.projects, self.projects))
        )


class ApprovalRule(Contract):
    """Jobs that wait for somebody's word, and whose.

    Attributes:
        when: Which jobs.
        approvers: Who may decide; empty for anybody.
        four_eyes: Whether the job's own user may not.
        timeout: How long a job waits.
        at_timeout: What stands then.
        price_cap: The most that may be spent on an approved job, as a multiple of its estimate; twice the estimate is
            what is reserved for it.
    """

    when: ApprovalWhen = ApprovalWhen()
    approvers: tuple[Annotated[str, Field(pattern=APPROVER_PATTERN)], ...] = ()
    four_eyes: bool = False
    timeout: timedelta = Field(default=_DAY, gt=timedelta(0), le=_YEAR)
    at_timeout: AtTimeout = "refuse"
    price_cap: Annotated[Above, Field(ge=1)] = 3.0

    def terms(self, spending: Spending) -> Terms | None:
        """What a job has to ask; None where the rule is not about it."""
        reasons = self.when.reasons(spending)
        if reasons is None:
            return None
        return Terms(
            because="; ".join(reasons) or "every job for a place that costs money is asked about",
            approvers=self.approvers,
            not_by=spending.user if self.four_eyes else "",
            timeout=self.timeout,
            at_timeout=self.at_timeout,
            **_amounts(spending, self.price_cap),
        )


def terms_of(rules: Sequence[ApprovalRule], spending: Spending) -> Terms | None:
    """What the first rule asks that is about a job; None where none is."""
    found = (rule.terms(spending) for rule in rules)
    return next((terms for terms in found if terms is not None), None)


def _amounts(spending: Spending, factor: float) -> dict[str, float | str]:
    """Estimate and cap. Providers are told whole seconds, so the cap is a whole number of them."""
    seconds, price = spending.estimate.qpu_seconds, spending.estimate.price
    if seconds is None:
        return {}
    most = max(math.ceil(factor * seconds.high), spending.limit_seconds or 0)
    if price is None or not seconds.high:
        return {"estimate": seconds.high, "cap": float(most)}
    per_second = price / seconds.high
    return {
        "estimate": price,
        "cap": per_second * most,
        "currency": spending.estimate.currency,
        "price_per_second": per_second,
    }


def _one_of(what: str, word: str, known: Sequence[str] | None) -> str | None:
    if known is None:
        return None
    return f"{what} {word!r}" if any(fnmatch.fnmatchcase(word, pattern) for pattern in known) else ""


def _at_most(mine: float, other: float | None) -> bool:
    return other is not None and mine <= other


def _within(others: Sequence[str] | None, mine: Sequence[str]) -> bool:
    """Whether all names that others match match one of mine; a pattern is only taken by itself, or by one for all names."""
    return others is not None and all(
        one in mine
        or "*" in mine
        or (not _is_pattern(one) and any(fnmatch.fnmatchcase(one, it) for it in mine))
        for one in others
    )


def _is_pattern(name: str) -> bool:
    return any(letter in name for letter in "*?[")


def idle_rules(rules: Sequence[ApprovalRule]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Rules that never ask anything, since every job that they are about is taken by one before."""
    for number, rule in enumerate(rules):
        for before, earlier in enumerate(rules[:number]):
            if earlier.when.takes_all_of(rule.when):
                yield (
                    ("approval", number),
                    f"every job that meets this rule is taken by rule {before + 1} before it",
                )
                break
