"""What twins that rode with a job showed of the place that ran them, and what their ride cost."""

from qurable.contracts.base import Contract
from qurable.contracts.executions import Seconds


class TwinRecord(Contract):
    """One twin: the same shape as a circuit of the job, with an answer that is known.

    Attributes:
        circuit: The author's name for the circuit that it is a twin of.
        pub: Position of the pub whose first binding it has the shape of.
        because: Why none rode, or why nothing can be said of it; empty where all is well.
        isa: SHA-256 of the twin's ISA circuit, empty where none rode.
        shots: That it ran with, beside those of the job's own pubs.
        bits: How many it reads.
        checks: Sets of bits whose parity is certain without noise; of n bits and m checks 2^(n - m) outcomes are right.
        noticed: Share of the single errors behind two-qubit gates, each as likely as any, that break a check.
        right: Shots in which every check held.
        seconds: Of the QPU that its job was estimated to take, the share of the twin's executions; None where nobody pays.
        price: Of the most of them, None where nobody said one.
        currency: Of the price.
    """

    circuit: str
    pub: int
    because: str = ""
    isa: str = ""
    shots: int = 0
    bits: int = 0
    checks: int = 0
    noticed: float = 0.0
    right: int = 0
    seconds: Seconds | None = None
    price: float | None = None
    currency: str = ""
