"""Readout errors that calibration circuits measured."""

from datetime import datetime

from qurable.contracts.base import Contract


class MeasuredErrors(Contract):
    """What a calibration found.

    Attributes:
        place: Where, and how readings are made there.
        target: SHA-256 of the target document that the circuits were made for.
        measured_at: When the counts came in (UTC).
        shots: Times that each qubit was prepared, half of them in 0 and half in 1.
        errors: By physical qubit, the probabilities to read 1 after preparing 0, and 0 after preparing 1.
    """

    place: str
    target: str
    measured_at: datetime
    shots: int
    errors: dict[int, tuple[float, float]]
