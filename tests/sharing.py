"""Jobs that wait for each other: a circuit that tells whose answer it is, and a way to have them meet that no clock upsets."""

from collections.abc import Sequence
from decimal import Decimal
from math import pi
from typing import Any

from qurable.client import Job
from qurable.contracts.reports import JobReport
from qurable.requests import AnyJob, sample
from tests.paid import DEVICE, Paid

LONG = "600s"
SHORT = "0.2s"

PATTERN = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
    + "".join(f"input float t{bit};\n" for bit in range(4))
    + "qubit[4] q;\nbit[4] c;\n"
    + "".join(f"rx(t{bit}) q[{bit}];\n" for bit in range(4))
    + "c = measure q;\n"
)
"""Angles of 0 and pi write a number that every shot of a device without noise reads."""


def writing(number: int, *, shots: int = 100, window: str | None = LONG, **options: Any) -> AnyJob:
    """A job whose every shot reads a number below 16."""
    values = {f"t{bit}": pi * (number >> bit & 1) for bit in range(4)}
    return sample((PATTERN, values), **{"shots": shots, "backend": DEVICE, "batch_window": window, **options})


def read(report: JobReport) -> int:
    """The number that every shot of a report has."""
    (outcome,) = report.counts()
    return int(outcome, 2)


def exact(numbers: Sequence[float]) -> Decimal:
    """Their sum, as the decimal numbers that they are written as."""
    return sum((Decimal(str(number)) for number in numbers), Decimal(0))


async def together(paid: Paid, *work: AnyJob) -> list[Job]:
    """Start jobs so that they are one group: the last has a short window, and comes when all others wait."""
    started = [await paid.service.qurable.submit(job, batch_window=LONG) for job in work[:-1]]
    for one in started:
        await paid.until_ended(one, "join_group-0", "done")
    return [*started, await paid.service.qurable.submit(work[-1], batch_window=SHORT)]
