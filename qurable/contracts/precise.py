"""An expectation value to a precision at a price: what is asked for, how its rounds went, and what came of it."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob
from qurable.contracts.observables import Observable
from qurable.contracts.pubs import MAX_SHOTS

Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]

MOST_ROUNDS = 30


class Precise(Contract):
    """Estimate one observable to a standard error, in rounds of jobs, for no more than is allowed.

    Attributes:
        schema_version: Of this document.
        job: A job of one pub with one binding and one observable: its circuit, place, options, project and key are those of
            every round; its precision and its budget are not looked at.
        precision: Standard error that is asked for, absolute, in the observable's unit.
        max_price: Most money for all rounds; None for no limit.
        currency: Of the money, as three capital letters; empty for that of the account that pays.
        max_qpu_seconds: Most QPU seconds for all rounds; None for no limit.
        max_shots: Most shots over all groups and rounds.
        pilot_shots: Of each group in the first round, from which variances are estimated.
    """

    schema_version: int = SCHEMA_VERSION
    job: EstimateJob
    precision: Above
    max_price: Above | None = None
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    max_qpu_seconds: Above | None = None
    max_shots: int = Field(default=10_000_000, ge=1)
    pilot_shots: int = Field(default=1_000, ge=100, le=MAX_SHOTS)

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if len(self.job.pubs) != 1 or self.job.pubs[0].shape:
            raise ValueError("one value is estimated: give one circuit, one observable and one binding")
        if self.job.fallback.policy != "none":
            raise ValueError("all rounds run at one place: leave fallback at 'none'")
        if (
            self.job.seeds
            or self.job.mitigation.zne is not None
            or self.job.hooks.before
            or self.job.hooks.after
        ):
            raise ValueError("rounds take no seeds, mitigation.zne or hooks of their own: leave these out")
        if self.job.fallback.least_shots is not None or self.job.fallback.coarsest_precision is not None:
            raise ValueError(
                "each round's shots are planned, and a round that is too dear is planned anew: leave fallback.least_shots and "
                "fallback.coarsest_precision out"
            )
        if self.currency and self.max_price is None:
            raise ValueError("a currency alone limits nothing: name a max_price")
        return self

    @property
    def id(self) -> str:
        """Unique for ever per project and key."""
        return f"precise-{self.job.job_id}"

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same."""
        limits = self.model_dump_json(exclude={"job", "schema_version"})
        return digest(f"{self.job.body_hash}\0{limits}")


class PreciseEnd(StrEnum):
    """Why there is no further round."""

    PRECISION = "precision reached"
    PRICE = "the price limit would be passed"
    QPU_SECONDS = "the limit of QPU seconds would be passed"
    BUDGET = "a budget of the user or project would be passed"
    SHOTS = "the limit of shots would be passed"
    ROUNDS = "there were as many rounds as there may be"
    FAILED = "a round failed"


class Group(Contract):
    """Pauli products that one measurement serves.

    Attributes:
        observable: Their part of the observable.
    """

    observable: Observable


class Moments(Contract):
    """What all shots of a group say so far.

    Attributes:
        shots: How many.
        mean: Of the group's part of the observable.
        square: Mean of its square.
    """

    shots: int = 0
    mean: float = 0.0
    square: float = 0.0

    @property
    def variance(self) -> float:
        """Of a single shot."""
        return max(self.square - self.mean**2, 0.0)


class Round(Contract):
    """One job of it.

    Attributes:
        number: Counted from 0.
        job_id: Whose report has the rest.
        shots: Of each group.
        value: Of all rounds so far.
        standard_error: Of that.
        price: Of this round, None where nobody pays or nobody said.
        qpu_seconds: Of this round.
        served_by: Who ran it.
        paid: Whether it cost money.
        most_price: As `price`; where the provider had not said its last word, what it can be at most.
        most_qpu_seconds: As `qpu_seconds`, likewise.
    """

    number: int
    job_id: str
    shots: tuple[int, ...]
    value: float = 0.0
    standard_error: float = 0.0
    price: float | None = None
    qpu_seconds: float = 0.0
    served_by: str = ""
    paid: bool = False
    most_price: float | None = None
    most_qpu_seconds: float = 0.0


class LostRound(Contract):
    """One job that cost something and brought no values.

    Attributes:
        job_id: Whose report has the rest.
        because: Why it has none.
        price: Of it, None where nobody said.
        qpu_seconds: Of it.
        most_price: As `price`; where the provider had not said its last word, what it can be at most.
        most_qpu_seconds: As `qpu_seconds`, likewise.
    """

    job_id: str
    because: str
    price: float | None = None
    qpu_seconds: float = 0.0
    most_price: float | None = None
    most_qpu_seconds: float = 0.0


class PreciseState(Contract):
    """Where it stands; carried from stage to stage.

    Attributes:
        id: Of it.
        constant: The observable's coefficient of the identity.
        groups: Of the rest.
        moments: Of each group.
        rounds: That have ended.
        copies: Runs that were made in all, which number the seeds.
        refused: Rounds in a row that no budget let pass, each half as large as the one before.
        lost: Jobs that cost something all the same.
        currency: Of the prices.
    """

    id: str
    constant: float = 0.0
    groups: tuple[Group, ...] = ()
    moments: tuple[Moments, ...] = ()
    rounds: tuple[Round, ...] = ()
    copies: int = 0
    refused: int = 0
    lost: tuple[LostRound, ...] = ()
    currency: str = ""

    @property
    def costly(self) -> tuple[Round | LostRound, ...]:
        """What was paid for."""
        return (*(done for done in self.rounds if done.paid), *self.lost)


class PreciseReport(Contract):
    """What came of it.

    Attributes:
        id: Of it.
        value: Of the observable.
        standard_error: Of that.
        interval: 95 %, by the normal law.
        precision: That was asked for.
        reached: Whether it was.
        ended: Why there is no further round.
        because: In one sentence.
        rounds: In order.
        lost: Jobs that cost something and brought no values.
        groups: Each with its shots over all rounds.
        shots: Of all groups and rounds.
        price: Of all rounds and of what was lost, None where one is not known or nobody pays.
        currency: Of the price.
        qpu_seconds: Of all rounds and of what was lost.
        basis: Of the standard error.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    value: float
    standard_error: float
    interval: tuple[float, float]
    precision: float
    reached: bool
    ended: PreciseEnd
    because: str
    rounds: tuple[Round, ...] = ()
    lost: tuple[LostRound, ...] = ()
    groups: tuple[tuple[Observable, int], ...] = ()
    shots: int = 0
    price: float | None = None
    currency: str = ""
    qpu_seconds: float = 0.0
    basis: str = (
        "variances of single shots over all rounds, each group by itself; rounds were ended by the standard error alone and never by "
        "the value; errors of the place are not in it"
    )


class PreciseStep(Contract):
    """What comes next: a round, or the end.

    Attributes:
        job: Of the next round.
        shots: Of each of its groups.
        copies: Of each of its groups: runs that it is made in.
        state: As it stands, with what was read.
        report: The end.
    """

    state: PreciseState
    job: EstimateJob | None = None
    shots: tuple[int, ...] = ()
    copies: tuple[int, ...] = ()
    report: PreciseReport | None = None


class PreciseCall(Contract):
    """Decide what comes next.

    Attributes:
        precise: As asked for.
        state: So far; None at the beginning.
        step: The round that was meant last; None at the beginning.
        ended: The id of its job; empty at the beginning.
        refusal: Why that had no answer; None where it has one.
    """

    precise: Precise
    state: PreciseState | None = None
    step: PreciseStep | None = None
    ended: str = ""
    refusal: ErrorDocument | None = None
