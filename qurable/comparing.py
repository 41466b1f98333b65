"""Comparisons and hedged runs from a client: start one, watch it, attach to it by id from anywhere."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client

from qurable.contracts.base import explain
from qurable.contracts.comparisons import Comparison as ComparisonContract
from qurable.contracts.comparisons import (
    ComparisonHead,
    ComparisonReport,
    ComparisonState,
    ComparisonStatus,
    LegReport,
    LegStatus,
)
from qurable.contracts.fallback import Age
from qurable.contracts.jobs import AUTO
from qurable.contracts.reports import JobReport
from qurable.contracts.stages import ReadRequest
from qurable.endings import from_error
from qurable.errors import NoWorker, RequestRejected
from qurable.names import COMPARISON, Attribute
from qurable.requests import as_job
from qurable.temporal.following import Read, ask, cancel, changes, end_of
from qurable.temporal.starting import Start, start_once

_AGE: TypeAdapter[timedelta] = TypeAdapter(Age)


@dataclass(frozen=True)
class Comparison:
    """A comparison or hedged run that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> ComparisonStatus:
        """Where it stands; also where no worker is there to tell.

        Raises:
            JobNotFound: Nobody knows it.
        """
        try:
            found = await ask(self._temporal, self.id, "progress", ComparisonStatus)
        except NoWorker:
            message = "no worker answers; the comparison waits for one"
            return ComparisonStatus(id=self.id, state=ComparisonState.PREPARING, message=message)
        return _status_of(await self.stored()) if found is None else found

    def progress(self) -> AsyncIterator[ComparisonStatus]:
        """Where it stands, each time that changes, until it ends."""
        return changes(self.status, lambda: end_of(self._temporal, self.id, ComparisonReport))

    async def report(self, *, wait: timedelta | None = None) -> ComparisonReport:
        """Its report, waiting until it has one: until every place has ended, and what was withdrawn is confirmed.

        Args:
            wait: Give up waiting after this long; the comparison goes on.

        Raises:
            JobFailed: No place has answered, or it was refused; `stored` has the rows.
            JobCancelled: It was cancelled; `stored` has what its places had by then.
            JobNotFound: Nobody knows it.
            TimeoutError: The wait is over.
        """
        found = await end_of(self._temporal, self.id, ComparisonReport, wait=wait)
        if found is None:
            found = await self.stored()  # Temporal has forgotten it; the store has not
        if found.error is not None:
            raise from_error(self.id, found.error)
        return found

    async def answer(self) -> JobReport:
        """The report of the job whose answer was chosen; of a hedged run as soon as it is, while losers are withdrawn.

        Raises:
            RequestRejected: No one place's answer was chosen: the comparison's own report has what was decided.
            JobFailed: No place has answered.
            JobCancelled: It was cancelled.
        """
        async for found in self.progress():
            if found.taken:
                taken = next(leg for leg in found.legs if leg.place == found.taken)
                return await self._job_report(taken.job_id)
        decided = (await self.report()).decided
        if decided is None or not decided.job_id:
            raise RequestRejected(
                f"no single place's answer was chosen in {self.id!r}: its report says what was decided"
            )
        return await self._job_report(decided.job_id)

    async def cancel(self) -> None:
        """Cancel it: every place's job is withdrawn, and `report` returns once all are.

        Raises:
            JobNotFound: Nobody knows it.
        """
        if not await cancel(self._temporal, self.id):
            await self.status()  # ended, or unknown: the difference matters

    async def stored(self) -> ComparisonReport:
        """Its report from the store, also where it failed or was cancelled.

        Raises:
            JobNotFound: The store has none, or it has not ended.
        """
        report: ComparisonReport = await self._read(
            ReadRequest(what="comparison", job_id=self.id), ComparisonReport
        )
        return report

    async def _job_report(self, job_id: str) -> JobReport:
        report: JobReport = await self._read(ReadRequest(what="report", job_id=job_id), JobReport)
        return report


def as_comparison(work: Any, on: Sequence[str], *, after: Any = None, **options: Any) -> ComparisonContract:
    """A comparison of what people have at hand.

    Args:
        work: A job, or something to sample.
        on: The places.
        after: For a hedged run: how long a place has before the next one is asked too.
        **options: Other fields of the comparison, and of the job.

    Raises:
        RequestRejected: Naming the field.
    """
    fields: dict[str, Any] = {name: options.pop(name) for name in ("decide", "classical") if name in options}
    legs_fall_back = options.pop("fallback", False)
    if isinstance(legs_fall_back, bool):
        fields["fallback"] = legs_fall_back
    else:
        options["fallback"] = legs_fall_back
    if isinstance(on, str):
        raise RequestRejected(f"`on` is a list of places, such as ['aer', 'fake_torino'], not {on!r}")
    job = as_job(work, **options)
    try:
        if after is not None:
            fields["after"] = _AGE.validate_python(after)
        return ComparisonContract(job=job.model_copy(update={"backend": AUTO}), on=tuple(on), **fields)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the comparison")) from None


def _status_of(report: ComparisonReport) -> ComparisonStatus:
    return ComparisonStatus(
        id=report.id,
        state=report.state,
        legs=tuple(map(_leg_status, report.legs)),
        taken=report.decided.place if report.decided is not None else "",
    )


def _leg_status(leg: LegReport) -> LegStatus:
    because = leg.because if leg.error is None else leg.error.message
    return LegStatus(
        place=leg.place,
        job_id=leg.job_id,
        state="not started" if leg.state is None else "ended",
        good=leg.good,
        because=because,
    )


async def start_comparison(temporal: Client, read: Read, comparison: ComparisonContract) -> Comparison:
    """Start a comparison, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to another request, or to other places.
        ServiceUnreachable: Temporal does not answer.
    """
    head = ComparisonHead.of(comparison)
    places = ",".join(comparison.places)
    what = "hedged run" if comparison.hedged else "comparison"
    start = Start(
        COMPARISON,
        head.id,
        [head, comparison, None],
        head.project,
        f"{what} · {head.kind} on {', '.join(comparison.places)}",
        what,
        head.body_hash,
        other="another request, or to other places",
        priority=comparison.job.priority,
        words={Attribute.BACKEND: places, Attribute.STAGE: ComparisonState.PREPARING},
    )
    await start_once(temporal, start)
    return Comparison(head.id, temporal, read)
