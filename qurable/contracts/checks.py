"""What an answer has to stand up to before it is believed, and what came of it.

Bit order everywhere: the rightmost character of an outcome is bit 0 of its register, as in results.
"""

import math
import operator
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from qurable.contracts.base import Contract

MAX_CHECKS = 64
MAX_COMPARISONS = 8
"""Checks that compute something before they can look: baselines, distributions and solvers."""

MAX_OUTCOMES = 4096
FALSE_ALARM = 1e-3
"""How often the tests of one job may alarm together although nothing is wrong, unless the job says otherwise."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Outcome = Annotated[str, Field(pattern="^[01-]+$", max_length=4096)]


class Action(StrEnum):
    """What follows where a check fails, the gravest last."""

    NOTE = "note"
    DOWN_RANK = "down_rank"
    REFUSE = "refuse"


class _Check(Contract):
    then: Action = Action.REFUSE


class _OfRegister(_Check):
    pub: int | None = Field(default=None, ge=0)
    creg: str = ""
    at_most: Share = 0.0


class ForbiddenOutcomes(_OfRegister):
    """Outcomes that a right answer does not have.

    Attributes:
        outcomes: Bitstrings as wide as the register; `-` stands for 0 and 1.
        pub: Of this pub alone; None for every one.
        creg: Classical register; may be left out where there is only one.
        at_most: Share of the shots that may read so all the same, as noise would have it. With 0 a single shot fails
            the check; otherwise it fails where the count is too large for this share by the binomial law.
        then: What follows where it fails.
    """

    kind: Literal["forbidden"] = "forbidden"
    outcomes: tuple[Outcome, ...] = Field(min_length=1, max_length=MAX_OUTCOMES)


class HammingWeights(_OfRegister):
    """How many ones an outcome may have, as where particles are conserved; else as `ForbiddenOutcomes`.

    Attributes:
        weights: The numbers of ones that are allowed.
    """

    kind: Literal["hamming_weights"] = "hamming_weights"
    weights: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1, max_length=MAX_OUTCOMES)


class ExpectationRange(_Check):
    """Where expectation values must lie; what shot noise explains is allowed beyond it.

    Attributes:
        low: Least value, None for no such limit.
        high: Largest value, None for no such limit.
        pub: Of this pub alone; None for every one.
        element: Flat position in the pub's result; None for all.
        then: What follows where it fails.
    """

    kind: Literal["range"] = "range"
    low: Finite | None = None
    high: Finite | None = None
    pub: int | None = Field(default=None, ge=0)
    element: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        _check_range(self.low, self.high)
        return self


class LinearConstraint(_Check):
    """A weighted sum of the assignment's variables must lie in a range.

    Attributes:
        terms: (variable, weight); variables count from 0 in the problem's order.
        low: Least sum, None for no such limit.
        high: Largest sum, None for no such limit.
        then: What follows where it fails.
    """

    kind: Literal["constraint"] = "constraint"
    terms: tuple[tuple[Annotated[int, Field(ge=0)], Finite], ...] = Field(
        min_length=1, max_length=MAX_OUTCOMES
    )
    low: Finite | None = None
    high: Finite | None = None

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        _check_range(self.low, self.high)
        return self


class ExpectedDistribution(_Check):
    """What the counts of a register should come from.

    Attributes:
        probabilities: Of each outcome; those that are not named are impossible.
        pub: Position of the pub.
        element: Flat position among its bindings.
        creg: Classical register; may be left out where there is only one.
        within: Total variation that is allowed beyond chance, 0 to 1.
        then: What follows where it fails.
    """

    kind: Literal["distribution"] = "distribution"
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=1, max_length=MAX_OUTCOMES
    )
    pub: int = Field(default=0, ge=0)
    element: int = Field(default=0, ge=0)
    creg: str = ""
    within: Share = 0.0

    @field_validator("probabilities")
    @classmethod
    def _normalised(cls, probabilities: dict[str, float]) -> dict[str, float]:
        total = math.fsum(probabilities.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"the probabilities add up to {total:.9g}, not 1: name every outcome that can come"
            )
        if strange := [word for word in probabilities if not word or set(word) - {"0", "1"}]:
            raise ValueError(f"outcomes are words of 0 and 1, not {strange[:5]}")
        return probabilities


class Baseline(_Check):
    """Results that these are compared with.

    Attributes:
        against: `simulator` runs the same circuits without noise, `noisy_simulator` with the noise of the device that
            answered, where that is small enough; `earlier` takes the results of an earlier job of the project.
        job: For `earlier`: its id; empty takes the last job that the same place answered with the same circuits.
        within: What is allowed beyond chance: of counts the total variation, of estimates the difference.
        then: What follows where it fails.
    """

    kind: Literal["baseline"] = "baseline"
    against: Literal["simulator", "noisy_simulator", "earlier"]
    job: str = Field(default="", max_length=200)
    within: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _job_of_an_earlier_one(self) -> Self:
        if self.job and self.against != "earlier":
            raise ValueError(
                f"a job is named, and the baseline is a {self.against}: leave it out, or ask for 'earlier'"
            )
        return self


class ClassicalAnswer(_Check):
    """A solver's answer to the same problem, which this one is compared with.

    Attributes:
        gap: How much worse the objective may be, as a share of the solver's; beside it, three standard errors are
            allowed where the objective has one.
        then: What follows where it is worse.
    """

    kind: Literal["classical"] = "classical"
    gap: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    then: Action = Action.DOWN_RANK


Check = Annotated[
    ForbiddenOutcomes
    | HammingWeights
    | ExpectationRange
    | LinearConstraint
    | ExpectedDistribution
    | Baseline
    | ClassicalAnswer,
    Field(discriminator="kind"),
]


class TwinRide(Contract):
    """Twins of the job's circuits that run with them: the same shape with an answer that is known.

    Attributes:
        shots: Of each twin, at least; a provider's job has one number of shots, so a twin runs in whole multiples of
            its own circuit's, and at most 20 times as many.
    """

    shots: int = Field(default=1_000, ge=1, le=1_000_000)


class Checks(Contract):
    """What a job's answer has to stand up to, beyond what is always looked at; a bare list is `items`.

    Attributes:
        items: In the order in which they are told.
        level: How often all tests together may alarm although nothing is wrong; each gets an equal share.
        twin: Whether twins of its circuits ride along where there is noise; None for none.
    """

    items: tuple[Check, ...] = Field(default=(), max_length=MAX_CHECKS)
    level: float = Field(default=FALSE_ALARM, ge=1e-9, le=0.5)
    twin: TwinRide | None = Field(default=None, exclude_if=operator.not_)

    @model_validator(mode="before")
    @classmethod
    def _a_bare_list(cls, value: Any) -> Any:
        return {"items": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _few_comparisons(self) -> Self:
        compared = sum(
            isinstance(item, Baseline | ExpectedDistribution | ClassicalAnswer) for item in self.items
        )
        if compared > MAX_COMPARISONS:
            raise ValueError(
                f"{compared} of the checks are baselines, distributions or classical answers; at most {MAX_COMPARISONS} are computed "
                "for one job: split it"
            )
        return self


class Passed(StrEnum):
    """What came of a check; one that was not run says why, and speaks neither for nor against the answer."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class DistanceRecord(Contract):
    """A distance beside what chance alone would make it.

    Attributes:
        name: Of the distance.
        value: Of the results at hand.
        null_quantile: Quantile, at `level`, of what it would be if nothing were wrong.
        level: In (0, 1).
    """

    name: str = "total variation"
    value: float
    null_quantile: float
    level: float


class CheckResult(Contract):
    """What came of one check.

    Attributes:
        rule: Its name.
        outcome: What came of it.
        then: What follows where it fails.
        because: In one sentence, with the numbers that decided.
        statistic: Of its test, None where it is none.
        p_value: Probability of such a statistic, or a larger one, if nothing is wrong; None where it is no test.
        distance: From what it was compared with, None where there is none.
    """

    rule: str
    outcome: Passed
    then: Action
    because: str
    statistic: float | None = None
    p_value: float | None = None
    distance: DistanceRecord | None = None


class Ruling(StrEnum):
    """What is made of an answer."""

    ACCEPT = "accept"
    DOWN_RANK = "down_rank"
    REFUSE = "refuse"


class Verdict(Contract):
    """What is made of an answer, and by which rule.

    Attributes:
        ruling: Accept, down-rank or refuse.
        rule: The check that decided; empty where none failed that has a say.
        because: In one sentence.
        checks: Everything that was looked at, in order.
        level: How often all tests together alarm although nothing is wrong, at most.
        tests: How many checks are tests; a p-value below `level / tests` fails (Bonferroni's inequality).
    """

    ruling: Ruling
    rule: str = ""
    because: str
    checks: tuple[CheckResult, ...] = ()
    level: float = FALSE_ALARM
    tests: int = 0


def _check_range(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise ValueError("neither `low` nor `high` is given: a range has one of them at least")
    if low is not None and high is not None and low > high:
        raise ValueError(f"low is {low:g} and high is {high:g}: no value lies between")
