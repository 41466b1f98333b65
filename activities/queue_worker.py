"""One Temporal worker for one task queue, tuned for jobs of many short stages."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.boundary import Heartbeats, Watch

_STICKY = timedelta(seconds=1)
"""How long a workflow waits for the worker that has it cached; a killed one costs this, not ten seconds."""

_THROTTLE = timedelta(seconds=0.5)
"""Heartbeats carry cancellations back, which have to arrive within two seconds."""

_SANDBOX = SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules("qurable"))

_BUILD = f"qurable-{version('qurable')}"


def queue_worker(
    client: Client,
    queue: str,
    activities: Sequence[Callable[..., Any]],
    workflows: Sequence[type],
    *,
    slots: int,
    graceful_stop: timedelta,
    sandboxed: bool,
    watch: Watch,
) -> Worker:
    """A worker that has yet to be run.

    Args:
        client: A connected one.
        queue: The task queue.
        activities: What it runs.
        workflows: What it runs; empty for a queue that has activities alone.
        slots: Activities at once.
        graceful_stop: How long activities may go on once it is told to stop.
        sandboxed: Whether workflows are held to what replays.
        watch: Told how calls to places end.
    """
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        interceptors=[Heartbeats(watch)],
        workflow_runner=_SANDBOX if sandboxed else UnsandboxedWorkflowRunner(),
        max_concurrent_activities=slots,
        sticky_queue_schedule_to_start_timeout=_STICKY,
        max_heartbeat_throttle_interval=_THROTTLE,
        default_heartbeat_throttle_interval=_THROTTLE,
        graceful_shutdown_timeout=graceful_stop,
        # Otherwise the SDK hashes the code of every loaded module, once per worker: a second in all.
        build_id=_BUILD,
    )
