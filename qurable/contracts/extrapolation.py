"""Values at zero noise, extrapolated from the same circuit at several noise factors: of each pub, and for a report."""

import zlib
from typing import Literal, Self

from pydantic import Field

from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import Contract
from qurable.contracts.executions import Seconds


class ExtrapolatedValues(Contract):
    """What extrapolation made of an estimated pub; lists are flat in C order of the pub's shape.

    Attributes:
        factors: Noise factors as they came out, the first of them 1: how many times the gates of the circuit were run.
        measured: Of each element, its value at every factor.
        errors: Of each element, the standard error at every factor, from shots.
        evs: Values at zero noise; the raw value of an element whose fit is worthless.
        stds: Standard errors of `evs`: what the shots at all factors leave of the fit's value at zero. That the fit has the
            right form is taken for granted.
        inflation: Of each element, the variance at zero noise over that of the raw value.
        misfit: Of each element, how likely its points are to lie so far off the fit by chance; 1 where they determine it.
        worthless: By element, why its raw value stands.
        error_origin: Of `stds`.
    """

    factors: tuple[float, ...]
    measured: tuple[tuple[float, ...], ...]
    errors: tuple[tuple[float, ...], ...]
    evs: FloatArray
    stds: FloatArray
    inflation: tuple[float, ...]
    misfit: tuple[float, ...]
    worthless: dict[int, str] = Field(default_factory=dict)
    error_origin: Literal["extrapolation"] = "extrapolation"

    @property
    def size(self) -> int:
        """Roughly its bytes as a document."""
        return 24 * len(self.evs.values) * (2 * len(self.factors) + 4)


class ExtrapolatedPubs(Contract):
    """What is kept of a job's extrapolation: one entry for each of its pubs, None for one that stays as it was measured."""

    pubs: tuple[ExtrapolatedValues | None, ...]

    def pack(self) -> bytes:
        """Deflated JSON."""
        return zlib.compress(self.model_dump_json().encode())

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """What was packed."""
        return cls.read(zlib.decompress(body))


class ExtrapolationRecord(Contract):
    """How a job's values were extrapolated to zero noise, or why they were not.

    Attributes:
        extrapolator: As it was asked for.
        folding: As it was asked for.
        asked: Noise factors as they were asked for.
        factors: As they came out for each circuit that was folded, by the author's name for it.
        skipped: Why values stay as they were measured; empty where one was extrapolated.
        executions: How many times the shots of the job's own circuits were run in all.
        inflation: The largest of all elements that were extrapolated, in variance.
        values: How many values there are.
        worthless: How many of them stay as they were measured, since their fit says less than they do.
        misfits: How many points lie off their fit as they would in one of a thousand by chance.
        seconds: Of the QPU, what the folded circuits were estimated to take of the job; None where nobody pays.
        price: Of the most of them, None where nobody said one.
        currency: Of the price.
        basis: Of the standard errors.
    """

    extrapolator: str
    folding: str
    asked: tuple[float, ...]
    factors: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    skipped: str = ""
    executions: float = 1.0
    inflation: float | None = None
    values: int = 0
    worthless: int = 0
    misfits: int = 0
    seconds: Seconds | None = None
    price: float | None = None
    currency: str = ""
    basis: str = (
        "weighted least squares over the shot noise of every factor; that the fit has the right form, and what the noise factor does "
        "not scale, such as readout errors, is in no error bar"
    )

    def __str__(self) -> str:
        """In one line, for reports."""
        if self.skipped:
            return f"not extrapolated to zero noise: {self.skipped}"
        worthless = f", {self.worthless} of {self.values} left raw" if self.worthless else ""
        inflation = "" if self.inflation is None else f", variance times {self.inflation:.3g} at most"
        price = "" if self.price is None else f", {self.price:.2f} {self.currency} at most"
        return (
            f"{self.extrapolator} to zero noise by {self.folding} folding, {self.executions:g} times the shots{inflation}{worthless}"
            f"{price}"
        )
