"""Rows of the matrix with a story: two attempts at once, frozen processes, resets, terminations, restored backups."""

import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from store import provider_jobs
from tests.chaos.harness import StoreServer, TemporalServer, until
from tests.chaos.paid import LONG, Play, Round, Row, bell
from tests.chaos.paid_house import Kind, Part, SqliteStore

_SUBMIT = "POST /jobs"

_Reach = Callable[[Round], Awaitable[None]]


def story_rows() -> Iterator[Row]:
    """Every story once."""
    for line in ("ibm:claimed", "ibm:looked", "ibm:posted", "ibm:kept"):
        yield Row("two attempts at once", f"the first waits at {line}", _two_attempts(line))
    yield Row("frozen", "SIGSTOP between look and POST, longer than the settling time", _frozen)
    for length, changes in _DUPLICATES.items():
        name = f"frozen between look and POST, {length}"
        yield Row("frozen", name, _frozen_beyond_the_fence(changes), excused=True)
    yield Row("reset", "workflow reset to its beginning, job in the queue", _reset_in_the_queue)
    yield Row("reset", "workflow reset to its beginning, POST under way", _reset_while_posting)
    yield Row("reset", "workflow reset to its beginning after its report", _reset_at_the_end)
    yield Row("restored", "store from before submit", _restored(Part.STORE))
    yield Row("restored", "Temporal from before submit", _restored(Part.TEMPORAL))
    yield Row("restored", "store and Temporal from before submit", _restored(Part.STORE, Part.TEMPORAL))
    for name, play in (
        ("SQLite from before submit", _restored(Part.STORE)),
        ("SQLite and Temporal from before submit", _restored(Part.STORE, Part.TEMPORAL)),
    ):
        yield Row("restored", name, play, house=Kind.SQLITE)
    name = "SQLite from before submit, the workflow terminated"
    yield Row("restored", name, _restored_and_terminated, "JobFailed", house=Kind.SQLITE)
    yield from ending_rows()


def ending_rows() -> Iterator[Row]:
    """A cancellation, and a termination, in each state of a job."""
    for state, reach in _STATES.items():
        quick = state == "queued"
        yield Row("cancel", f"cancelled while {state}", _cancelled(reach), "JobCancelled", quick=quick)
        yield Row("terminate", f"terminated while {state}", _terminated(reach), "JobFailed", quick=quick)


def _two_attempts(line: str) -> Play:
    """The first attempt stands at a line until a second one has looked at what there is."""

    async def play(round_: Round) -> None:
        await round_.stop_at(line)
        await until("a second attempt at submit", lambda: round_.attempts("submit-0") >= 2)
        if line != "ibm:kept":
            await round_.until_ended("submit-0", "waiting", "done")
        round_.house.release(line)

    return play


async def _frozen(round_: Round) -> None:
    """The frozen process thaws after another has sent the job: its right to send has ended."""
    frozen = await round_.stop_at("ibm:looked")
    os.kill(frozen, signal.SIGSTOP)
    round_.house.release("ibm:looked")
    try:
        await round_.finish()
    finally:
        os.kill(frozen, signal.SIGCONT)


_DUPLICATES: dict[str, dict[str, Any]] = {
    "a short duplicate": {},
    "a duplicate of 40 QPU seconds": {"run_factor": 20.0},
    "a duplicate in a queue": {"hold": True},
}
"""The emulator's settings when the late job is taken."""


def _frozen_beyond_the_fence(changes: dict[str, Any]) -> Play:
    """The request itself is frozen, on the provider's side of the fence, until another was sent and answered."""

    async def play(round_: Round) -> None:
        await round_.home.control.fault(_SUBMIT, "hold")
        await round_.start(bell(ibm=LONG))
        await round_.home.control.until_held()
        await round_.finish()
        await round_.home.control.settings(**changes)
        await round_.home.control.release()
        await round_.until_duplicates_are_found()

    return play


async def _in_the_queue(round_: Round) -> None:
    await round_.home.control.settings(hold=True)
    await round_.start()
    await round_.until_began("await_start-0")


async def _reset(round_: Round) -> None:
    """As `temporal workflow reset --type FirstWorkflowTask` does."""
    temporal = round_.house.qurable.temporal
    handle = temporal.get_workflow_handle(round_.job_id)
    first = 0
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            first = event.event_id
            break
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=round_.job_id),
            reason="the matrix",
            workflow_task_finish_event_id=first,
            request_id=f"reset-{round_.job_id}",
        )
    )


async def _reset_in_the_queue(round_: Round) -> None:
    await _in_the_queue(round_)
    await _reset(round_)
    await round_.home.control.settings(hold=False)


async def _reset_while_posting(round_: Round) -> None:
    await round_.home.control.fault(_SUBMIT, "hold", after=True)
    await round_.start()
    await round_.home.control.until_held()
    await _reset(round_)
    await round_.home.control.release()


async def _reset_at_the_end(round_: Round) -> None:
    await round_.start()
    await round_.finish()
    await _reset(round_)


def _restored(*parts: Part) -> Play:
    """What the backup has is a job that is about to be submitted; since then it was, and it waits in the queue."""

    async def play(round_: Round) -> None:
        home = round_.home
        servers: dict[Part, StoreServer | SqliteStore | TemporalServer] = {
            Part.STORE: home.store,
            Part.TEMPORAL: home.house.server,
        }
        await home.control.settings(hold=True)
        await round_.stop_at("submit-0:begun")
        for part in parts:
            home.kill(part)
            servers[part].back_up(home.folder / f"backup-{part}")
            await home.start(part)
        round_.house.release("submit-0:begun")
        await round_.until_ended("await_start-0", "waiting")
        for part in parts:
            home.kill(part)
        for part in parts:
            servers[part].restore(home.folder / f"backup-{part}")
            shutil.rmtree(home.folder / f"backup-{part}")
            await home.start(part)
        await home.control.settings(hold=False)

    return play


async def _restored_and_terminated(round_: Round) -> None:
    """Nobody but the reconciler is left to find the job whose row the backup has, without its id."""
    home, backup = round_.home, round_.home.folder / "backup"
    await home.control.settings(hold=True)
    await round_.stop_at("ibm:looked")
    home.kill(Part.STORE)
    home.store.back_up(backup)
    await home.start(Part.STORE)
    await round_.until_ended("await_start-0", "waiting")
    round_.wanted = False
    home.kill(Part.STORE)
    await round_.house.qurable.temporal.get_workflow_handle(round_.job_id).terminate("the matrix")
    home.store.restore(backup)
    shutil.rmtree(backup)
    await home.start(Part.STORE)
    (part,) = await home.database.read(provider_jobs.of_job, round_.job_id)
    assert not part.id, "the backup has the job's id"
    await round_.until_settled()


async def _preparing(round_: Round) -> None:
    await round_.stop_at("prepare:begun")


async def _about_to_submit(round_: Round) -> None:
    await round_.stop_at("ibm:looked")


async def _posting_before(round_: Round) -> None:
    await round_.home.control.fault(_SUBMIT, "hold")
    await round_.start()
    await round_.home.control.until_held()


async def _posting_after(round_: Round) -> None:
    await round_.home.control.fault(_SUBMIT, "hold", after=True)
    await round_.start()
    await round_.home.control.until_held()


async def _unclear(round_: Round) -> None:
    await round_.home.control.fault(_SUBMIT, "drop", after=True)
    await round_.stop_at("ibm:unclear")


async def _submitted(round_: Round) -> None:
    await round_.home.control.settings(hold=True)
    await round_.stop_at("submit-0:kept")


async def _running(round_: Round) -> None:
    await round_.home.control.settings(run_factor=200.0)
    await round_.start(bell(ibm=LONG))
    await round_.until_ended("await_done-0", "waiting")


async def _fetching(round_: Round) -> None:
    await round_.stop_at("fetch-0:begun")


async def _post_processing(round_: Round) -> None:
    await round_.stop_at("post_process-0:begun")


_STATES: dict[str, _Reach] = {
    "preparing": _preparing,
    "about to submit": _about_to_submit,
    "POST held before accept": _posting_before,
    "POST held after accept": _posting_after,
    "its answer is lost": _unclear,
    "submitted": _submitted,
    "queued": _in_the_queue,
    "running": _running,
    "fetching": _fetching,
    "post-processing": _post_processing,
}


def _cancelled(reach: _Reach) -> Play:
    async def play(round_: Round) -> None:
        await reach(round_)
        round_.wanted = False
        await round_.house.qurable.cancel(round_.job_id)
        await round_.go_on()
        await round_.until_nothing_runs()

    return play


def _terminated(reach: _Reach) -> Play:
    async def play(round_: Round) -> None:
        await reach(round_)
        round_.wanted = False
        await round_.house.qurable.temporal.get_workflow_handle(round_.job_id).terminate("the matrix")
        await round_.go_on()
        await round_.until_nothing_runs()

    return play
