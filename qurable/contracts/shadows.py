"""Shadow runs: a rollout rule has a job run at a second place as well, and what that differs by is written down."""

from datetime import datetime
from typing import Literal

from qurable.contracts.base import Contract
from qurable.contracts.budgets import JobBudget
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobRequest, job_id

FALSE_ALARM = 1e-3
"""How often the comparisons of one rule, all together, may find a difference where there is none."""


class Shadowing(Contract):
    """What a rule wants of a job, recorded with the job's route.

    Attributes:
        rule: Name of the rule.
        backend: Where the shadow runs.
        paid: Whether it may cost money.
        budget: What it may cost at most.
    """

    rule: str
    backend: str
    paid: bool = False
    budget: JobBudget = JobBudget()


class ShadowCall(Contract):
    """One shadow of one job.

    Attributes:
        job_id: Of the job that was answered.
        project: Of it, and so of its shadow.
        shadowing: What its route says.
    """

    job_id: str
    project: str
    shadowing: Shadowing

    @property
    def key(self) -> str:
        """The shadow's idempotency key: the same however often the job is planned, replayed or reset."""
        return f"shadow/{self.job_id}/{self.shadowing.rule}"

    @property
    def shadow_id(self) -> str:
        """Id of the job that the shadow is."""
        return job_id(self.project, self.key)


class ShadowJob(Contract):
    """What runs as the shadow; nothing where it may not, and why is in the store then."""

    request: JobRequest | None = None


class PubDifference(Contract):
    """How one pub's results differ from those of the other place.

    Attributes:
        pub: Its position.
        kind: sample or estimate.
        p_value: Of such a difference, or a larger one, between two runs at one place.
        distance: Mean total variation over registers of few bits; None where there are none.
        null_quantile: The quantile 0.99 of that distance where both come from one source.
        deviations: For each value, the shadow's less the answer's in units of both standard errors together, the first
            ones of many; None where neither has an error bar.
        looked_at: What was compared, in a few words.
    """

    pub: int
    kind: Literal["sample", "estimate"]
    p_value: float
    distance: float | None = None
    null_quantile: float | None = None
    deviations: tuple[float | None, ...] = ()
    looked_at: str = ""


class ShadowSide(Contract):
    """One of the two jobs.

    Attributes:
        job_id: Of the job; empty for a shadow that never ran.
        served_by: Who answered.
        seconds: From acceptance to the end.
        qpu_seconds: As billed by the time of the comparison.
        price: Of these, None where nobody pays, or no price is known.
        currency: Of the price.
    """

    job_id: str = ""
    served_by: str = ""
    seconds: float = 0.0
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""


class ShadowRun(Contract):
    """A shadow that has ended, beside the answer.

    Attributes:
        rule: That wanted it.
        backend: Where it ran.
        answer: What the caller got.
        shadow: What the other place did.
        p_value: Of all that was compared, together; None where nothing was.
        objectives: Of a problem's answer and of the shadow's, where both have one.
        left_out: Pubs that were not compared because there are too many.
        missing: Why nothing was compared, where both have answered.
        error: Why the shadow has no answer.
        ended: When it was written down (UTC).
        pubs: How each pub differs.
    """

    rule: str
    backend: str
    answer: ShadowSide
    shadow: ShadowSide = ShadowSide()
    p_value: float | None = None
    objectives: tuple[float, float] | None = None
    left_out: int = 0
    missing: str = ""
    error: ErrorDocument | None = None
    ended: datetime
    pubs: tuple[PubDifference, ...] = ()


class Medians(Contract):
    """Of what jobs took, over the shadows that have an answer.

    Attributes:
        seconds: From acceptance to the end.
        qpu_seconds: As billed by the time of the comparison.
        price: Of these, over the jobs that have one in the currency.
        currency: Of the newest that has a price.
    """

    seconds: float | None = None
    qpu_seconds: float | None = None
    price: float | None = None
    currency: str = ""


class ShadowSummary(Contract):
    """What the shadows of a rule at a place have shown of late.

    Attributes:
        rule: Name of the rule.
        backend: Where they ran.
        running: Shadows that have not ended.
        ended: Those that have, of the latest ones that are looked at.
        unanswered: Of these, how many have no answer.
        compared: Of these, how many were compared.
        differing: Of those compared, whose p-value is below `bound`.
        bound: A thousandth over the number of comparisons (Bonferroni), so that where places agree one rule in a thousand
            shows a difference.
        answers: What the answers took.
        shadows: What the shadows took.
        latest: The newest, at most ten.
    """

    rule: str
    backend: str
    running: int = 0
    ended: int = 0
    unanswered: int = 0
    compared: int = 0
    differing: int = 0
    bound: float = FALSE_ALARM
    answers: Medians = Medians()
    shadows: Medians = Medians()
    latest: tuple[ShadowRun, ...] = ()
