"""Start a workflow under a key: once, whoever asks and however often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import Priority, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from qurable.endings import lacks_attributes, unreachable
from qurable.errors import KeyReused
from qurable.names import Attribute, Queue
from qurable.temporal.attributes import keywords
from qurable.temporal.in_workflow import MEMO_BODY

_RPC = timedelta(seconds=10)

_LONGEST = 200


@dataclass(frozen=True)
class Start:
    """What is started.

    Attributes:
        workflow: Its name.
        id: Of it, made of the key.
        args: Of it.
        project: Public slug.
        summary: For the web UI.
        what: What it is called in messages.
        body_hash: What must be equal for a reused key to mean the same.
        other: What the key belongs to where that differs.
        priority: Of its tasks, 1 to 5.
        words: Search attributes beside the project.
        again: Whether it runs once more after it has ended.
        eager: Whether the server may give its first task with the answer.
        within: How long Temporal may take to answer.
    """

    workflow: str
    id: str
    args: Sequence[Any]
    project: str
    summary: str
    what: str
    body_hash: str = ""
    other: str = "a request with another body"
    priority: int | None = None
    words: Mapping[Attribute, str] = field(default_factory=dict)
    again: bool = False
    eager: bool = False
    within: timedelta = _RPC


async def start_once(temporal: Client, start: Start, *, attributes: bool = True) -> bool:
    """Start a workflow, or find the one that its key already started; whether the server knows our search attributes.

    Args:
        temporal: A client.
        start: What.
        attributes: Whether to name them to begin with.

    Raises:
        KeyReused: The key belongs to another body.
        ServiceUnreachable: Temporal does not answer.
    """
    reuse = WorkflowIDReusePolicy
    try:
        await temporal.start_workflow(
            start.workflow,
            args=start.args,
            id=start.id,
            task_queue=Queue.WORKFLOWS,
            id_reuse_policy=reuse.ALLOW_DUPLICATE if start.again else reuse.REJECT_DUPLICATE,
            memo={MEMO_BODY: start.body_hash},
            search_attributes=keywords({Attribute.PROJECT: start.project, **start.words})
            if attributes
            else TypedSearchAttributes.empty,
            static_summary=start.summary[:_LONGEST],
            priority=Priority(priority_key=start.priority, fairness_key=start.project),
            request_eager_start=start.eager,
            rpc_timeout=start.within,
        )
    except WorkflowAlreadyStartedError:
        if not start.again and await _has_another_body(temporal, start):
            raise KeyReused(
                f"the idempotency key of {start.what} {start.id!r} already belongs to {start.other}: use a new key for a new "
                f"{start.what}",
                job_id=start.id,
            ) from None
    except RPCError as failure:
        if not (attributes and lacks_attributes(failure)):
            raise unreachable(failure) from None
        await start_once(temporal, start, attributes=False)  # a server where nobody has registered them
        return False
    return attributes


async def _has_another_body(temporal: Client, start: Start) -> bool:
    """Whether the key's workflow was started with another body; where it does not say with which, it was not.

    Raises:
        ServiceUnreachable: Temporal does not answer.
        JobNotFound: It is gone.
    """
    try:
        description = await temporal.get_workflow_handle(start.id).describe(rpc_timeout=_RPC)
    except RPCError as failure:
        raise unreachable(failure) from None
    known = (await description.memo()).get(MEMO_BODY)
    return bool(known) and known != start.body_hash
