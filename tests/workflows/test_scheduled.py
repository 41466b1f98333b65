"""Schedules on the real server: every moment has its jobs once, whoever fires it and however often."""

import asyncio
import contextlib
import csv
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import (
    Client,
    ScheduleBackfill,
    ScheduleOverlapPolicy,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from qurable.contracts.budgets import JobBudget
from qurable.contracts.executions import Phase
from qurable.contracts.fires import FireReport
from qurable.contracts.jobs import Hook
from qurable.contracts.reports import State
from qurable.contracts.schedules import Calendar, HookInput, Overlap, QueryInput, ScheduleSpec, ScheduleStatus
from qurable.errors import JobFailed, RequestRejected, ScheduleNotFound, ScheduleRefused
from qurable.requests import sample
from qurable.schedules import Schedules
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.paid import DEVICE

ALWAYS = ("@every 1s",)
NIGHTLY = ("30 1 * * *",)
NIGHT = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)


def _name() -> str:
    """A name, and a project, that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


def _bell(project: str, **options: Any) -> Any:
    return sample(BELL, **{"shots": 10, "backend": "aer", "project": project, **options})


async def _idle(schedules: Schedules, name: str, fired: int) -> ScheduleStatus:
    """Wait until a schedule has started so many runs, and all have ended."""

    async def found() -> ScheduleStatus | None:
        status = await schedules.describe(name)
        return status if status.fired >= fired and not status.running else None

    status: ScheduleStatus = await until(f"{name} has fired {fired} times", found)
    return status


def _run(service: Service, run_id: str) -> WorkflowHandle[Any, FireReport]:
    return service.temporal.get_workflow_handle(run_id, result_type=FireReport)


async def _report(service: Service, run_id: str) -> FireReport:
    async with asyncio.timeout(60):
        return await _run(service, run_id).result()


async def test_each_moment_has_its_jobs_once_however_often_it_is_fired(service: Service) -> None:
    """Backfilled twice, over the end of summer time: three keys, three jobs, three rows, and nothing more."""
    schedules, name = service.qurable.schedules, _name()
    spec = ScheduleSpec(
        name=name,
        project=name,
        cron=("0 12 * * *",),
        zone="Europe/Vienna",
        export=f"{name}/nights.csv",
        note="nights",
    )
    first, last = datetime(2026, 10, 24, 10, tzinfo=UTC), datetime(2026, 10, 26, 11, tzinfo=UTC)

    created = await schedules.create(spec, [_bell(name)])
    again = await schedules.create(spec, [_bell(name)])
    await schedules.backfill(name, first, last)
    once = await _idle(schedules, name, 3)
    reports = [await _report(service, run.id) for run in once.recent]
    await schedules.backfill(name, first, last)
    twice = await _idle(schedules, name, 6)
    repeated = [await _report(service, run.id) for run in twice.recent[:3]]
    jobs = await service.qurable.list(project=name)
    with (service.settings.exports_folder / spec.export).open(newline="") as file:
        rows = list(csv.DictReader(file))
    await schedules.delete(name)
    with pytest.raises(ScheduleNotFound, match="no schedule"):
        await schedules.describe(name)

    assert again.spec == created.spec
    assert created.note == "nights"
    assert len(created.next) == 10
    assert [report.fire.moment for report in reports] == [
        "2026-10-26T11:00:00Z",
        "2026-10-25T11:00:00Z",
        "2026-10-24T10:00:00Z",
    ]
    ids = [job.id for report in reports for job in report.jobs]
    assert len(set(ids)) == 3
    assert [job.id for report in repeated for job in report.jobs] == ids
    assert [report.rows for report in (*reports, *repeated)] == [1, 1, 1, 0, 0, 0]
    assert {job.id for job in jobs} == set(ids)
    assert {job.labels["schedule"] for job in jobs} == {name}
    assert sorted(row["job_id"] for row in rows) == sorted(ids)
    assert {row["state"] for row in rows} == {"completed"}


async def test_what_can_never_fire_is_refused_with_its_reason(service: Service) -> None:
    """Before anything is there; and a name is one schedule's."""
    schedules, name = service.qurable.schedules, _name()
    job = _bell(name)

    async def refused(**fields: Any) -> str:
        spec = ScheduleSpec(**{"name": name, "project": name, "cron": NIGHTLY, **fields})
        with pytest.raises(RequestRejected) as failure:
            await schedules.create(spec, [job])
        return str(failure.value)

    never = await refused(cron=("0 0 30 2 *",))
    over = await refused(end=datetime(2020, 1, 1, tzinfo=UTC))
    zone = await refused(zone="Europe/Viena")
    wrong = await refused(cron=("61 * * * *",))
    strange = await refused(project="another")
    none = await schedules.list(project=name)
    await schedules.create(ScheduleSpec(name=name, project=name, cron=NIGHTLY), [job])
    taken = await refused(cron=("0 3 * * *",))
    changed = await schedules.update(ScheduleSpec(name=name, project=name, cron=("0 3 * * *",)), [job])
    with pytest.raises(ScheduleRefused, match="take another name for one of project 'another'"):
        await schedules.update(ScheduleSpec(name=name, project="another", cron=NIGHTLY), [_bell("another")])
    listed = await until("it is listed", lambda: schedules.list(project=name))
    await schedules.delete(name)

    assert "never fires: there is no moment that '0 0 30 2 *' names" in never
    assert "never fires: there is no moment that '30 1 * * *' names before 2020-01-01" in over
    assert "there is no time zone 'Europe/Viena'; did you mean Europe/Vienna" in zone
    assert "Minute is not in range" in wrong
    assert "is of project 'another', and its jobs of" in strange
    assert none == ()
    assert "belongs to another schedule" in taken
    assert changed.spec.cron == ("0 3 * * *",)
    assert [entry.name for entry in listed] == [name]


async def test_a_hook_says_what_is_run_and_is_held_to_what_it_said_first(service: Service) -> None:
    """By the name it was registered under; its jobs pass the same door, and are those of the schedule's project."""
    schedules, name = service.qurable.schedules, _name()
    told: list[dict[str, Any]] = []
    project = name

    @activity.defn(name="tonight")
    async def tonight(fire: dict[str, Any]) -> list[Any]:
        told.append(fire)
        shots = [10 * len(told), 20]
        return [_bell(project, shots=number).model_dump(mode="json", exclude={"key"}) for number in shots]

    hook = HookInput(hook=Hook(activity="tonight", task_queue=name))
    async with Worker(service.temporal, task_queue=name, activities=[tonight]):
        await schedules.create(ScheduleSpec(name=name, project=name, cron=NIGHTLY, input=hook))
        for times in (1, 2):
            await schedules.backfill(name, NIGHT, NIGHT)
            await _idle(schedules, name, times)
        first, second = [run.id for run in (await _idle(schedules, name, 2)).recent]
        report = await _report(service, second)
        shots = [sum((await service.qurable.result(job.id)).counts().values()) for job in report.jobs]
        project = "another"
        await schedules.backfill(name, NIGHT + timedelta(days=1), NIGHT + timedelta(days=1))
        strange = await _idle(schedules, name, 3)
        with pytest.raises(WorkflowFailureError) as failure:
            await _report(service, strange.recent[0].id)
    jobs = await service.qurable.list(project=name)
    await schedules.delete(name)

    assert first == second
    assert told[0] == {"schedule": name, "project": name, "at": "2026-11-01T01:30:00Z"}
    assert shots == [10, 20]
    assert sorted(job.labels["fire"] for job in jobs) == ["1/2", "2/2"]
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "RequestRejected"
    assert "its jobs are of project" in failure.value.cause.message


async def test_jobs_that_failed_are_run_again_and_their_repetitions_are_not(service: Service) -> None:
    """Or they would double every night."""
    schedules, name = service.qurable.schedules, _name()
    broken = _bell(name, labels={"study": "one"}, shots=10).model_copy(
        update={"pubs": sample(BELL.replace("cx q", "cy2 q")).pubs}
    )
    failed = await service.qurable.submit(broken)
    with pytest.raises(JobFailed):
        await failed.result(wait=timedelta(seconds=60))
    await service.run(_bell(name, labels={"study": "one"}))
    query = QueryInput(label="study=one")
    await schedules.create(ScheduleSpec(name=name, project=name, cron=NIGHTLY, input=query))
    reports = []
    for fired in (1, 2):
        before = {run.id for run in (await schedules.describe(name)).recent}

        async def fired_anew(before: set[str] = before) -> str | None:
            """Two moments of one second are one: then it is fired once more."""
            with contextlib.suppress(ScheduleRefused):  # it runs
                await schedules.trigger(name)
            recent = (await schedules.describe(name)).recent
            return next((run.id for run in recent if run.id not in before), None)

        run_id = await until(f"fire {fired}", fired_anew)
        reports.append(await _report(service, run_id))
    jobs = await service.qurable.list(project=name)
    await schedules.delete(name)

    assert [[job.error for job in report.jobs] for report in reports] == [["CircuitRejected"]] * 2
    assert [report.states for report in reports] == [{"failed": 1}] * 2
    assert {job.labels["again"] for job in jobs if "again" in job.labels} == {failed.id}
    assert {job.labels["study"] for job in jobs} == {"one"}


async def test_a_calendar_fires_at_its_moments_in_its_zone(service: Service) -> None:
    """Every second second as time goes by; and Sundays in Vienna, over the end of summer time."""
    schedules, live, sundays = service.qurable.schedules, _name(), _name()
    nothing = QueryInput()
    often = Calendar(second="*/2", minute="*", hour="*")
    weekly = Calendar(minute="30", hour="12", month="oct-nov", year="2026", day_of_week="sun")
    for name, calendar in ((live, often), (sundays, weekly)):
        await schedules.create(
            ScheduleSpec(name=name, project=name, calendars=(calendar,), zone="Europe/Vienna", input=nothing)
        )
    await schedules.backfill(
        sundays, datetime(2026, 10, 17, tzinfo=UTC), datetime(2026, 11, 2, 23, tzinfo=UTC)
    )
    fired = await _idle(schedules, sundays, 3)
    nights = [(await _report(service, run.id)).fire.moment for run in fired.recent]
    await until("it has fired twice", lambda: _fired(schedules, live, 2))
    moments = [run.at for run in (await schedules.describe(live)).recent]
    for name in (live, sundays):
        await schedules.delete(name)

    assert nights == ["2026-11-01T11:30:00Z", "2026-10-25T11:30:00Z", "2026-10-18T10:30:00Z"]
    assert [(at.second % 2, at.microsecond) for at in moments] == [(0, 0)] * len(moments)


async def test_jitter_delays_a_fire_and_its_job_keeps_the_name_of_its_moment(service: Service) -> None:
    """By a time of each one's own; or the jobs of a moment that is fired again would be others."""
    schedules, name = service.qurable.schedules, _name()
    spec = ScheduleSpec(name=name, project=name, cron=ALWAYS, jitter=timedelta(seconds=1))
    await schedules.create(spec, [_bell(name)])
    await until("it has fired thrice", lambda: _fired(schedules, name, 3))
    await schedules.pause(name)
    await until("it is paused", lambda: _paused(schedules, name))
    runs = (await _idle(schedules, name, 3)).recent
    moments = [datetime.fromisoformat((await _report(service, run.id)).fire.moment) for run in runs]
    jobs = await service.qurable.list(project=name)
    await schedules.delete(name)

    delays = [run.at - moment for run, moment in zip(runs, moments, strict=True)]
    assert len(set(delays)) == len(delays) >= 3
    assert all(timedelta(0) < delay < spec.jitter for delay in delays)
    assert all(run.started >= run.at for run in runs)
    assert {moment.microsecond for moment in moments} == {0}
    assert sorted(datetime.fromisoformat(job.labels["scheduled"]) for job in jobs) == sorted(moments)


async def test_a_fire_that_overlaps_is_skipped_and_counted(stack: Stack) -> None:
    """The run before it has its job in a queue; when that ends, the next moment is fired."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with stack(backends={"qpu": qpu}) as service:
        schedules, name = service.qurable.schedules, _name()
        await schedules.create(
            ScheduleSpec(name=name, project=name, cron=ALWAYS), [_bell(name, backend="qpu")]
        )
        await until("its job is queued", lambda: qpu.queued.is_set())
        await until("a fire was skipped", lambda: _skipped(schedules, name))
        with pytest.raises(ScheduleRefused, match="skips what overlaps"):
            await schedules.trigger(name)
        meanwhile = list(qpu.submitted)
        qpu.script(Phase.DONE)
        await until("the next was fired", lambda: len(qpu.submitted) > 1)
        await schedules.pause(name)
        await until("it is paused", lambda: _paused(schedules, name))
        status = await _idle(schedules, name, 2)

    assert len(meanwhile) == 1
    assert len(qpu.submitted) == status.fired


async def _skipped(schedules: Schedules, name: str) -> int:
    return (await schedules.describe(name)).skipped


@pytest.mark.long
async def test_a_paused_schedule_fires_at_no_time_and_makes_up_for_none_when_it_is_resumed(
    service: Service,
) -> None:
    """Another one that fires every second beats the time."""
    schedules, name, clock = service.qurable.schedules, _name(), _name()
    nothing = QueryInput()
    for each in (name, clock):
        await schedules.create(ScheduleSpec(name=each, project=each, cron=ALWAYS, input=nothing, note="n"))
    await until("it has fired", lambda: _fired(schedules, name, 1))
    await schedules.pause(name, reason="calibration")
    await until("it is paused", lambda: _paused(schedules, name))
    before = await _idle(schedules, name, 1)
    beats = (await schedules.describe(clock)).fired
    await until("three beats", lambda: _fired(schedules, clock, beats + 3))
    still = await schedules.describe(name)
    missed = {run.at for run in (await schedules.describe(clock)).recent[:2]}
    await schedules.resume(name)
    await until("it fires again", lambda: _fired(schedules, name, before.fired + 1))
    after = await schedules.describe(name)
    for each in (name, clock):
        await schedules.delete(each)

    assert (still.paused, still.note) == (True, "n · paused: calibration")
    assert still.fired == before.fired
    assert after.note == "n"
    assert not missed & {run.at for run in after.recent}


async def _fired(schedules: Schedules, name: str, times: int) -> bool:
    return (await schedules.describe(name)).fired >= times


async def _paused(schedules: Schedules, name: str) -> bool:
    return (await schedules.describe(name)).paused


@pytest.mark.long
async def test_a_moment_fired_again_joins_the_job_that_its_first_run_left(stack: Stack) -> None:
    """Somebody has terminated the run; its job is in the provider's queue, and is paid once."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with stack(backends={"qpu": qpu}) as service:
        schedules, name = service.qurable.schedules, _name()
        await schedules.create(
            ScheduleSpec(name=name, project=name, cron=NIGHTLY), [_bell(name, backend="qpu")]
        )
        await schedules.backfill(name, NIGHT, NIGHT)
        await until("it is queued", lambda: qpu.queued.is_set())
        (run,) = (await schedules.describe(name)).recent
        await _run(service, run.id).terminate()
        await _idle(schedules, name, 1)
        await schedules.backfill(name, NIGHT, NIGHT)
        await until("it is fired again", lambda: _fired(schedules, name, 2))
        handle = _run(service, run.id)
        await until("it has asked for the job", lambda: _has_asked(handle))
        qpu.script(Phase.DONE)
        report = await _report(service, run.id)

    assert report.states == {"completed": 1}
    assert len(qpu.submitted) == 1


async def _has_asked(handle: WorkflowHandle[Any, FireReport]) -> bool:
    """Whether Temporal has told the run that its job is there already."""
    history = await handle.fetch_history()
    return any(
        event.HasField("start_child_workflow_execution_failed_event_attributes") for event in history.events
    )


@pytest.mark.long
async def test_a_server_without_our_search_attributes_takes_a_schedule(tmp_path: Path) -> None:
    """They are registered by workers, and this one has had none yet."""
    async with (
        embedded_server(tmp_path) as server,
        connected(address=server.target, home=tmp_path) as client,
    ):
        bare = await _bare_namespace(client)
        schedules, name = Schedules(bare), _name()
        spec = ScheduleSpec(name=name, project=name, cron=NIGHTLY)
        created = await until("the namespace is there", lambda: _created(schedules, spec))
        changed = await schedules.update(spec.model_copy(update={"note": "changed"}), [_bell(name)])
        listed = await until("it is listed", lambda: schedules.list())

    assert created.spec.project == name
    assert changed.note == "changed"
    assert [(entry.name, entry.project) for entry in listed] == [(name, "")]


async def _bare_namespace(client: Client) -> Client:
    """A client of a namespace that knows no search attributes but Temporal's own."""
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace="bare", workflow_execution_retention_period=Duration(seconds=86_400)
        )
    )
    return await Client.connect(
        client.service_client.config.target_host, namespace="bare", data_converter=client.data_converter
    )


async def _created(schedules: Schedules, spec: ScheduleSpec) -> ScheduleStatus | None:
    """Temporal takes a moment to know a new namespace everywhere."""
    with contextlib.suppress(ScheduleNotFound):
        return await schedules.create(spec, [_bell(spec.project)])
    return None


@pytest.mark.long
async def test_cancelling_a_run_withdraws_its_jobs(stack: Stack) -> None:
    """As the policy `cancel_other` does: what nobody waits for any more is not paid for."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)
    async with stack(backends={"qpu": qpu}) as service:
        schedules, name = service.qurable.schedules, _name()
        spec = ScheduleSpec(
            name=name, project=name, cron=NIGHTLY, overlap=Overlap.CANCEL_OTHER, export="c.csv"
        )
        await schedules.create(spec, [_bell(name, backend="qpu")])
        await schedules.backfill(name, NIGHT, NIGHT)
        await until("it is queued", lambda: qpu.queued.is_set())
        next_night = ScheduleBackfill(
            NIGHT + timedelta(hours=1), NIGHT + timedelta(days=1), ScheduleOverlapPolicy.CANCEL_OTHER
        )
        await service.temporal.get_schedule_handle(name).backfill(next_night)
        await until("the first is cancelled", lambda: qpu.cancelled)
        qpu.script(Phase.DONE)
        status = await _idle(schedules, name, 2)
        report = await _report(service, status.recent[0].id)
        rows = (service.settings.exports_folder / "c.csv").read_text()

    assert qpu.cancelled == qpu.submitted[:1]
    assert report.states == {"completed": 1}
    assert [rows.count(f",{state},") for state in ("cancelled", "completed")] == [1, 1]


@pytest.mark.long
async def test_a_fires_job_over_budget_is_refused_like_any_other(paid_stack: PaidStack) -> None:
    """Nothing is sent, and the summary and the export say so."""
    async with paid_stack() as paid:
        service = paid.service
        schedules, name = service.qurable.schedules, _name()
        dear = _bell(name, backend=DEVICE, fallback="none", budget=JobBudget(qpu_seconds=1))
        await schedules.create(ScheduleSpec(name=name, project=name, cron=NIGHTLY, export="dear.csv"), [dear])
        await schedules.backfill(name, NIGHT, NIGHT)
        (run,) = (await _idle(schedules, name, 1)).recent
        report = await _report(service, run.id)
        taken = await paid.taken()
        rows = (service.settings.exports_folder / "dear.csv").read_text()

    assert [(job.state, job.error) for job in report.jobs] == [(State.FAILED, "BudgetExceeded")]
    assert taken == []
    assert rows.count("BudgetExceeded") == 1
