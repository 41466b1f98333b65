"""Rows of the matrix about sessions and batches: left behind by a job that was terminated, and faults on their routes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from qurable.names import RECONCILE
from store import provider_jobs, sessions
from tests.chaos.harness import until
from tests.chaos.paid import Play, Round, Row, batched_bell
from tests.chaos.paid_faults import Trouble, answer, refusal
from tests.chaos.paid_house import ENDED, GRACE

_OPEN = "POST /sessions"
_SHOW = "GET /sessions/{id}"
_CLOSE = "PATCH /sessions/{id}"

_BY_ROUTE = {
    _OPEN: (
        Trouble("500", refusal(500)),
        Trouble("401", refusal(401)),
        Trouble("403", refusal(403), "AccountRefused"),
        Trouble("429", refusal(429)),
        Trouble("no JSON", answer("<html>")),
        Trouble("no id", answer("{}")),
        Trouble("dropped before", {"mode": "drop"}),
        Trouble("dropped after", {"mode": "drop", "after": True}),
    ),
    _SHOW: (
        Trouble("500", refusal(500)),
        Trouble("no JSON", answer("<html>")),
        Trouble("dropped", {"mode": "drop"}),
    ),
    _CLOSE: (
        Trouble("500", refusal(500)),
        Trouble("500 six times", refusal(500, 6)),
        Trouble("403", refusal(403)),
        Trouble("dropped before", {"mode": "drop"}),
        Trouble("dropped after", {"mode": "drop", "after": True}),
    ),
}


def session_rows() -> Iterator[Row]:
    """Both modes left behind, and every fault on every route of theirs."""
    modes: tuple[Literal["batch", "session"], ...] = ("batch", "session")
    for mode in modes:
        name = f"{mode} of a job that was terminated in the queue"
        yield Row("left behind", name, _left_behind(mode), "JobFailed")
    for route, troubles in _BY_ROUTE.items():
        for trouble in troubles:
            yield Row("fault", f"{route}: {trouble.name}", _faulty(route, trouble), trouble.ends)


def _faulty(route: str, trouble: Trouble) -> Play:
    """Whatever becomes of the session, the job's answer is kept, and nothing stays open that has run a job."""

    async def play(round_: Round) -> None:
        await round_.home.control.call("POST", "/faults", {"route": route, **trouble.fault})
        await round_.start(batched_bell())
        await round_.finish()
        await round_.until_sessions_close()

    return play


def _left_behind(mode: Literal["batch", "session"]) -> Play:
    """The first pass of the reconciler that begins after the grace calls everything off."""

    async def play(round_: Round) -> None:
        await round_.home.control.settings(hold=True)
        await round_.start(batched_bell(mode))
        await round_.until_ended("await_start-0", "waiting")
        await until("job and session are older than the grace", lambda: _are_old(round_))
        round_.wanted = False
        await round_.house.qurable.temporal.get_workflow_handle(round_.job_id).terminate("the matrix")
        await _one_pass(round_)
        for one in (*await round_.jobs_of(), *await round_.sessions_of()):
            what = one.get("status") or one["state"]
            assert what in ENDED | {"closed"}, f"after a whole pass {one['id']} is {what}"

    return play


async def _are_old(round_: Round) -> bool:
    database = round_.home.database
    old = [one.job_id for one in await database.read(sessions.left_open, GRACE)]
    (part,) = await database.read(provider_jobs.of_job, round_.job_id)
    story = await database.read(provider_jobs.open_submission, part.tag)
    return round_.job_id in old and story is not None and story.age > GRACE


async def _one_pass(round_: Round) -> None:
    """Wait for the end of a pass of the reconciler that has begun after now."""
    since = datetime.now(UTC).isoformat()
    asked = f'WorkflowType = "{RECONCILE}" AND ExecutionStatus = "Completed" AND StartTime > "{since}"'

    async def made() -> bool:
        return bool([one async for one in round_.house.qurable.temporal.list_workflows(asked)])

    await until("the reconciler has made a pass", made)
