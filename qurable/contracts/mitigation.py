"""Mitigation: what a job asks for, and what came of it for measured counts.

Bit order: the rightmost character of an outcome is bit 0 of its register, as in results.
"""

import math
import zlib
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract
from qurable.contracts.fallback import Age

READOUT = "readout"
"""The word alone asks for it, with the calibration that costs nothing."""

ZNE = "zne"
"""The word alone asks for zero-noise extrapolation as it is by default."""

CALIBRATION_SHOTS = 8_000
"""At a readout error of 2 % they leave a standard error of 0.2 %."""

MOST_FACTORS = 10
LARGEST_FACTOR = 99.0

_PARAMETERS = {"linear": 2, "quadratic": 3, "exponential": 2}
"""Of each fit: fewer points do not determine it."""


class ZeroNoise(Contract):
    """Zero-noise extrapolation: the ISA circuit is folded, run at several noise factors, and the values are extrapolated.

    Attributes:
        factors: How many times the noise is to be what it is, ascending, the first of them 1: the circuit as it is. One
            that is no odd whole number folds a part of the circuit once more, and comes out as near as its gates allow.
        extrapolator: What is fitted to values by factor, each weighted by its shot noise. `exponential` decays to the
            value of the fully mixed state, which is the observable's coefficient of the identity.
        folding: `global` runs the whole circuit, its inverse, and again the circuit; `gates` does so with each two-qubit
            gate by itself.
    """

    factors: tuple[float, ...] = (1.0, 3.0, 5.0)
    extrapolator: Literal["linear", "quadratic", "exponential"] = "linear"
    folding: Literal["global", "gates"] = "global"

    @model_validator(mode="after")
    def _factors_determine_the_fit(self) -> Self:
        factors, least = self.factors, self.least_points
        if not all(1 <= factor <= LARGEST_FACTOR for factor in factors):
            raise ValueError(
                f"noise factors {list(factors)} must be from 1 to {LARGEST_FACTOR:g}: noise can only be added"
            )
        if list(factors) != sorted(set(factors)):
            raise ValueError(f"noise factors {list(factors)} must ascend, and none be named twice")
        if not least <= len(factors) <= MOST_FACTORS:
            raise ValueError(
                f"a {self.extrapolator} fit takes {least} to {MOST_FACTORS} noise factors, {len(factors)} are given: "
                f"{'give more, or ask for a linear fit' if len(factors) < least else 'give fewer'}"
            )
        if factors[0] != 1:
            raise ValueError(
                f"the first noise factor must be 1, the circuit as it is, and not {factors[0]:g}: its values are the raw answer"
            )
        return self

    @property
    def least_points(self) -> int:
        """Fewest noise factors that determine the fit."""
        return _PARAMETERS[self.extrapolator]


class Mitigation(Contract):
    """How a job is mitigated; the bare words `readout` and `zne` stand for `{"readout": "reported"}` and `{"zne": {}}`.

    Attributes:
        readout: `reported` corrects counts for the readout errors that the device reported when the circuits were compiled
            for it; `measured` for those that calibration circuits measured there, of this job or of another; `none` leaves
            them as they were read.
        max_age: An older calibration is not used: one that is measured is measured anew, for one that is reported the
            counts stay as they were read, with a warning. None for any age.
        calibration_shots: Times that a calibration prepares each qubit, half of them in 0 and half in 1.
        otherwise: Where no measured calibration can be had, take the `reported` one, or `skip` the correction.
        zne: Zero-noise extrapolation of estimates, where there is noise; None for none.
    """

    readout: Literal["none", "reported", "measured"] = "none"
    max_age: Age | None = None
    # Left out where they are not said: a job that says neither has the digest that it always had.
    calibration_shots: int = Field(
        default=CALIBRATION_SHOTS, ge=100, le=1_000_000, exclude_if=lambda value: value == CALIBRATION_SHOTS
    )
    otherwise: Literal["reported", "skip"] = Field(
        default="reported", exclude_if=lambda value: value == "reported"
    )
    zne: ZeroNoise | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="before")
    @classmethod
    def _by_its_name(cls, value: Any) -> Any:
        if value == ZNE:
            return {"zne": {}}
        return {"readout": "reported"} if value == READOUT else value

    @model_validator(mode="after")
    def _age_of_something(self) -> Self:
        if self.max_age is not None and self.readout == "none":
            raise ValueError(
                "max_age bounds the age of a calibration, and none is used: ask for readout 'reported' or 'measured'"
            )
        if self.readout != "measured" and (
            self.calibration_shots != CALIBRATION_SHOTS or self.otherwise != "reported"
        ):
            raise ValueError(
                "calibration_shots and otherwise are about a calibration that is measured: ask for readout 'measured', or leave them out"
            )
        return self


class QuasiDistributions(Contract):
    """What mitigation made of a sampled pub: for each element of its shape, flat in C order, a quasi-distribution.

    Attributes:
        weights: By outcome, written as `counts()` does; those that were read and no others. Weights may be negative and add
            up to 1.
        overheads: Of each element, gamma squared as M3 estimates it: so many times the shots give the error that
            readings without errors would have.
        qubits: Physical qubit that each classical bit was read from, by the bit's index in the circuit.
        left_out: Those of them whose readings stay as they were.
    """

    weights: tuple[dict[str, float], ...]
    overheads: tuple[float, ...]
    qubits: dict[int, int] = Field(default_factory=dict)
    left_out: tuple[int, ...] = ()

    def standard_error(self, index: int, shots: int) -> float:
        """Most that the standard error of a mean over an element's weights can be, of values in [-1, 1]: gamma / sqrt(shots)."""
        return math.sqrt(self.overheads[index] / shots)

    @property
    def size(self) -> int:
        """Roughly its bytes as a document."""
        return sum(len(word) + 24 for element in self.weights for word in element)


class MitigatedPubs(Contract):
    """What is kept of a job's mitigation: one entry for each of its pubs."""

    pubs: tuple[QuasiDistributions, ...]

    def pack(self) -> bytes:
        """Deflated JSON."""
        return zlib.compress(self.model_dump_json().encode())

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """What was packed."""
        return cls.read(zlib.decompress(body))


class MitigationRecord(Contract):
    """How a job's counts were mitigated, or why they were not.

    Attributes:
        readout: What was used: the `reported` calibration, or one that was `measured`; what was asked where nothing was.
        instead: Why the reported calibration was used where a measured one was asked for.
        skipped: Why the counts stay as they were read; empty where they were mitigated.
        method: The library that did it, and its version.
        calibration: SHA-256 of the document that holds the readout errors: the target's, or the calibration's.
        calibrated: When the device's properties were last updated, or the calibration was measured (UTC); None where nobody
            says.
        calibration_shots: Times that each qubit was prepared, half in 0 and half in 1; None where nothing was measured.
        rode: Whether the calibration was measured by circuits that rode with this job.
        qpu_seconds: Most that these circuits were estimated to take of the job's; None where none rode or nobody pays.
        price: Of them, None where nobody said one.
        currency: Of the price.
        age_seconds: Since then, when the counts were mitigated (s).
        symmetric: Whether readings of 0 and 1 were taken to err alike, since measurements were twirled.
        overhead: The largest of all pubs and elements, gamma squared.
        standard_error: The largest bound, gamma / sqrt(shots).
        left_out: Physical qubits whose readings stay as they were, having no error reported below 0.5.
    """

    readout: str
    instead: str = ""
    skipped: str = ""
    method: str = ""
    calibration_shots: int | None = None
    rode: bool = False
    qpu_seconds: float | None = None
    price: float | None = None
    currency: str = ""
    calibration: str | None = None
    calibrated: datetime | None = None
    age_seconds: float | None = None
    symmetric: bool = False
    overhead: float | None = None
    standard_error: float | None = None
    left_out: tuple[int, ...] = ()

    def __str__(self) -> str:
        """In one line, for reports."""
        if self.skipped:
            return f"not mitigated: {self.skipped}"
        age = "" if self.age_seconds is None else f" of {self.age_seconds / 3600:.1f} h before"
        shots = "" if self.calibration_shots is None else f" of {self.calibration_shots:,} shots"
        age = shots + age
        return (
            f"mitigated by {self.method} with the {self.readout} calibration{age}, overhead {self.overhead:.3g}, standard errors "
            f"at most {self.standard_error:.2g}"
        )
