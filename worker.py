"""The composition root: settings -> store, backends -> activities -> one worker per task queue.

Read it to see the whole system.
"""

import argparse
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime

from activities.accept import Accept
from activities.approval import Approve
from activities.await_calibration import AwaitCalibration
from activities.batch_lines import BatchLines
from activities.batches import Batches
from activities.change import DecideChange
from activities.checkpoint import Checkpoints, Failpoint, Journal, NoJournal, no_failpoint
from activities.comparisons import Comparisons
from activities.cut_plans import CutPlans
from activities.cut_reports import CutReports
from activities.cut_runs import CutRuns
from activities.entanglement import Probing
from activities.fetch import Fetch
from activities.finish import Finish
from activities.fires import Fires
from activities.groups import Groups
from activities.health import HealthWatch
from activities.iterations import Iterations
from activities.loop_references import LoopReferences
from activities.loop_reports import LoopReports
from activities.loop_sessions import LoopSessions
from activities.loop_turns import LoopTurns
from activities.matrices import Matrices
from activities.owners import TemporalOwners
from activities.places import Patience, Places
from activities.plan_route import PlanRoute
from activities.post_process import PostProcess
from activities.precise import PreciseRounds
from activities.prepare import Prepare
from activities.preview import Preview
from activities.queue_worker import queue_worker
from activities.read_store import ReadStore as ReadStoreActivity
from activities.reconcile import Reconcile
from activities.reconciler_schedule import Caretaking
from activities.record import Record
from activities.seats import Seats
from activities.sessions import Sessions
from activities.set_budget import SetBudget as SetBudgetActivity
from activities.set_rollout import SetRollout as SetRolloutActivity
from activities.shadows import Shadows
from activities.submit import Submit
from activities.transpile import Transpile
from activities.validate import Validate
from activities.waiting import Pacing, Waiting
from activities.withdraw import Withdraw
from backends.aer import GPU
from backends.ibm.account import Account
from backends.ibm.accounts import Accounts
from backends.ibm.provider import Rules, connected_provider
from backends.registry import Registry
from fallback.cache_backend import CacheBackend
from fallback.circuit_backend import circuit_backends
from fallback.problem_backend import problem_backends
from fallback.table import StrategyTable
from fallback.table_file import load_table
from isolation.admission import Admission
from isolation.pool import ChildPool, Nursery
from isolation.runs import Engine
from qurable.backend import QuantumBackend
from qurable.contracts.stages import ReconcileCall
from qurable.errors import HybridError
from qurable.names import CACHE, Queue
from qurable.temporal.connect import configured, connected, keep_history, register_search_attributes
from qurable.temporal.duty import announced
from qurable.temporal.embedded import embedded_server
from qurable.temporal.run_main import run_main, until_signalled
from settings import EVERYDAY_QUEUES, Settings
from store import catalogue
from store.database import Database
from store.ledger import StoreLedger
from store.shelf import StoreShelf
from workflows.batch import Batch
from workflows.collector import Collector
from workflows.comparison import Comparison
from workflows.cut import Cut
from workflows.hybrid_job import HybridJob
from workflows.matrix import Matrix
from workflows.precise import PreciseEstimate
from workflows.read_store import ReadStore
from workflows.reconciler import Reconciler
from workflows.scheduled import ScheduledRun
from workflows.set_budget import SetBudget
from workflows.set_rollout import SetRollout
from workflows.shadow import Shadow
from workflows.variational import Variational

WORKFLOWS = (
    Batch,
    Comparison,
    Cut,
    Collector,
    HybridJob,
    Matrix,
    PreciseEstimate,
    ReadStore,
    Reconciler,
    ScheduledRun,
    SetBudget,
    SetRollout,
    Shadow,
    Variational,
)

_PATIENCE_SECONDS = 60.0


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
    ibm_nursery: Nursery | None = None


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
        ledger = StoreLedger(database)
        connecting = connected_provider(
            shelf, ledger, _accounts(settings), _rules(settings), hooks.failpoint, hooks.ibm_nursery
        )
        provider = await parts.enter_async_context(connecting)
        solvers = {
            **circuit_backends(engine),
            **problem_backends(engine),
            CACHE: CacheBackend(CACHE, engine),
        }
        registry = Registry(
            engine,
            provider,
            {**solvers, **hooks.backends},
            lambda name: database.read(catalogue.offered, name),
        )
        if Queue.GPU in settings.served_queues:
            await database.write(catalogue.publish, [await registry.get(GPU).target()])
        checkpoints = Checkpoints(database, hooks.journal, hooks.failpoint)
        table = load_table(settings.strategy)
        meter = (client.service_client.config.runtime or Runtime.default()).metric_meter
        watch = await parts.enter_async_context(HealthWatch(database, registry, table.breaker, meter))
        queues = _activities(
            settings,
            client,
            database,
            shelf,
            checkpoints,
            registry,
            compiling,
            engine,
            table,
            watch,
            search_attributes=known,
        )
        async with contextlib.AsyncExitStack() as running:
            for queue in settings.served_queues:
                if queue in queues:
                    worker = queue_worker(
                        client,
                        queue,
                        queues[queue],
                        WORKFLOWS if queue is Queue.WORKFLOWS else (),
                        slots=_slots(settings, queue),
                        graceful_stop=settings.graceful_stop,
                        sandboxed=hooks.sandboxed,
                        watch=watch,
                    )
                    await running.enter_async_context(worker)
            yield database


def _rules(settings: Settings) -> Rules:
    return Rules(
        generation=settings.ibm_primitives,
        per_minute=settings.ibm_submissions_per_minute,
        send_within=settings.ibm_send_within,
        read_timeout=settings.ibm_read_timeout,
        tag_lag=settings.ibm_tag_lag,
    )


def _accounts(settings: Settings) -> Accounts:
    entries = {
        label: Account(label=label, **entry.model_dump(exclude={"projects"}))
        for label, entry in settings.ibm_accounts.items()
    }
    projects = {
        project: label for label, entry in settings.ibm_accounts.items() for project in entry.projects
    }
    return Accounts(entries, projects, os.environ, settings.home)


def _activities(
    settings: Settings,
    client: Client,
    database: Database,
    shelf: StoreShelf,
    checkpoints: Checkpoints,
    registry: Registry,
    compiling: ChildPool,
    engine: Engine,
    table: StrategyTable,
    watch: HealthWatch,
    *,
    search_attributes: bool,
) -> dict[Queue, Sequence[Callable[..., Any]]]:
    """Every activity, with what it needs, by the queue that runs it."""
    accept = Accept(checkpoints, shelf, settings.pace(search_attributes=search_attributes))
    validate = Validate(checkpoints, shelf, compiling, settings.source_limits)
    probing = Probing(shelf, compiling, settings.capacity_bytes)
    plan_route = PlanRoute(checkpoints, shelf, registry, table, settings.capacity_bytes, watch, probing)
    transpile = Transpile(checkpoints, shelf, registry, compiling)
    prepare = Prepare(checkpoints, validate, plan_route, transpile)
    caretaking = Caretaking(client, settings.reconcile_every, ReconcileCall(heartbeat=settings.heartbeat))
    submit = Submit(checkpoints, shelf, registry, settings.capacity_bytes, caretaking.begin)
    sessions = Sessions(checkpoints, shelf, registry, caretaking.begin)
    loop_sessions = LoopSessions(database, registry)
    pacing = Pacing(settings.poll_shortest, settings.poll_longest)
    waiting = Waiting(checkpoints, registry, pacing)
    calibration = AwaitCalibration(database, settings.poll_shortest)
    grouping = Groups(checkpoints, shelf, registry, client)
    seats = Seats(checkpoints, shelf, registry, client, grouping, pacing)
    fetch = Fetch(checkpoints, registry)
    post_process = PostProcess(checkpoints, shelf, compiling)
    record = Record(checkpoints, shelf)
    finish = Finish(checkpoints, shelf, fetch, post_process)
    withdraw = Withdraw(checkpoints, registry)
    shadows = Shadows(checkpoints, shelf, registry, compiling)
    batching = Batches(
        database, shelf, BatchLines(compiling, settings.source_limits), client, checkpoints.failpoint
    )
    preview = Preview(validate, plan_route)
    cut_plans = CutPlans(
        database, shelf, compiling, registry, settings.source_limits, preview, checkpoints.failpoint
    )
    cut_runs = CutRuns(database, shelf, client, checkpoints.failpoint)
    cut_reports = CutReports(database, shelf, compiling, checkpoints.failpoint)
    fires = Fires(database, shelf, settings.exports_folder, search_attributes=search_attributes)
    comparing = Comparisons(
        database, shelf, registry, compiling, checkpoints.failpoint, search_attributes=search_attributes
    )
    iterations = Iterations(
        database,
        compiling,
        engine.pool,
        engine.admission,
        settings.source_limits,
        LoopReferences(compiling, engine.admission),
        settings.heartbeat,
        registry,
    )
    matrices = Matrices(database, shelf, compiling, client, settings.source_limits, checkpoints.failpoint)
    loop_turns = LoopTurns(database, shelf, engine.pool)
    loop_reports = LoopReports(database, shelf, engine.pool)
    reading = ReadStoreActivity(database, shelf, registry, preview, watch, checkpoints.failpoint)
    patience = Patience(grace=settings.reconcile_grace, settling=_rules(settings).settling)
    places = Places(registry.get, registry.payers)
    reconcile = Reconcile(database, TemporalOwners(client), places, patience)

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
            batching.begin,
            batching.end,
            reading.read_store,
            waiting.await_done,
            SetBudgetActivity(database).set_budget,
            Approve(checkpoints).approval,
            DecideChange(checkpoints, shelf, watch).change,
            SetRolloutActivity(database, registry).set_rollout,
            PreciseRounds(database, shelf, compiling).precise,
            fires.due,
            fires.due_request,
            fires.tally_fire,
            shadows.plan_shadow,
            shadows.compare_shadow,
            grouping.start_group,
            comparing.begin_comparison,
            comparing.leg_request,
            comparing.judge_leg,
            comparing.end_comparison,
        ),
        Queue.COMPILE: (
            iterations.begin_loop,
            matrices.begin,
            matrices.end,
            cut_plans.plan_cut,
            cut_reports.end_cut,
            validate.validate,
            plan_route.plan_route,
            transpile.transpile,
        ),
        Queue.SIM: (
            waiting.await_done,
            iterations.iterate,
            loop_reports.end_loop,
            loop_turns.turn,
            loop_turns.last,
        ),
        Queue.CLASSICAL: (waiting.await_done,),
        Queue.GPU: (waiting.await_done,),
        Queue.SUBMIT: (submit.submit,),
        Queue.HARDWARE: (
            sessions.open_session,
            calibration.await_calibration,
            waiting.await_start,
            waiting.await_done,
            fetch.fetch,
            withdraw.withdraw,
            sessions.close_session,
            loop_sessions.leave,
            reconcile.reconcile,
            batching.advance,
            batching.cancel,
            matrices.advance,
            matrices.cancel,
            cut_runs.run_fragments,
            cut_runs.cancel_fragments,
            seats.join_group,
            seats.await_group,
            seats.leave_group,
            grouping.await_turn,
        ),
    }


def _slots(settings: Settings, queue: Queue) -> int:
    """Activities that a queue's worker runs at once: as many as there are cores where they compute.

    Few where all projects meet, since whatever a worker has taken is no longer shared out between them.
    """
    computing = max(2, settings.cores)
    slots = {
        Queue.WORKFLOWS: min(2 * computing, settings.max_jobs_in_stage),
        Queue.COMPILE: settings.cores,
        Queue.SIM: computing,
        Queue.CLASSICAL: computing,
        Queue.GPU: 1,
    }
    return slots.get(queue, settings.max_jobs_in_stage)


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
