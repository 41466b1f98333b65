"""The jobs of a schedule's fire: made before it starts them, and put together when they have ended."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from activities.boundary import speaks_temporal
from activities.exports import add_rows, path_of, row_of
from activities.record import INLINE_BYTES
from activities.reporting import results_of
from qurable.contracts.base import explain
from qurable.contracts.fires import (
    Due,
    DueCall,
    DueJob,
    Fire,
    FiredJob,
    FireReport,
    TallyCall,
)
from qurable.contracts.jobs import JobHead, parse_request_text, read_request
from qurable.contracts.reports import JobReport, State
from qurable.contracts.schedules import MAX_JOBS_OF_A_FIRE, QueryInput
from qurable.errors import InternalError, JobCancelled, RequestRejected
from qurable.names import Activity
from qurable.requests import AnyJob
from store import fires, jobs
from store.artifacts import ArtifactKind
from store.database import Database
from store.fires import AGAIN, MOMENT, PLACE, SCHEDULE
from store.shelf import StoreShelf

_MOST_LABELS = 28
"""Of a job that is run again: four more are the schedule's."""


class Fires:
    """Makes the jobs of fires, and puts their ends together.

    Args:
        database: The store.
        shelf: Where artifacts are.
        exports: Folder that exports are written below.
        search_attributes: Whether the server knows this project's.
    """

    def __init__(
        self, database: Database, shelf: StoreShelf, exports: Path, *, search_attributes: bool
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._exports = exports
        self._search_attributes = search_attributes

    @activity.defn(name=Activity.DUE)
    @speaks_temporal
    async def due(self, call: DueCall, documents: RawValue) -> Due:
        """The jobs of a fire, each with its key; those that it has started before, when its moment was fired, stand.

        Raises:
            RequestRejected: A document is no job, or one of another project.
        """
        if call.spec.export:
            path_of(self._exports, call.spec.export)  # refused before anything runs, not after
        standing = await self._database.read(fires.standing, call.fire)
        if standing.complete:
            requests = [standing.requests[position] for position in sorted(standing.requests)]
            return self._due([await self._kept(request) for request in requests])
        made = await self._made(call, documents)
        number = standing.number or len(made)
        due = []
        for position in range(1, number + 1):
            if position in standing.requests:
                due.append(await self._kept(standing.requests[position]))
            elif position <= len(made):
                due.append(await self._new(call.fire, made[position - 1], position, number))
        return self._due(due)

    @activity.defn(name=Activity.DUE_REQUEST)
    @speaks_temporal
    async def due_request(self, request: str) -> RawValue:
        """The request of a job that is due, as the job's workflow is given it."""
        body = await self._shelf.artifact(request)
        return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=body))

    @activity.defn(name=Activity.TALLY_FIRE)
    @speaks_temporal
    async def tally_fire(self, call: TallyCall) -> FireReport:
        """How the jobs of a fire ended; their rows are added to the export, none of them twice.

        Raises:
            RequestRejected: The export cannot be written.
        """
        reports = [await self._report(call, job_id) for job_id in call.jobs]
        rows = 0
        if call.export:
            lines = [
                row_of(call.fire, position, report, await self._results(report))
                for position, report in enumerate(reports, start=1)
            ]
            rows = await asyncio.to_thread(add_rows, path_of(self._exports, call.export), lines)
        return _put_together(call, reports, rows)

    def _due(self, due: Sequence[DueJob]) -> Due:
        return Due(jobs=tuple(due), search_attributes=self._search_attributes)

    async def _kept(self, request: str) -> DueJob:
        """A job that the fire has started before."""
        return DueJob(head=JobHead.of(read_request(await self._shelf.artifact(request))), request=request)

    async def _new(self, fire: Fire, document: dict[str, Any], position: int, number: int) -> DueJob:
        job = _job_of(fire, document, position, number)
        request = await self._shelf.keep_artifact(ArtifactKind.REQUEST, job.model_dump_json().encode())
        return DueJob(head=JobHead.of(job), request=request)

    async def _made(self, call: DueCall, documents: RawValue) -> list[dict[str, Any]]:
        """Documents of the jobs, in their order."""
        if isinstance(call.spec.input, QueryInput):
            return await self._again(call.fire, call.spec.input)
        data = documents.payload.data
        value = json.loads(data) if data else []  # a hook that returns None has nothing to run
        made = value if isinstance(value, list) else [value]
        if len(made) > MAX_JOBS_OF_A_FIRE:
            raise RequestRejected(
                f"a fire starts at most {MAX_JOBS_OF_A_FIRE} jobs, and these are {len(made)}: put several pubs into a job"
            )
        for position, document in enumerate(made, start=1):
            if not isinstance(document, dict):
                raise RequestRejected(
                    f"job {position} of schedule {call.fire.schedule!r} is {json.dumps(document)[:80]}: a job is a JSON object"
                )
        return made

    async def _again(self, fire: Fire, query: QueryInput) -> list[dict[str, Any]]:
        made = []
        for job_id, request, labels in await self._database.read(fires.matching, fire, query):
            document = json.loads(await self._shelf.artifact(request))
            kept = dict(list(labels.items())[:_MOST_LABELS])
            made.append({**document, "labels": {**kept, AGAIN: job_id}})
        return made

    async def _report(self, call: TallyCall, job_id: str) -> JobReport:
        """A job's report; of one that has none of its own, what its workflow ended with."""
        kept = await self._database.read(jobs.find_report, job_id)
        error = call.errors.get(job_id)
        if kept is not None and (error is None or kept.error is not None):
            return kept
        error = error or InternalError(f"job {job_id!r} ended without a report").document()
        state = State.CANCELLED if error.code == JobCancelled.__name__ else State.FAILED
        return JobReport(id=job_id, project=call.fire.project, kind="", state=state, asked="", error=error)

    async def _results(self, report: JobReport) -> list[Any]:
        """Results of a job, where they are small."""
        if report.error is not None or report.results_in_store > INLINE_BYTES:
            return []
        return [
            result
            for result in await results_of(self._database, self._shelf, report.id)
            if result is not None
        ]


def _job_of(fire: Fire, document: dict[str, Any], position: int, number: int) -> AnyJob:
    """The job of a fire's position.

    Raises:
        RequestRejected: It is not acceptable, or belongs to another project: its budgets are not this schedule's.
    """
    project = document.get("project", fire.project)
    if project != fire.project:
        raise RequestRejected(
            f"job {position} of schedule {fire.schedule!r} is of project {project!r}: its jobs are of project {fire.project!r}"
        )
    marks = {SCHEDULE: fire.schedule, MOMENT: fire.moment, PLACE: f"{position}/{number}"}
    labels = document.get("labels") or {}
    whole = {**document, "project": project, "key": fire.key(position), "labels": {**labels, **marks}}
    try:
        return parse_request_text(json.dumps(whole))
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"job {position} of schedule {fire.schedule!r}")) from None


def _put_together(call: TallyCall, reports: Sequence[JobReport], rows: int) -> FireReport:
    prices: dict[str, float] = {}
    for report in reports:
        if report.price is not None:
            prices[report.currency] = prices.get(report.currency, 0.0) + report.price
    return FireReport(
        fire=call.fire,
        jobs=tuple(
            FiredJob(
                id=report.id,
                state=report.state,
                served_by=report.served_by,
                qpu_seconds=report.qpu_seconds,
                price=report.price,
                currency=report.currency,
                error=report.error.code if report.error else "",
            )
            for report in reports
        ),
        states=dict(Counter(str(report.state) for report in reports)),
        qpu_seconds=sum(report.qpu_seconds for report in reports),
        prices=prices,
        export=call.export,
        rows=rows,
    )
