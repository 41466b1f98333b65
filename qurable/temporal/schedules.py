"""A schedule of ours as one of Temporal's, and back."""

from collections.abc import Sequence
from typing import Any

from temporalio import client as temporal
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.schedules import (
    RESERVED_PREFIX,
    JobsInput,
    ScheduleEntry,
    ScheduleRun,
    ScheduleSpec,
    ScheduleStatus,
)
from qurable.errors import HybridError, ScheduleNotFound, ScheduleRefused, ServiceUnreachable
from qurable.names import SCHEDULED_RUN, Attribute, Queue

_PROJECT = SearchAttributeKey.for_keyword(Attribute.PROJECT)


def attributes_of(spec: ScheduleSpec) -> TypedSearchAttributes:
    """What the schedule and its runs are found by."""
    return TypedSearchAttributes([SearchAttributePair(_PROJECT, spec.project)])


def to_temporal(
    spec: ScheduleSpec, documents: Sequence[Any], attributes: TypedSearchAttributes
) -> temporal.Schedule:
    """The schedule as Temporal keeps it: the specification travels to every run, and is read back from there."""
    return temporal.Schedule(
        action=temporal.ScheduleActionStartWorkflow(
            SCHEDULED_RUN,
            args=[spec, list(documents)],
            id=spec.name,
            task_queue=Queue.WORKFLOWS,
            typed_search_attributes=attributes,
            static_summary=f"{spec.project} · {_what(spec)}",
        ),
        spec=temporal.ScheduleSpec(
            cron_expressions=[*spec.cron, *(calendar.cron for calendar in spec.calendars)],
            time_zone_name=spec.zone,
            jitter=spec.jitter or None,
            start_at=spec.start,
            end_at=spec.end,
        ),
        policy=temporal.SchedulePolicy(
            overlap=temporal.ScheduleOverlapPolicy[spec.overlap.name], catchup_window=spec.catch_up
        ),
        state=temporal.ScheduleState(note=spec.note or None),
    )


def _what(spec: ScheduleSpec) -> str:
    match spec.input:
        case JobsInput(count=1):
            return "one job"
        case JobsInput(count=count):
            return f"{count} jobs"
        case other:
            return f"jobs of a {other.kind}"


def is_ours(listed: temporal.ScheduleListDescription) -> bool:
    """Whether a schedule in a list is one of a user's."""
    action = listed.schedule.action if listed.schedule else None
    return (
        isinstance(action, temporal.ScheduleListActionStartWorkflow)
        and action.workflow == SCHEDULED_RUN
        and not listed.id.startswith(RESERVED_PREFIX)
    )


def entry_of(listed: temporal.ScheduleListDescription) -> ScheduleEntry:
    """A schedule in a list."""
    recent = _runs(listed.info.recent_actions) if listed.info else ()
    return ScheduleEntry(
        name=listed.id,
        project=listed.typed_search_attributes.get(_PROJECT) or "",
        paused=listed.schedule.state.paused if listed.schedule else False,
        note=(listed.schedule.state.note if listed.schedule else None) or "",
        next=tuple(listed.info.next_action_times) if listed.info else (),
        last=recent[0] if recent else None,
    )


def status_of(spec: ScheduleSpec, found: temporal.ScheduleDescription) -> ScheduleStatus:
    """How a schedule stands."""
    recent = _runs(found.info.recent_actions)
    return ScheduleStatus(
        name=spec.name,
        project=spec.project,
        paused=found.schedule.state.paused,
        note=found.schedule.state.note or "",
        next=tuple(found.info.next_action_times),
        last=recent[0] if recent else None,
        spec=spec,
        running=tuple(
            run.workflow_id
            for run in found.info.running_actions
            if isinstance(run, temporal.ScheduleActionExecutionStartWorkflow)
        ),
        recent=recent,
        fired=found.info.num_actions,
        skipped=found.info.num_actions_skipped_overlap,
        missed=found.info.num_actions_missed_catchup_window,
    )


def _runs(actions: Sequence[temporal.ScheduleActionResult]) -> tuple[ScheduleRun, ...]:
    """Newest first."""
    return tuple(
        ScheduleRun(id=one.action.workflow_id, at=one.scheduled_at, started=one.started_at)
        for one in reversed(actions)
        if isinstance(one.action, temporal.ScheduleActionExecutionStartWorkflow)
    )


def translated(failure: RPCError) -> HybridError:
    """Why Temporal did not do it, in this project's terms."""
    match failure.status:
        case RPCStatusCode.NOT_FOUND:
            return ScheduleNotFound(f"Temporal knows no such schedule: {failure.message}")
        case RPCStatusCode.INVALID_ARGUMENT:
            return ScheduleRefused(f"Temporal does not take the schedule: {failure.message}")
    return ServiceUnreachable(
        f"Temporal does not answer ({failure.status.name}: {failure.message}): schedules that it has fire when it is back; start "
        "it, for instance with `make up`, or set TEMPORAL_ADDRESS"
    )
