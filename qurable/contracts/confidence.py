"""How far an answer can be trusted: a number with its kind and where it comes from, never a made-up one."""

from enum import StrEnum

from qurable.contracts.base import Contract


class ConfidenceKind(StrEnum):
    """What the number of a confidence record means; numbers of two kinds are never compared."""

    STANDARD_ERROR = "standard_error"
    SURVIVAL_ESTIMATE = "survival_estimate"
    TRUNCATION_ESTIMATE = "truncation_estimate"
    TRUNCATION_BOUND = "truncation_bound"
    OPTIMALITY_GAP = "optimality_gap"
    TWIN_CHECK = "twin_check"


class Confidence(Contract):
    """How far an answer, or the least certain value of one pub, can be trusted.

    Attributes:
        kind: What `value` means.
        value: For a standard error, truncation or gap the smaller the better; for survival and twin check the larger.
        interval: Lowest and highest that what it speaks of can be, as the evidence allows; None where it says nothing
            of them.
        basis: What it was computed from, in one sentence.
        pub: Position of the pub it speaks of, None for the answer as a whole.
        element: Flat position in the pub's result of the value it speaks of; no other of the pub is less certain.
            None where it speaks of all.
    """

    kind: ConfidenceKind
    value: float
    interval: tuple[float, float] | None = None
    basis: str
    pub: int | None = None
    element: int | None = None


class Survival(Contract):
    """How likely a circuit runs on a device without an error, as it was compiled; not the answer's quality.

    Attributes:
        value: Product of the parts, 0 to 1.
        gates: Of one minus the errors of its gates, on the qubits where they are.
        readout: Of one minus the errors of its readings.
        idle: Of the average fidelities of its idle windows by T1 and T2; None where the device reports no times.
        at_most: Whether it is the most that it can be, since what runs is decided while it runs.
    """

    value: float
    gates: float
    readout: float
    idle: float | None = None
    at_most: bool = False
