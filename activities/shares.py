"""What a job's part of a shared provider job is, and what its report says of having shared, or not."""

from collections.abc import Iterator, Sequence

from activities import steps
from activities.checkpoint import Documents
from activities.documents import SubmittedDocument
from qurable.contracts.reports import JobReport
from qurable.contracts.sharing import GroupEnd, Joined, Share
from store.groups import Seat

_PER_UNIT = 1_000_000_000
"""Parts are whole billionths of a second, and of the currency."""


def part_of(total: float, before: int, own: int, whole: int) -> float:
    """One's part of a sum that is divided by weights: the parts of all add up to it, to the billionth.

    Args:
        total: To be divided, 0 or more.
        before: Weight of those who stand before.
        own: Weight of whose part it is.
        whole: Weight of all together.
    """
    billionths = round(total * _PER_UNIT)
    return (billionths * (before + own) // whole - billionths * before // whole) / _PER_UNIT


def share_of(seats: Sequence[Seat], tag: str, report: JobReport, submitted: SubmittedDocument) -> Share:
    """A seat's part of what its group cost.

    Args:
        seats: Of the group, in order; those that have left paid for theirs too.
        tag: Of the seat.
        report: Of the group's job, or what is known of it where it left none.
        submitted: What the group had sent.
    """
    at = next(number for number, seat in enumerate(seats) if seat.tag == tag)
    before = sum(seat.executions for seat in seats[:at])
    whole = sum(seat.executions for seat in seats)
    own = seats[at].executions
    return Share(
        group=report.id,
        backend=submitted.job.backend,
        members=len(seats),
        part=own / whole,
        submission=submitted.job.key.tag,
        provider_jobs=tuple(submitted.job.handle.split(",")),
        run_seconds=part_of(report.durations.run, before, own, whole),
        qpu_seconds=part_of(report.qpu_seconds, before, own, whole),
        price=None if report.price is None else part_of(report.price, before, own, whole),
        currency=report.currency,
    )


def warnings(documents: Documents, rungs: int) -> Iterator[str]:
    """Why a job that was ready to share went alone."""
    for rung in range(rungs):
        joined = documents.find(steps.join_group(rung), Joined)
        ended = documents.find(steps.await_group(rung), GroupEnd)
        because = (joined.alone if joined is not None else "") or (ended.because if ended is not None else "")
        if because:
            yield f"it shared no provider job, although it has a batch_window: {because}"
