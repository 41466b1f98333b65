"""Mitigation of measured counts after a run: what a job asks for, and what came of it.

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


class Mitigation(Contract):
    """How the counts of a sampled job are mitigated; the bare word `readout` stands for `{"readout": "reported"}`.

    Attributes:
        readout: `reported` corrects counts for the readout errors that the device reported when the circuits were compiled
            for it; `none` leaves them as they were read.
        max_age: An older calibration is not used: the counts stay as they were read, with a warning. None for any age.
    """

    readout: Literal["none", "reported"] = "none"
    max_age: Age | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_its_name(cls, value: Any) -> Any:
        return {"readout": "reported"} if value == READOUT else value

    @model_validator(mode="after")
    def _age_of_something(self) -> Self:
        if self.max_age is not None and self.readout == "none":
            raise ValueError(
                "max_age bounds the age of a calibration, and none is used: ask for readout 'reported'"
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
        readout: What was asked.
        skipped: Why the counts stay as they were read; empty where they were mitigated.
        method: The library that did it, and its version.
        calibration: SHA-256 of the target document that holds the readout errors.
        calibrated: When the device's properties were last updated (UTC), None where nobody says.
        age_seconds: Since then, when the counts were mitigated (s).
        symmetric: Whether readings of 0 and 1 were taken to err alike, since measurements were twirled.
        overhead: The largest of all pubs and elements, gamma squared.
        standard_error: The largest bound, gamma / sqrt(shots).
        left_out: Physical qubits whose readings stay as they were, having no error reported below 0.5.
    """

    readout: str
    skipped: str = ""
    method: str = ""
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
        return (
            f"mitigated by {self.method} with the {self.readout} calibration{age}, overhead {self.overhead:.3g}, standard errors "
            f"at most {self.standard_error:.2g}"
        )
