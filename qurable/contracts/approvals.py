"""Jobs that wait for somebody's word: what is asked, who may decide, and what was decided."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, field_validator

from qurable.contracts.base import Contract
from qurable.contracts.budgets import Above

AtTimeout = Literal["refuse", "approve", "next_rung"]
"""What stands where nobody decides in time: the job ends, it is sent, or the next rung answers."""

MAX_REASON = 500

APPROVER_PATTERN = r"^[a-z0-9-]{1,40}$"
"""A public slug, as a job's user is."""


PLAN_PATTERN = r"^([0-9a-f]{8,64})?$"
"""The hash of a plan, or enough of its beginning to name it."""


class Terms(Contract):
    """What a rung needs somebody's word for, as its rule says.

    Attributes:
        because: What the rule found, in one sentence.
        estimate: The most it is expected to cost; None where nobody can say.
        cap: The most it may cost, unless whoever approves names another; None where nobody can say.
        currency: Of the amounts; empty where the account names no price, and they are QPU seconds.
        price_per_second: That the amounts were computed with; None where they are QPU seconds.
        approvers: Who may decide; empty for anybody.
        not_by: The user whose job it is, who may not decide; empty where anybody may.
        timeout: How long it is waited for.
        at_timeout: What stands then.
    """

    because: str
    estimate: float | None = None
    cap: float | None = None
    currency: str = ""
    price_per_second: float | None = None
    approvers: tuple[str, ...] = ()
    not_by: str = ""
    timeout: timedelta
    at_timeout: AtTimeout = "refuse"

    @property
    def unit(self) -> str:
        """Of the amounts, in words."""
        return self.currency or "QPU seconds"


class Question(Contract):
    """A job that waits for somebody's word.

    Attributes:
        job_id: Of the job.
        project: Of the job.
        rung: Position on its route.
        backend: It is to be sent to.
        route: SHA-256 of what was planned; a decision about another plan does not count.
        terms: What is asked, and what it costs.
        asked: Since when (UTC).
        expires: Until when.
    """

    job_id: str
    project: str
    rung: int
    backend: str
    route: str
    terms: Terms
    asked: datetime
    expires: datetime


class Decision(Contract):
    """Somebody's word.

    Attributes:
        approve: Whether the job may be sent.
        by: Who decides, a slug as a job's user is; nobody checks whether it is true.
        reason: Why, in the person's own words.
        cap: The most it may cost, in the question's unit; None for the question's own.
        route: SHA-256 of the plan that is decided about, or its beginning.
        via: How it came: from a person, or by itself, when its time or the job's was over.
        at: When it was taken (UTC); None before.
    """

    approve: bool
    by: str = Field(pattern=APPROVER_PATTERN)
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    cap: Above | None = None
    route: str = Field(default="", pattern=PLAN_PATTERN)
    via: Literal["client", "cli", "http", "timeout", "deadline"] = "client"
    at: datetime | None = None

    @field_validator("reason")
    @classmethod
    def _says_something(cls, reason: str) -> str:
        if not reason.strip() or "\0" in reason:
            raise ValueError("say why, in words")
        return reason


class Approval(Contract):
    """A question with its answer, as it stands in the store.

    Attributes:
        question: What was asked.
        decision: What was decided; None while it is open.
    """

    question: Question
    decision: Decision | None = None


class Approvals(Contract):
    """Jobs that wait for somebody's word, the longest first."""

    waiting: tuple[Question, ...] = ()
