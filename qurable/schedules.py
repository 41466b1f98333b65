"""Schedules: jobs that Temporal starts again and again, also while nobody is logged in and no worker runs."""

import difflib
import secrets
import zoneinfo
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import client as temporal
from temporalio.common import RawValue, TypedSearchAttributes
from temporalio.service import RPCError

from qurable.contracts.schedules import (
    RESERVED_PREFIX,
    JobsInput,
    Overlap,
    ScheduleEntry,
    ScheduleSpec,
    ScheduleStatus,
    documents_of,
)
from qurable.endings import lacks_attributes
from qurable.errors import RequestRejected, ScheduleNotFound, ScheduleRefused
from qurable.names import SCHEDULED_RUN
from qurable.requests import AnyJob
from qurable.temporal.schedules import attributes_of, entry_of, is_ours, status_of, to_temporal, translated

T = TypeVar("T")

_RPC = timedelta(seconds=10)
_JUST_BEFORE = timedelta(milliseconds=1)
"""Temporal leaves the first moment of a backfill out."""

_NONE = TypedSearchAttributes.empty


class Schedules:
    """The schedules of a Qurable service; `Qurable.schedules` is one.

    Args:
        client: A Temporal client with this project's converter.
    """

    def __init__(self, client: temporal.Client) -> None:
        self._client = client

    async def create(self, spec: ScheduleSpec, jobs: Sequence[AnyJob] = ()) -> ScheduleStatus:
        """Have something run again and again; the same schedule created again is the one that is there.

        Args:
            spec: When, and what unless jobs are given.
            jobs: What is run at each of its moments, each with a key of that moment's.

        Raises:
            ScheduleRefused: It names no time zone, can never fire, or its name belongs to another schedule.
            RequestRejected: A job is of another project.
            ServiceUnreachable: Temporal does not answer.
        """
        spec, documents = _with_jobs(spec, jobs)
        await self._fires(spec)
        try:
            await _rpc(self._create(spec, documents))
        except temporal.ScheduleAlreadyRunningError:
            standing = await self._standing(spec.name)
            if standing is None or not standing.spec.is_same_as(spec):
                raise ScheduleRefused(
                    f"the name {spec.name!r} belongs to another schedule: take another name, or put this one in its place "
                    "with `qurable schedule create --replace`"
                ) from None
            return standing
        return await self.describe(spec.name)

    async def update(self, spec: ScheduleSpec, jobs: Sequence[AnyJob] = ()) -> ScheduleStatus:
        """Put a schedule in the place of the one of its name; one that is paused stays so, and what runs goes on.

        Raises:
            ScheduleNotFound: There is none.
            ScheduleRefused: It names no time zone, can never fire, or is of another project than the one that stands.
        """
        spec, documents = _with_jobs(spec, jobs)
        standing = await self.describe(spec.name)
        if standing.spec.project != spec.project:
            raise ScheduleRefused(
                f"schedule {spec.name!r} is of project {standing.spec.project!r}, and so are the keys of its jobs: take another "
                f"name for one of project {spec.project!r}"
            )
        await self._fires(spec)

        def updated(found: temporal.ScheduleUpdateInput) -> temporal.ScheduleUpdate:
            there = found.description
            wanted = to_temporal(
                spec, documents, attributes_of(spec) if there.typed_search_attributes else _NONE
            )
            wanted.state.paused = there.schedule.state.paused
            return temporal.ScheduleUpdate(wanted)

        await self._ask(spec.name, self._handle(spec.name).update(updated, rpc_timeout=_RPC))
        return await self.describe(spec.name)

    async def list(self, *, project: str | None = None) -> tuple[ScheduleEntry, ...]:
        """Every schedule by name; one that was made just now may not be among them yet.

        Args:
            project: Of this project alone.
        """
        listed = await _rpc(self._listed())
        found = [entry_of(one) for one in listed if is_ours(one)]
        return tuple(
            sorted(
                (entry for entry in found if project in (None, entry.project)), key=lambda entry: entry.name
            )
        )

    async def describe(self, name: str) -> ScheduleStatus:
        """How a schedule stands.

        Raises:
            ScheduleNotFound: There is none of that name.
        """
        standing = await self._standing(name)
        if standing is None:
            raise _not_found(name)
        return standing

    async def pause(self, name: str, *, reason: str = "") -> ScheduleStatus:
        """Have it fire at no time until it is resumed; what runs goes on.

        Raises:
            ScheduleNotFound: There is none of that name.
        """
        standing = await self.describe(name)
        note = " · ".join(
            part for part in (standing.spec.note, f"paused: {reason}" if reason else "paused") if part
        )
        await self._ask(name, self._handle(name).pause(note=note, rpc_timeout=_RPC))
        return await self.describe(name)

    async def resume(self, name: str) -> ScheduleStatus:
        """Have it fire again from now on; what was due meanwhile is left out.

        Raises:
            ScheduleNotFound: There is none of that name.
        """
        standing = await self.describe(name)
        # An empty note would be taken for the SDK's own.
        await self._ask(
            name, self._handle(name).unpause(note=standing.spec.note or "resumed", rpc_timeout=_RPC)
        )
        return await self.describe(name)

    async def trigger(self, name: str) -> ScheduleStatus:
        """Fire now, also where it is paused; as another fire it does what the overlap policy says.

        Raises:
            ScheduleNotFound: There is none of that name.
            ScheduleRefused: It runs, and skips what overlaps.
        """
        standing = await self.describe(name)
        if standing.running and standing.spec.overlap is Overlap.SKIP:
            raise ScheduleRefused(
                f"schedule {name!r} runs ({', '.join(standing.running)}) and skips what overlaps: wait for it, or choose another "
                "overlap policy"
            )
        await self._ask(name, self._handle(name).trigger(rpc_timeout=_RPC))
        return await self.describe(name)

    async def backfill(self, name: str, start: datetime, end: datetime) -> ScheduleStatus:
        """Fire for every moment from `start` to `end`, both included, one after the other.

        A moment that was fired before gives the same jobs, which are not paid for again.

        Raises:
            ScheduleNotFound: There is none of that name.
            RequestRejected: The end is before the start, or a moment has no time zone.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise RequestRejected(
                "the moments of a backfill need a time zone, such as 2026-11-01T02:00:00+01:00"
            )
        if end < start:
            raise RequestRejected(
                f"the backfill ends ({end.isoformat()}) before it starts ({start.isoformat()})"
            )
        await self.describe(name)
        span = temporal.ScheduleBackfill(
            start - _JUST_BEFORE, end, overlap=temporal.ScheduleOverlapPolicy.BUFFER_ALL
        )
        await self._ask(name, self._handle(name).backfill(span, rpc_timeout=_RPC))
        return await self.describe(name)

    async def delete(self, name: str) -> None:
        """Take it away; what runs goes on, and its jobs stay in the store.

        Raises:
            ScheduleNotFound: There is none of that name.
        """
        await self.describe(name)
        await self._ask(name, self._handle(name).delete(rpc_timeout=_RPC))

    def _handle(self, name: str) -> temporal.ScheduleHandle:
        return self._client.get_schedule_handle(name)

    async def _fires(self, spec: ScheduleSpec) -> None:
        """Refuse a schedule that never fires: Temporal itself says when it would, of a paused one that is gone at once."""
        _check_zone(spec.zone)
        name = f"{RESERVED_PREFIX}check-{secrets.token_hex(8)}"
        trial = to_temporal(spec.model_copy(update={"name": name}), [], _NONE)
        trial.state.paused = True
        handle = await _rpc(self._client.create_schedule(name, trial, rpc_timeout=_RPC))
        try:
            found = await _rpc(handle.describe(rpc_timeout=_RPC))
        finally:
            await _rpc(handle.delete(rpc_timeout=_RPC))
        if not found.info.next_action_times:
            raise ScheduleRefused(f"schedule {spec.name!r} never fires: {_times(spec)}")

    async def _create(self, spec: ScheduleSpec, documents: Sequence[Any]) -> None:
        """Create it, without search attributes on a server where nobody has registered them."""
        known = attributes_of(spec)
        try:
            await self._client.create_schedule(
                spec.name, to_temporal(spec, documents, known), search_attributes=known, rpc_timeout=_RPC
            )
        except RPCError as failure:
            if not lacks_attributes(failure):
                raise
            await self._client.create_schedule(
                spec.name, to_temporal(spec, documents, _NONE), rpc_timeout=_RPC
            )

    async def _listed(self) -> Sequence[temporal.ScheduleListDescription]:
        return [one async for one in await self._client.list_schedules(rpc_timeout=_RPC)]

    async def _standing(self, name: str) -> ScheduleStatus | None:
        """The schedule of that name; None where there is none, or it is not ours."""
        try:
            found = await _rpc(self._handle(name).describe(rpc_timeout=_RPC))
        except ScheduleNotFound:
            return None
        action = found.schedule.action
        if not isinstance(action, temporal.ScheduleActionStartWorkflow) or action.workflow != SCHEDULED_RUN:
            return None
        spec, _ = await self._client.data_converter.decode(list(action.args), [ScheduleSpec, RawValue])
        return status_of(spec, found)

    async def _ask(self, name: str, call: Awaitable[Any]) -> None:
        try:
            await _rpc(call)
        except ScheduleNotFound:
            raise _not_found(name) from None


def _with_jobs(spec: ScheduleSpec, jobs: Sequence[AnyJob]) -> tuple[ScheduleSpec, list[Any]]:
    """The schedule with its jobs counted, and their documents.

    Raises:
        RequestRejected: There are none, too many, or one is of another project.
    """
    if not isinstance(spec.input, JobsInput):
        if jobs:
            raise RequestRejected(
                "a schedule runs the jobs that it is given or those of its `input`, not both"
            )
        return spec, []
    if not jobs:
        raise RequestRejected("a schedule needs something to run: give jobs, a hook or a query")
    strange = sorted({job.project for job in jobs} - {spec.project})
    if strange:
        raise RequestRejected(
            f"schedule {spec.name!r} is of project {spec.project!r}, and its jobs of {', '.join(strange)}: they must be the same"
        )
    return spec.with_jobs(jobs), documents_of(jobs)


def _check_zone(name: str) -> None:
    """Refuse a time zone that nobody knows.

    Raises:
        ScheduleRefused: With names that are near.
    """
    known = zoneinfo.available_timezones()
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3) or sorted(
        zone for zone in known if zone.lower().endswith(f"/{name.lower()}")
    )
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ScheduleRefused(f"there is no time zone {name!r}{meant} Names are like Europe/Vienna")


def _times(spec: ScheduleSpec) -> str:
    lines = [*spec.cron, *(calendar.cron for calendar in spec.calendars)]
    span = [
        f"{word} {moment.isoformat()}"
        for word, moment in (("after", spec.start), ("before", spec.end))
        if moment
    ]
    return (
        f"there is no moment that {' or '.join(map(repr, lines))} names{' ' if span else ''}{' and '.join(span)}; every field has "
        "to match, the day of the month and the day of the week too"
    )


def _not_found(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(
        f"there is no schedule {name!r}; `qurable schedule list` shows those that there are"
    )


async def _rpc(call: Awaitable[T]) -> T:
    """An answer of Temporal's, or its failure in this project's terms."""
    try:
        return await call
    except RPCError as failure:
        raise translated(failure) from None
