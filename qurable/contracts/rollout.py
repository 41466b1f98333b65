"""Rules that a house changes while it runs: which jobs go to a new place first, and which place is asked by nobody."""

import secrets
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract
from qurable.contracts.budgets import JobBudget
from qurable.contracts.jobs import BackendName
from qurable.contracts.shadows import Shadowing, ShadowSummary

RULE_PATTERN = r"^[a-z0-9-]{1,40}$"
_COHORT_PATTERN = r"^(user|project):[a-z0-9-]{1,40}$"
_SLUGS = r"^[a-z0-9*?-]{1,40}$"
_WIDEST = 10_000

AsksForWord = Literal["auto", "hardware", "simulator", "classical", "requirements"]


class RolloutWhen(Contract):
    """Jobs that a rule is about; what is left out holds for all, and all of it has to hold.

    Attributes:
        project: Pattern of the project's name.
        user: Pattern of the user's name; all but `*` leaves out jobs of nobody in particular.
        data_class: Pattern of how confidential the job says it is; all but `*` leaves out jobs that say nothing.
        kind: Of the job, one of these; empty for any.
        asks_for: What sort of place the job asks for, one of these; empty for any.
        asked: Pattern of the name that the job asks for, such as `ibm:torino` or `ibm:*`.
        label: `name=value`, a mark of the job.
        qubits_from: Of the widest circuit, at least.
        qubits_to: Of the widest circuit, at most.
    """

    project: str = Field(default="*", pattern=_SLUGS)
    user: str = Field(default="*", pattern=_SLUGS)
    data_class: str = Field(default="*", pattern=_SLUGS)
    kind: tuple[Literal["sample", "estimate", "solve"], ...] = ()
    asks_for: tuple[AsksForWord, ...] = ()
    asked: str = Field(default="*", min_length=1, max_length=80)
    label: str = Field(default="", pattern=r"^$|^[^=]{1,64}=.{0,256}$")
    qubits_from: int = Field(default=0, ge=0)
    qubits_to: int = Field(default=_WIDEST, ge=0)


class RolloutRule(Contract):
    """One rule: a share of a class of jobs goes to a place, a cohort does, or the place is asked by none of them.

    As a shadow, the share or the cohort is answered as without the rule, and runs at the place as well.

    Attributes:
        name: Of the rule, by which it is replaced and removed; part of what a job's share is drawn by.
        backend: The place that it is about; of a kill switch, a pattern of places.
        when: Jobs that it is about.
        share: Of these jobs that go there, 0 to 1, by a stable hash: a job that goes there at some share goes there at every
            larger one.
        by: What goes there as one: each job by itself, or all jobs of a user in a project; those of nobody in particular go
            one by one.
        cohort: Whose jobs go there, as `user:<name>` and `project:<name>`.
        kill: Whether the place is not asked at all.
        shadow: Whether the share or the cohort runs there besides, after it has its answer, to be compared with it.
        paid: Of a shadow, whether it may cost money.
        budget: Of a shadow, what each may cost at most; its job's own budget holds too.
        reason: For people.
    """

    name: str = Field(pattern=RULE_PATTERN)
    backend: BackendName
    when: RolloutWhen = RolloutWhen()
    share: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    by: Literal["job", "user"] = "job"
    cohort: tuple[Annotated[str, Field(pattern=_COHORT_PATTERN)], ...] = Field(default=(), max_length=1000)
    kill: bool = False
    shadow: bool = False
    paid: bool = False
    budget: JobBudget = JobBudget()
    reason: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.share is not None) + bool(self.cohort) + self.kill != 1:
            raise ValueError("a rule does one thing: give `share`, `cohort` or `kill`")
        if self.shadow and self.kill:
            raise ValueError("a shadow is of a share or a cohort: give `share` or `cohort`, not `kill`")
        if (self.paid or self.budget != JobBudget()) and not self.shadow:
            raise ValueError(
                "`paid` and `budget` are for shadows: any other job says itself what it may cost"
            )
        return self

    @property
    def effect(self) -> str:
        """What it does, in words."""
        if self.kill:
            return f"switches {self.backend!r} off"
        whose = ", ".join(self.cohort) if self.share is None else f"{self.share:.4g} of the {self.by}s"
        if not self.shadow:
            return f"sends {whose} to {self.backend!r}"
        return f"runs {whose} at {self.backend!r} too, in the shadow of their answers"

    @property
    def shadowing(self) -> Shadowing:
        """What a shadow of it is told."""
        return Shadowing(rule=self.name, backend=self.backend, paid=self.paid, budget=self.budget)


class RolloutChange(Contract):
    """One change of the rules.

    Attributes:
        rule: To stand in the place of the one of its name.
        remove: Name of the rule that is taken away.
        by: Who changes it.
        id: Of the change, so that a repeated attempt is one change.
    """

    rule: RolloutRule | None = None
    remove: str = Field(default="", pattern=rf"^$|{RULE_PATTERN}")
    by: str = Field(min_length=1, max_length=80)
    id: str = Field(default_factory=lambda: secrets.token_hex(16), max_length=32)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if (self.rule is None) == (not self.remove):
            raise ValueError("set a rule or remove one, one at a time")
        return self


class RolloutEntry(Contract):
    """A rule that stands, with who set it and when (UTC)."""

    rule: RolloutRule
    by: str
    at: datetime

    def __str__(self) -> str:
        """As verdicts name it."""
        reason = f": {self.rule.reason}" if self.rule.reason else ""
        return (
            f"rollout rule {self.rule.name!r} (set by {self.by} at {self.at:%Y-%m-%d %H:%M:%S} UTC{reason})"
        )


class RolloutEvent(Contract):
    """A change that was made.

    Attributes:
        name: Of the rule.
        rule: As it was set; None where it was removed.
        by: Who changed it.
        at: When (UTC).
    """

    name: str
    rule: RolloutRule | None = None
    by: str
    at: datetime


class Rollout(Contract):
    """Every rule that stands, by name, what was changed of late, the newest first, and what shadows have shown.

    Attributes:
        rules: That stand.
        changes: The last hundred.
        shadows: By rule and place, also of rules that were taken away.
    """

    rules: tuple[RolloutEntry, ...] = ()
    changes: tuple[RolloutEvent, ...] = ()
    shadows: tuple[ShadowSummary, ...] = ()
