"""The composition root: settings -> store, backends -> activities -> one worker per task queue.

Read it to see the whole system.
"""

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.accept import Accept
from activities.boundary import Heartbeats
from activities.checkpoint import Checkpoints, Failpoint, Journal, NoJournal, no_failpoint
from activities.fetch import Fetch
from activities.finish import Finish
from activities.plan_route import PlanRoute
from activities.post_process import PostProcess
from activities.prepare import Prepare
from activities.read_store import ReadStore as ReadStoreActivity
from activities.record import Record
from activities.submit import Submit
from activities.transpile import Transpile
from activities.validate import Validate
from activities.waiting import Waiting
from activities.withdraw import Withdraw
from backends.aer import GPU
from backends.registry import Registry
from backends.simulation import Engine
from isolation.admission import Admission
from isolation.pool import ChildPool, Nursery
from qurable.backend import QuantumBackend
from qurable.errors import HybridError
from qurable.names import Queue
from qurable.temporal.connect import configured, connected, keep_history, register_search_attributes
from qurable.temporal.duty import announced
from qurable.temporal.embedded import embedded_server
from qurable.temporal.run_main import run_main
from settings import EVERYDAY_QUEUES, Settings
from store import catalogue
from store.database import Database
from store.shelf import StoreShelf
from workflows.hybrid_job import HybridJob
from workflows.read_store import ReadStore

WORKFLOWS = (HybridJob, ReadStore)

_STICKY = timedelta(seconds=1)
"""How long a workflow waits for the worker that has it cached; a killed one costs this, not ten seconds."""

_THROTTLE = timedelta(seconds=0.5)
"""Heartbeats carry cancellations back, which have to arrive within two seconds."""

_SANDBOX = SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules("qurable"))

_PATIENCE_SECONDS = 60.0
_BUILD = f"qurable-{version('qurable')}"


@dataclass(frozen=True)
class Hooks:
    """What tests put in: notes of what ran, places to die, backends and children of their own, and the sandbox.

    The sandbox finds non-determinism while workflows are written; it costs a third of a small job's time, so the
    tests have it and production has not (`docs/decisions/0005-sandbox.md`).
    """

    journal: Journal = field(default_factory=NoJournal)
    failpoint: Failpoint = no_failpoint
    backends: Mapping[str, QuantumBackend] = field(default_factory=dict)
    sandboxed: bool = False
    nursery: Nursery | None = None


@contextlib.asynccontextmanager
async def workers(settings: Settings, client: Client, hooks: Hooks | None = None) -> AsyncIterator[Database]:
    """Run one worker for each queue that the settings name; gives out the store they use.

    Raises:
        BackendNotInstalled: The GPU's queue is to be served, and no GPU works here.
    """
    hooks = hooks or Hooks()
    async with contextlib.AsyncExitStack() as parts:
        nursery = await parts.enter_async_context(Nursery()) if hooks.nursery is None else hooks.nursery
        database = await parts.enter_async_context(Database(settings.store_url))
        known = await register_search_attributes(client)
        compiling = await parts.enter_async_context(ChildPool(nursery, settings.cores))
        simulating = await parts.enter_async_context(ChildPool(nursery, settings.cores))
        shelf = StoreShelf(database)
        admission = Admission(settings.capacity_bytes, settings.admission_folder)
        engine = Engine(simulating, admission, shelf, settings.cores, hooks.failpoint)
        registry = Registry(engine, hooks.backends, lambda name: database.read(catalogue.offered, name))
        if Queue.GPU in settings.served_queues:
            await database.write(catalogue.publish, [await registry.get(GPU).target()])
        stores = _Stores(database, shelf, Checkpoints(database, hooks.journal, hooks.failpoint))
        queues = _activities(settings, stores, registry, compiling, search_attributes=known)
        async with contextlib.AsyncExitStack() as running:
            for queue in settings.served_queues:
                if queue in queues:
                    runner = _SANDBOX if hooks.sandboxed else UnsandboxedWorkflowRunner()
                    await running.enter_async_context(_worker(settings, client, queue, queues[queue], runner))
            yield database


@dataclass(frozen=True)
class _Stores:
    """The store, and two ways to look at it."""

    database: Database
    shelf: StoreShelf
    checkpoints: Checkpoints


def _activities(
    settings: Settings, stores: _Stores, registry: Registry, compiling: ChildPool, *, search_attributes: bool
) -> dict[Queue, Sequence[Callable[..., Any]]]:
    """Every activity, with what it needs, by the queue that runs it."""
    shelf, checkpoints = stores.shelf, stores.checkpoints
    accept = Accept(checkpoints, shelf, settings.pace(search_attributes=search_attributes))
    validate = Validate(checkpoints, shelf, compiling, settings.source_limits)
    plan_route = PlanRoute(checkpoints, shelf, registry, settings.capacity_bytes)
    transpile = Transpile(checkpoints, shelf, registry, compiling)
    prepare = Prepare(checkpoints, validate, plan_route, transpile)
    submit = Submit(checkpoints, shelf, registry, settings.capacity_bytes)
    waiting = Waiting(checkpoints, registry)
    fetch = Fetch(checkpoints, registry)
    post_process = PostProcess(checkpoints, shelf, compiling)
    record = Record(checkpoints, shelf)
    finish = Finish(checkpoints, shelf, fetch, post_process)
    withdraw = Withdraw(checkpoints, registry)
    reading = ReadStoreActivity(stores.database, shelf, registry)

    return {
        Queue.WORKFLOWS: (
            accept.accept,
            prepare.prepare,
            submit.submit,
            fetch.fetch,
            post_process.post_process,
            record.record,
            finish.finish,
            withdraw.withdraw,
            reading.read_store,
        ),
        Queue.COMPILE: (validate.validate, plan_route.plan_route, transpile.transpile),
        Queue.SIM: (waiting.await_done,),
        Queue.GPU: (waiting.await_done,),
        Queue.SUBMIT: (submit.submit,),
        Queue.HARDWARE: (waiting.await_start, waiting.await_done, fetch.fetch),
    }


def _worker(
    settings: Settings,
    client: Client,
    queue: Queue,
    activities: Sequence[Callable[..., Any]],
    runner: WorkflowRunner,
) -> Worker:
    slots = {Queue.COMPILE: settings.cores, Queue.SIM: max(2, settings.cores), Queue.GPU: 1}
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS if queue is Queue.WORKFLOWS else (),
        activities=activities,
        interceptors=[Heartbeats()],
        workflow_runner=runner,
        max_concurrent_activities=slots.get(queue, settings.max_jobs_in_stage),
        sticky_queue_schedule_to_start_timeout=_STICKY,
        max_heartbeat_throttle_interval=_THROTTLE,
        default_heartbeat_throttle_interval=_THROTTLE,
        graceful_shutdown_timeout=settings.graceful_stop,
        # Otherwise the SDK hashes the code of every loaded module, once per worker: a second in all.
        build_id=_BUILD,
    )


async def until_signalled() -> None:
    """Wait for SIGTERM or SIGINT."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    try:
        await signalled.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def serve(settings: Settings, *, embedded: bool, hooks: Hooks | None = None) -> None:
    """Work until told to stop."""
    import structlog

    import observability  # what it brings is for services that stay, not for a single job

    log = structlog.get_logger("worker")
    observability.set_up_logs(settings.log_level)
    runtime = observability.make_runtime(settings.metrics_address)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_server(settings.home)) if embedded else None
        client = await stack.enter_async_context(
            connected(
                address=None if server is None else server.target,
                home=settings.home,
                runtime=runtime,
                patience_seconds=_PATIENCE_SECONDS,
            )
        )
        if server is not None:
            await keep_history(client)
        if not configured() and set(EVERYDAY_QUEUES) <= set(settings.served_queues):
            stack.enter_context(announced(settings.home))
        database = await stack.enter_async_context(workers(settings, client, hooks))
        await stack.enter_async_context(
            observability.health_endpoint(settings.health_address, lambda: _services(client, database))
        )
        log.info(
            "working",
            queues=[str(queue) for queue in settings.served_queues],
            pid=os.getpid(),
            store=database.name,
        )
        await until_signalled()
        log.info("stopping")


async def _services(client: Client, database: Database) -> dict[str, bool]:
    try:
        temporal = await client.service_client.check_health(timeout=timedelta(seconds=2))
    except Exception:  # noqa: BLE001  whatever it is, it does not answer
        temporal = False
    return {"temporal": temporal, "store": await database.answers()}


def parse_arguments() -> tuple[Settings, argparse.Namespace]:
    """Settings with the command line's words put in."""
    parser = argparse.ArgumentParser(
        prog="worker.py",
        description="Run Qurable's stages: one Temporal worker per task queue.",
        epilog="example: python worker.py --queues qurable-sim qurable-compile --health 127.0.0.1:8081",
    )
    parser.add_argument(
        "--queues",
        nargs="+",
        choices=list(Queue),
        metavar="QUEUE",
        help="task queues to serve; all but the GPU's by default",
    )
    parser.add_argument("--health", metavar="HOST:PORT", help="serve GET /health there")
    parser.add_argument(
        "--embedded", action="store_true", help="start a Temporal server for the data folder if none runs"
    )
    arguments = parser.parse_args()
    given: dict[str, Any] = {}
    if arguments.queues:
        given["queues"] = tuple(arguments.queues)
    if arguments.health:
        given["health_address"] = arguments.health
    return Settings.read(**given), arguments


def cli() -> None:
    """Entry point of `worker.py` and `qurable-worker`."""
    try:
        settings, arguments = parse_arguments()
        run_main(serve(settings, embedded=arguments.embedded))
    except HybridError as error:
        raise SystemExit(f"worker.py: {error.message}") from None


if __name__ == "__main__":
    cli()
