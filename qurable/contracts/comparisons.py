"""Comparisons: one request at several places, side by side, and hedged runs, which keep the first good answer."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.checks import Ruling
from qurable.contracts.confidence import Confidence
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import AUTO, BackendName, JobHead, JobRequest, job_id
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import Durations, State
from qurable.contracts.results import PubResult
from qurable.contracts.targets import AnswerKind
from qurable.names import CLASSICAL

MAX_PLACES = 8
"""Each pair of them is compared."""

FALSE_ALARM = 1e-3
"""How often the pairs of one comparison, all together, may be found to differ where none does."""

MAX_AFTER = timedelta(days=30)

BEST_OBJECTIVE = "best_objective"
FIRST_GOOD = "first_good"

Place = Annotated[BackendName, Field(min_length=1)]


class Comparison(Contract):
    """One request for several places.

    Attributes:
        schema_version: Of this document.
        kind: `comparison`.
        job: What is asked; its key is the comparison's, its backend is not looked at.
        on: The places, each once.
        classical: Whether the classical solver that suits best is asked too; None for problems alone.
        decide: Name of the rule that makes one answer of them; `auto` takes `best_objective` for problems and
            `fidelity_weighted` for the others.
        fallback: Whether a place that does not answer may be stood in for, as the job says; else its row is its error.
        after: For hedged runs: how long a place has before the next one is asked too; None for comparisons.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["comparison"] = "comparison"
    job: JobRequest
    on: tuple[Place, ...] = Field(min_length=1, max_length=MAX_PLACES)
    classical: bool | None = None
    decide: str = Field(default=AUTO, pattern=r"^[a-z0-9_]{1,60}$")
    fallback: bool = False
    after: timedelta | None = Field(default=None, ge=timedelta(0), le=MAX_AFTER)

    @field_validator("on")
    @classmethod
    def _each_once(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({place for place in places if places.count(place) > 1})
        if twice:
            raise ValueError(f"{', '.join(map(repr, twice))} is named twice: name each place once")
        if AUTO in places:
            raise ValueError(
                "'auto' is no place: name those that are to be compared, as `qurable backends` lists them"
            )
        return places

    @model_validator(mode="after")
    def _several(self) -> Self:
        number = len(self.places)
        if number < 2:
            raise ValueError(
                f"{self.places[0]!r} alone has nothing to stand beside: name two places at least"
            )
        if number > MAX_PLACES:
            raise ValueError(f"{number} places with the classical solver; at most {MAX_PLACES} are compared")
        if self.hedged and self.decide not in (AUTO, FIRST_GOOD):
            raise ValueError(
                f"a hedged run keeps the first good answer; `decide` {self.decide!r} is for comparisons"
            )
        return self

    @property
    def hedged(self) -> bool:
        """Whether places are asked one after the other, and the first good answer is enough."""
        return self.after is not None

    @property
    def asks_problem(self) -> bool:
        """Whether the request carries a problem, so that answers have an objective."""
        return getattr(self.job, "problem", None) is not None

    @property
    def places(self) -> tuple[str, ...]:
        """The places, with the classical solver where it is asked too."""
        wanted = self.classical if self.classical is not None else self.asks_problem and not self.hedged
        there = any(place.partition(":")[0] == CLASSICAL for place in self.on)
        return (*self.on, CLASSICAL) if wanted and not there else self.on

    @property
    def rule(self) -> str:
        """The decision's name, chosen where it was left open."""
        if self.decide != AUTO:
            return self.decide
        if self.hedged:
            return FIRST_GOOD
        return BEST_OBJECTIVE if self.asks_problem else "fidelity_weighted"

    @property
    def comparison_id(self) -> str:
        """The comparison's id: unique for ever per project and idempotency key, and free of user text."""
        return ("hedge-" if self.hedged else "compare-") + job_id(self.job.project, self.job.key)

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same comparison."""
        own = self.model_dump_json(exclude={"job", "schema_version"})
        return digest(f"{self.job.body_hash}\0{own}")


class ComparisonHead(Contract):
    """The part of a comparison that the workflow itself reads.

    Attributes:
        schema_version: Of the whole document.
        id: Which is the workflow's id.
        project: Public slug.
        kind: Of the job.
        body_hash: Digest of the whole, compared when a key is reused.
        after: As in the comparison.
        first_good: Whether the first good answer is enough.
    """

    schema_version: int
    id: str
    project: str
    kind: str
    body_hash: str
    after: timedelta | None = None
    first_good: bool = False

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """The head of a comparison."""
        return cls(
            schema_version=comparison.schema_version,
            id=comparison.comparison_id,
            project=comparison.job.project,
            kind=comparison.job.kind,
            body_hash=comparison.body_hash,
            after=comparison.after,
            first_good=comparison.rule == FIRST_GOOD,
        )


class BeginComparison(Contract):
    """Insert a comparison and make its jobs, or learn that it has ended before.

    Attributes:
        head: Of the comparison.
        owner: First run id of the execution that asks.
    """

    head: ComparisonHead
    owner: str


class Leg(Contract):
    """One place of a comparison, and the job that runs there.

    Attributes:
        place: As it was named.
        head: Of the job.
        request: Artifact hash of the job's request.
    """

    place: str
    head: JobHead
    request: str


class PlannedComparison(Contract):
    """A comparison as the store keeps it: made once, so that every execution starts the same jobs.

    Attributes:
        comparison: As it was asked.
        legs: Each place's job, in their order.
    """

    comparison: Comparison
    legs: tuple[Leg, ...]


class LegEnd(Contract):
    """How a leg's workflow ended; the job's report is in the store.

    Attributes:
        place: Of the leg.
        started: Whether it was ever started.
        good: Whether its answer passed its checks; None where nobody needed to know.
        because: Why it is good, or not.
        withdrawn: Whether it was told to stop because another answer was taken, or the comparison was cancelled.
        error: What the workflow ended with, where it has no answer.
    """

    place: str
    started: bool = True
    good: bool | None = None
    because: str = ""
    withdrawn: bool = False
    error: ErrorDocument | None = None


class Judged(Contract):
    """Whether a leg's answer is good enough to be taken, and why."""

    good: bool
    because: str


class EndComparison(Contract):
    """Put a comparison together and keep its report.

    Attributes:
        id: Of the comparison.
        legs: With their jobs.
        ends: How each leg ended, in the order in which they did.
        cancelled: Whether the comparison was cancelled.
    """

    id: str
    legs: tuple[Leg, ...] = ()
    ends: tuple[LegEnd, ...] = ()
    cancelled: bool = False


class Gap(Contract):
    """A distance between two places' counts, beside what chance alone makes it.

    Attributes:
        value: Mean over what was compared, 0 to 1.
        expected: Its mean where both have one source.
        null_quantile: Its quantile 0.99 where both have one source.
    """

    value: float
    expected: float
    null_quantile: float


class PubComparison(Contract):
    """How one pub's results differ between two places.

    Attributes:
        pub: Its position.
        kind: sample or estimate.
        p_value: Of such a difference, or a larger one, between two runs at one place.
        total_variation: Of all outcomes over all registers; None where there are too many different ones.
        hellinger: Of the same.
        deviations: For each value, the second place's less the first one's in units of both standard errors together, the
            first ones of many; None where neither has an error bar.
        largest: The largest difference of two values, in their own unit.
        looked_at: What was compared, in a few words.
    """

    pub: int
    kind: Literal["sample", "estimate"]
    p_value: float
    total_variation: Gap | None = None
    hellinger: Gap | None = None
    deviations: tuple[float | None, ...] = ()
    largest: float | None = None
    looked_at: str = ""


class PairComparison(Contract):
    """How two places differ.

    Attributes:
        places: The two.
        p_value: Of all that was compared, together; None where nothing was.
        differ: Whether that is below a thousandth over the number of pairs (Bonferroni's inequality).
        pubs: How each pub differs.
        left_out: Pubs that were not compared because there are too many.
        missing: Why nothing was compared, where both have answered.
    """

    places: tuple[str, str]
    p_value: float | None = None
    differ: bool | None = None
    pubs: tuple[PubComparison, ...] = ()
    left_out: int = 0
    missing: str = ""


class Withdrawal(Contract):
    """A leg that was told to stop.

    Attributes:
        confirmed: Whether its job is known to have ended, and so to cost nothing more.
        finished: Whether it was faster: it had its answer, or the provider had finished, before it could be stopped. What it
            answered is kept.
        because: In one sentence.
    """

    confirmed: bool
    finished: bool = False
    because: str


class ProviderBill(Contract):
    """What a leg's job at a provider came to.

    Attributes:
        id: The provider's id, empty where it was never sent.
        backend: Where it ran.
        state: Where it stood when it was last looked at.
        qpu_seconds: What it is charged for, None while the provider does not say.
    """

    id: str = ""
    backend: str
    state: Phase
    qpu_seconds: float | None = None


class LegReport(Contract):
    """One place's row.

    Attributes:
        place: As it was named.
        job_id: Of its job, whose report has the rest; empty where none was started.
        state: How that ended; None where none was started.
        served_by: Who answered.
        answer_kind: What sort of place that is.
        because: Why it came from there, or why nothing was started.
        degraded: Whether another place than this one answered, or the answer was down-ranked.
        ruling: What its checks made of the answer.
        good: Whether the answer passed them, where that was asked for.
        objective: Of a problem's answer, with its `standard_error` where it is an estimate.
        standard_error: Same unit.
        feasible: Whether the answer breaks no constraint.
        gap: How far the objective can be from the optimum at most; None without a bound.
        behind: How much worse the objective is than the best feasible one here.
        confidence: How far the answer can be trusted; the first records of many.
        weight: Its share in a weighted answer, or its votes.
        durations: Where the time went.
        qpu_seconds: As billed by the time of the comparison.
        price: Of these, None where nobody pays, or no price is known.
        currency: Of the price.
        provider_jobs: Its jobs at providers.
        withdrawal: Where it was told to stop.
        error: Why it has no answer.
    """

    place: str
    job_id: str = ""
    state: State | None = None
    served_by: str = ""
    answer_kind: AnswerKind | None = None
    because: str = ""
    degraded: bool = False
    ruling: Ruling | None = None
    good: bool | None = None
    objective: float | None = None
    standard_error: float | None = None
    feasible: bool | None = None
    gap: float | None = None
    behind: float | None = None
    confidence: tuple[Confidence, ...] = ()
    weight: float | None = None
    durations: Durations = Durations()
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    provider_jobs: tuple[ProviderBill, ...] = ()
    withdrawal: Withdrawal | None = None
    error: ErrorDocument | None = None

    @property
    def answered(self) -> bool:
        """Whether it has an answer."""
        return self.state in (State.COMPLETED, State.DEGRADED)


class CombinedPub(Contract):
    """What several places' results of one element of a pub come to.

    Attributes:
        pub: Position of the pub.
        element: Flat position in its shape.
        outcomes: Weights of outcomes, the heaviest first, cut off after many; the rightmost character is bit 0.
        rest: Weight of what was cut off.
        error: Largest standard error of a weight, by the shots alone.
    """

    pub: int
    element: int = 0
    outcomes: dict[str, float] = Field(default_factory=dict)
    rest: float = 0.0
    error: float | None = None


class CombinedValues(Contract):
    """Weighted means of a pub's expectation values.

    Attributes:
        pub: Position of the pub.
        evs: Means.
        stds: Their standard errors, from those of the places; what a noisy place is off by is not in them.
    """

    pub: int
    evs: FloatArray
    stds: FloatArray


class Decided(Contract):
    """The one answer.

    Attributes:
        rule: Name of the decision.
        place: Whose answer it is; empty where it is made of several.
        job_id: Of that place's job, whose report has the results.
        because: In one sentence.
        weights: Shares or votes by place.
        answer: In the problem's terms.
        outcomes: Of samples, where they are made of several places'.
        values: Of estimates, where they are.
    """

    rule: str
    place: str = ""
    job_id: str = ""
    because: str
    weights: dict[str, float] = Field(default_factory=dict)
    answer: ProblemAnswer | None = None
    outcomes: tuple[CombinedPub, ...] = ()
    values: tuple[CombinedValues, ...] = ()


class ComparisonState(StrEnum):
    """What a caller sees of a comparison."""

    PREPARING = "preparing"
    RUNNING = "running"
    WITHDRAWING = "withdrawing"
    COMPARING = "comparing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self in _FINAL


_FINAL = frozenset({ComparisonState.COMPLETED, ComparisonState.FAILED, ComparisonState.CANCELLED})


class ComparisonReport(Contract):
    """The end of a comparison.

    Attributes:
        schema_version: Of this document.
        id: Of the comparison.
        project: Public slug.
        kind: Of the job: sample, estimate or solve.
        hedged: Whether it was a hedged run.
        state: completed, failed (no place answered) or cancelled.
        rule: Name of the decision.
        legs: One row for each place, in the order they were named.
        pairs: How each two places with an answer differ.
        decided: The one answer; None where there is none, and `undecided` says why.
        undecided: Why no answer was made of them.
        qpu_seconds: Of all legs.
        prices: Of all legs, by currency.
        began: When it was taken in (UTC).
        ended: When the report was made.
        error: Why there is no answer.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    kind: str
    hedged: bool = False
    state: ComparisonState
    rule: str
    legs: tuple[LegReport, ...] = ()
    pairs: tuple[PairComparison, ...] = ()
    decided: Decided | None = None
    undecided: str = ""
    qpu_seconds: float = 0.0
    prices: dict[str, float] = Field(default_factory=dict)
    began: datetime
    ended: datetime
    error: ErrorDocument | None = None


class ComparisonPlan(Contract):
    """What a comparison's workflow goes by.

    Attributes:
        legs: Each place's job, in their order.
        report: Of an earlier execution that has ended.
        search_attributes: Whether the server knows this project's search attributes.
    """

    legs: tuple[Leg, ...] = ()
    report: ComparisonReport | None = None
    search_attributes: bool = False


class ComparisonCarry(Contract):
    """What an execution hands to the next one, when it continues as new.

    Attributes:
        ends: Legs that have ended, in the order in which they did.
    """

    ends: tuple[LegEnd, ...] = ()


class LegStatus(Contract):
    """Where one leg stands.

    Attributes:
        place: As it was named.
        job_id: Of its job.
        state: waiting (for its turn), running, withdrawing, ended, or not started.
        good: Whether its answer is good, where that was asked for.
        because: Why, or what it failed with.
    """

    place: str
    job_id: str
    state: Literal["waiting", "running", "withdrawing", "ended", "not started"]
    good: bool | None = None
    because: str = ""


class ComparisonStatus(Contract):
    """Where a comparison stands.

    Attributes:
        id: Of the comparison.
        state: What a caller sees.
        legs: Where each place stands.
        taken: The place whose answer is taken already, while others are being withdrawn.
        message: One line, such as that no worker answers.
    """

    id: str
    state: ComparisonState
    legs: tuple[LegStatus, ...] = ()
    taken: str = ""
    message: str = ""


class Ballot(Contract):
    """What a decision function is given of a place that has answered.

    Attributes:
        leg: Its row.
        answer: In the problem's terms, where the job carries one.
        survival: For each pub, how likely its circuit ran there without an error: 1 where the place has no errors, None
            where nobody knows.
        results: One for each pub; empty where they are too large, or no circuit was run.
    """

    leg: LegReport
    answer: ProblemAnswer | None = None
    survival: tuple[float | None, ...] = ()
    results: tuple[PubResult, ...] = ()
