"""What the bits of a loop's problem mean, where it was asked in other terms: a tour of cities, or a program's variables."""

from typing import Annotated, Literal

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.problems import Finite, LinearProgram, Sense

MAX_TRANSLATED_BITS = 100
"""Of a problem that is put into bits: more than any simulator of states holds."""


class TourTerms(Contract):
    """A round trip: bit (c - 1)(n - 1) + t - 1 is 1 where city c is visited t-th after city 0, where every tour begins.

    Attributes:
        cities: Their names, as the file calls them.
        distances: From the city of a row to that of a column.
        penalty: What each broken rule costs: one city at a time, each city once.
    """

    kind: Literal["tour"] = "tour"
    cities: tuple[str, ...]
    distances: tuple[tuple[Finite, ...], ...]
    penalty: float


class WholeVariable(Contract):
    """A whole number in bits: `lower` and the weights of the bits that are 1.

    Attributes:
        name: As the program calls it.
        lower: Its lowest value.
        bits: (bit, weight).
    """

    name: str
    lower: int
    bits: tuple[tuple[int, int], ...]


class ProgramRow(Contract):
    """A constraint: `lower` <= the sum of weights times variables <= `upper`; None where there is no such bound.

    Attributes:
        name: As the program calls it.
        entries: (position of the variable, weight).
    """

    name: str
    lower: float | None
    upper: float | None
    entries: tuple[tuple[int, Finite], ...]


class ProgramTerms(Contract):
    """A program of whole numbers.

    Attributes:
        program: As it was asked.
        sense: Of the program.
        variables: In the program's order.
        costs: Of the objective, one per variable.
        offset: Constant of the objective.
        rows: Every constraint.
        slack_bits: Beyond those of the variables (count).
        penalty: What a constraint costs that is missed by one of its steps, and the square of so many steps for more.
    """

    kind: Literal["program"] = "program"
    program: LinearProgram = Field(repr=False)
    sense: Sense
    variables: tuple[WholeVariable, ...]
    costs: tuple[Finite, ...]
    offset: float
    rows: tuple[ProgramRow, ...]
    slack_bits: int
    penalty: float


Terms = Annotated[TourTerms | ProgramTerms, Field(discriminator="kind")]


class Reading(Contract):
    """How a problem's file was understood.

    Attributes:
        format: Of the file.
        index_base: What it calls its first node, variable or city; None for formats whose variables have names.
        digest: SHA-256 of its text.
        meaning: What was made of it, in a few words.
    """

    format: str
    index_base: int | None
    digest: str
    meaning: str
