"""The reconciler's workflow and its schedule, on the real server with an activity of the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    Client,
    CreateScheduleInput,
    Interceptor,
    OutboundInterceptor,
    ScheduleActionExecutionStartWorkflow,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.reconciler_schedule import Caretaking, ensure_schedule
from qurable.backend import StillWaiting
from qurable.contracts.executions import Incident, IncidentKind, Phase
from qurable.contracts.stages import ReconcileCall, Reconciled
from qurable.names import RECONCILE, RECONCILER_SCHEDULE, Activity, Queue
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from tests.chaos.harness import until
from workflows.reconciler import Reconciler

HOUR = timedelta(hours=1)
REPORT = Reconciled(
    looked=3,
    cancelled=1,
    incidents=(
        Incident(
            kind=IncidentKind.DUPLICATE,
            tag="qurable-" + "0" * 40,
            backend="qpu",
            id="p7",
            found_at=datetime(2026, 5, 4, tzinfo=UTC),
            final=Phase.CANCELLED,
            billed_seconds=2.5,
        ),
    ),
)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of a server that nobody else works on."""
    home: Path = tmp_path_factory.mktemp("reconciler")
    async with (
        embedded_server(home) as server,
        connected(address=server.target, home=home, patience_seconds=30) as client,
    ):
        yield client


@pytest.fixture
async def schedule(client: Client) -> AsyncIterator[Client]:
    """A client of a namespace whose schedule is the test's."""
    yield client
    await client.get_schedule_handle(RECONCILER_SCHEDULE).delete()


class _Asked(Interceptor):
    """Counts how often a client asks for a schedule; the first are refused with what it is given.

    Attributes:
        times: How often.
        answered: Cleared by whoever wants the answers to wait.
    """

    def __init__(self, *refusals: RPCStatusCode) -> None:
        self.times = 0
        self.answered = asyncio.Event()
        self.answered.set()
        self._refusals = refusals

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  Temporal's name
        """Put the count before it is asked."""
        return _Counting(next, self)

    def count(self) -> None:
        """One more; refused where a refusal is left."""
        self.times += 1
        if self.times <= len(self._refusals):
            raise RPCError("not now", self._refusals[self.times - 1], b"")

    def through(self, client: Client) -> Client:
        """The same connection, counted."""
        config = client.config()
        config["interceptors"] = [self]
        return Client(**config)


class _Counting(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, asked: _Asked) -> None:  # noqa: A002  Temporal's name
        super().__init__(next)
        self._asked = asked

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:  # noqa: A002  Temporal's name
        self._asked.count()
        await self._asked.answered.wait()
        return await super().create_schedule(input)


@contextlib.asynccontextmanager
async def _working(client: Client, *, fails: int = 0) -> AsyncIterator[list[int]]:
    """Workers whose pass fails some times before it succeeds; gives out the attempts."""
    attempts: list[int] = []

    @activity.defn(name=Activity.RECONCILE)
    async def reconcile() -> Reconciled:
        attempts.append(activity.info().attempt)
        if len(attempts) <= fails:
            raise ApplicationError("the store is down")
        return REPORT

    restrictions = SandboxRestrictions.default.with_passthrough_modules("qurable")
    async with (
        Worker(
            client,
            task_queue=Queue.WORKFLOWS,
            workflows=[Reconciler],
            workflow_runner=SandboxedWorkflowRunner(restrictions),
        ),
        Worker(client, task_queue=Queue.HARDWARE, activities=[reconcile]),
    ):
        yield attempts


async def test_a_pass_reports_and_shows_what_it_found(client: Client) -> None:
    """An operator sees in the web UI what was cancelled and what it cost; a store that is down is waited for."""
    async with _working(client, fails=2) as attempts:
        handle = await client.start_workflow(
            RECONCILE, ReconcileCall(), id="a-pass", task_queue=Queue.WORKFLOWS, result_type=Reconciled
        )
        report = await asyncio.wait_for(handle.result(), 60)
        shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)

    assert report == REPORT
    assert attempts == [1, 2, 3]
    assert "| cancelled | 1 |" in shown.current_details
    assert "| duplicate | `p7` at `qpu` | cancelled | 2.5 s |" in shown.current_details


async def test_many_workers_make_one_schedule(schedule: Client) -> None:
    """Each of them asks before its first paid submission; the interval of the last one stands."""
    await asyncio.gather(*(ensure_schedule(schedule, HOUR) for _ in range(5)))
    await ensure_schedule(schedule, 2 * HOUR, ReconcileCall(heartbeat=timedelta(seconds=7)))
    found = (await schedule.get_schedule_handle(RECONCILER_SCHEDULE).describe()).schedule

    assert [interval.every for interval in found.spec.intervals] == [2 * HOUR]
    assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert found.policy.catchup_window == timedelta(minutes=1)


async def test_fifty_paid_jobs_at_once_ask_once(schedule: Client) -> None:
    """Temporal refuses most of fifty questions about one schedule, and each refusal would be a failed submission."""
    asked = _Asked()
    caretaking = Caretaking(asked.through(schedule), HOUR, ReconcileCall())
    await asyncio.gather(*(caretaking.begin() for _ in range(50)))
    await caretaking.begin()
    found = (await schedule.get_schedule_handle(RECONCILER_SCHEDULE).describe()).schedule

    assert asked.times == 1
    assert [interval.every for interval in found.spec.intervals] == [HOUR]


async def test_a_busy_temporal_is_a_wait_and_is_asked_again(schedule: Client) -> None:
    """Nothing is paid meanwhile, and no attempt at a submission is used up."""
    asked = _Asked(RPCStatusCode.RESOURCE_EXHAUSTED)
    caretaking = Caretaking(asked.through(schedule), HOUR, ReconcileCall())
    answers = await asyncio.gather(*(caretaking.begin() for _ in range(3)), return_exceptions=True)
    await caretaking.begin()

    assert [type(answer) for answer in answers] == [StillWaiting] * 3
    assert asked.times == 2


async def test_a_cancelled_job_leaves_the_question_to_the_others(schedule: Client) -> None:
    """It may be the one that asked."""
    asked = _Asked()
    asked.answered.clear()
    caretaking = Caretaking(asked.through(schedule), HOUR, ReconcileCall())
    first, second = (asyncio.create_task(caretaking.begin()) for _ in range(2))
    await until("it is asked", lambda: asked.times)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    asked.answered.set()
    await second

    assert asked.times == 1


async def test_a_refusal_is_no_wait(schedule: Client) -> None:
    """Somebody has to give this worker the right to schedule."""
    await ensure_schedule(schedule, HOUR)
    asked = _Asked(RPCStatusCode.PERMISSION_DENIED)

    with pytest.raises(RPCError, match="not now"):
        await Caretaking(asked.through(schedule), HOUR, ReconcileCall()).begin()


async def test_a_paused_schedule_stays_paused(schedule: Client) -> None:
    """An operator has a reason."""
    await ensure_schedule(schedule, HOUR)
    handle = schedule.get_schedule_handle(RECONCILER_SCHEDULE)
    await handle.pause(note="looking into it")
    await ensure_schedule(schedule, 2 * HOUR)
    found = (await handle.describe()).schedule

    assert found.state.paused
    assert found.state.note == "looking into it"
    assert [interval.every for interval in found.spec.intervals] == [2 * HOUR]


async def test_the_schedule_runs_the_reconciler(schedule: Client) -> None:
    """As a workflow of its own, which takes what the schedule gives it."""
    await ensure_schedule(schedule, HOUR)
    handle = schedule.get_schedule_handle(RECONCILER_SCHEDULE)
    async with _working(schedule) as attempts:
        await handle.trigger()
        await until("it ran", lambda: attempts, 60)

        async def started() -> str:
            actions = (await handle.describe()).info.recent_actions
            action = actions[0].action if actions else None
            return action.workflow_id if isinstance(action, ScheduleActionExecutionStartWorkflow) else ""

        workflow_id = await until("it is listed", started, 60)
        report = await asyncio.wait_for(
            schedule.get_workflow_handle(workflow_id, result_type=Reconciled).result(), 60
        )

    assert workflow_id.startswith(RECONCILER_SCHEDULE)
    assert report == REPORT
