"""Histories of workflows, recorded once per release and replayed for ever.

    python -m tests.workflows.histories 0.1.0

writes `tests/workflows/histories/0.1.0/*.json`, with the payloads that histories refer to beside them.
"""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from isolation.pool import Nursery
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import Hook, Hooks, Limits
from qurable.contracts.sharing import CollectorHead, Joiner
from qurable.errors import HybridError, TargetUnavailable
from qurable.names import COLLECTOR, JOIN, Queue
from qurable.requests import as_job, sample
from qurable.temporal.run_main import run_main
from tests.circuits_at_hand import BELL
from tests.conftest import Service, running_service
from tests.fakes.scripted import ScriptedBackend
from tests.workflows.pattern_stories import PATTERNS

FOLDER = Path(__file__).parent / "histories"

_LONG_CIRCUIT = BELL.replace("measure", "x q[0];\nx q[0];\n" * 20_000 + "measure")
"""A request that is too large for a history and travels by reference."""


async def small(service: Service) -> str:
    """Merged stages."""
    return await _ended(service, sample(BELL, shots=100, seed=7, key="small"))


async def one_by_one(service: Service) -> str:
    """Every stage on its own, and a request by reference."""
    return await _ended(service, sample(_LONG_CIRCUIT, shots=400_000, seed=7, key="one-by-one"))


async def refused(service: Service) -> str:
    """A circuit that cannot be read."""
    return await _ended(service, sample(BELL.replace("cx", "foo"), key="refused"))


async def hardware(service: Service) -> str:
    """Submitted, queued, polled, fetched."""
    return await _ended(service, sample(BELL, shots=10, backend="qpu", key="hardware"))


async def exhausted(service: Service) -> str:
    """The only rung refuses."""
    return await _ended(service, sample(BELL, shots=10, backend="down", key="exhausted"))


async def called_off(service: Service) -> str:
    """A total limit passes in the queue."""
    limits = Limits(total=timedelta(seconds=1))
    return await _ended(service, sample(BELL, shots=10, backend="busy", limits=limits, key="called-off"))


async def cancelled(service: Service) -> str:
    """Cancelled in the queue."""
    job = await service.qurable.submit(BELL, shots=10, backend="busy", key="cancelled")
    async for event in job.events():
        if event.state == "submitted":
            await job.cancel()
    return job.id


async def with_hooks(service: Service) -> str:
    """The caller's own stages before and after."""

    @activity.defn(name="same")
    async def same(request: dict[str, Any]) -> dict[str, Any]:
        return request

    @activity.defn(name="judge")
    async def judge(report: dict[str, Any]) -> str:
        return str(report["state"])

    hooks = Hooks(
        before=Hook(activity="same", task_queue="hooks"), after=Hook(activity="judge", task_queue="hooks")
    )
    async with Worker(service.temporal, task_queue="hooks", activities=[same, judge]):
        return await _ended(service, sample(BELL, shots=10, hooks=hooks, key="with-hooks"))


async def collected(service: Service) -> str:
    """Somebody joins a collector, has left by the time of the group, and nobody comes after that."""
    head = CollectorHead(id="default-collector-0", project="default", backend="qpu")
    start: WithStartWorkflowOperation[Any, int] = WithStartWorkflowOperation(
        COLLECTOR,
        head,
        id=head.id,
        task_queue=Queue.WORKFLOWS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    joiner = Joiner(tag="qurable-0", window=timedelta(seconds=1), pubs=1, executions=10)
    await service.temporal.execute_update_with_start_workflow(JOIN, joiner, start_workflow_operation=start)
    await (await start.workflow_handle()).result()
    return head.id


async def asked(service: Service) -> str:
    """A question to the store."""
    await service.qurable.list()
    async for execution in service.temporal.list_workflows('WorkflowType="ReadStore"', limit=1):
        return execution.id
    raise LookupError("no question was asked")


STORIES: dict[str, Callable[[Service], Awaitable[str]]] = {
    story.__name__: story
    for story in (
        small,
        one_by_one,
        refused,
        hardware,
        exhausted,
        called_off,
        cancelled,
        with_hooks,
        collected,
        asked,
        *PATTERNS,
    )
}


async def _ended(service: Service, work: Any) -> str:
    job = as_job(work)
    with contextlib.suppress(HybridError):
        await service.run(job)
    return job.job_id


async def _tell(home: Path) -> dict[str, str]:
    """Every story's history, as JSON, from a service in a data folder of its own."""
    backends = {
        "qpu": ScriptedBackend("qpu", Phase.QUEUED, Phase.RUNNING, Phase.DONE),
        "busy": ScriptedBackend("busy", Phase.QUEUED),
        "down": ScriptedBackend("down", refuses=TargetUnavailable("down for maintenance")),
    }
    histories = {}
    async with Nursery() as nursery, running_service(home, nursery, backends=dict(backends)) as service:
        for name, story in STORIES.items():
            workflow_id = await asyncio.wait_for(story(service), 120)
            history = await service.temporal.get_workflow_handle(workflow_id).fetch_history()
            histories[name] = history.to_json()
    return histories


def record(folder: Path) -> None:
    """Write every story's history into a folder."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as home:
        for name, history in run_main(_tell(Path(home))).items():
            (folder / f"{name}.json").write_text(history, encoding="utf-8")
        shutil.copytree(Path(home) / "payloads", folder / "payloads")


if __name__ == "__main__":
    record(FOLDER / sys.argv[1])
