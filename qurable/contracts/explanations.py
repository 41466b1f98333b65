"""Why an answer is what it is: what was asked, what ran, how far it is off, and what would make it better."""

import operator
from enum import StrEnum

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.executions import Seconds
from qurable.contracts.problems import Sense
from qurable.contracts.targets import AnswerKind


class Explanation(Contract):
    """How an answer came about, each part in plain sentences made of what was recorded.

    Attributes:
        problem: What was asked.
        circuit: What was run, or what answered without a circuit.
        backend: Where, and why there.
        shots: How much was measured.
        checks: What was looked at.
        accepted: Why the answer was accepted, or down-ranked.
        twins: How much of it twins that rode along confirm; empty where none was asked for.
    """

    problem: str
    circuit: str
    backend: str
    shots: str
    checks: str
    accepted: str
    twins: str = Field(default="", exclude_if=operator.not_)


class ErrorSource(StrEnum):
    """Where an error comes from."""

    SHOT_NOISE = "shot_noise"
    GATES = "gates"
    READOUT = "readout"
    TRUNCATION = "truncation"
    MITIGATION = "mitigation"


class ErrorPart(Contract):
    """One part of an error budget; parts of different units are never added up.

    Attributes:
        source: Where it comes from.
        value: None where nobody can say.
        unit: What the value is, in words.
        basis: What it was computed from.
        pub: The pub it speaks of, that with the largest; None for the answer as a whole.
    """

    source: ErrorSource
    value: float | None
    unit: str
    basis: str
    pub: int | None = None


class Remedy(Contract):
    """What would halve one part of the budget, and what that takes.

    Attributes:
        source: The part.
        what: What to do.
        seconds: It takes longer by this, as far as it can be told (s).
        qpu_seconds: It takes more of the QPU, of a place that costs money.
        price: Of the most of these.
        currency: Of the price.
        basis: What that was computed from.
    """

    source: ErrorSource
    what: str
    seconds: float | None = None
    qpu_seconds: Seconds | None = None
    price: float | None = None
    currency: str = ""
    basis: str


class ErrorBudget(Contract):
    """How far an answer is off, by source.

    Attributes:
        parts: One per source that is known of.
        remedies: What would halve a part: those of the largest one first, and of these the cheapest first.
    """

    parts: tuple[ErrorPart, ...] = ()
    remedies: tuple[Remedy, ...] = ()


class Contender(Contract):
    """One of two answers that are held against each other.

    Attributes:
        name: Who gave it.
        kind: What sort of place that is.
        ran: Whether it ran; otherwise its figures are what the route expected.
        seconds: It took, or would take (s).
        qpu_seconds: It took, of a place that costs money.
        price: It cost, None where nobody said.
        currency: Of the price.
        quality: The objective, or the largest error of a value; None where it has none.
        interval: Lowest and highest that the quality can be, as the evidence allows.
        sense: Which objective is the better one, None where `quality` is an error.
        basis: What the quality is, and where the interval comes from.
    """

    name: str
    kind: AnswerKind
    ran: bool
    seconds: float | None = None
    qpu_seconds: float | None = None
    price: float | None = None
    currency: str = ""
    quality: float | None = None
    interval: tuple[float, float] | None = None
    sense: Sense | None = None
    basis: str = Field(default="")
