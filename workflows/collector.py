"""A collector: jobs that may share a provider job wait in it, until a window is over and the account may send."""

import asyncio
import contextlib
import functools
from datetime import datetime, timedelta

from temporalio import workflow

from qurable.contracts.base import SCHEMA_VERSION
from qurable.contracts.sharing import CollectorHead, GroupCall, Joiner
from qurable.errors import HybridError, WorkerOutdated
from qurable.names import COLLECTOR, JOIN
from workflows.calls import groups
from workflows.failures import final

MOST_MEMBERS = 100
MOST_PUBS = 10_000
MOST_EXECUTIONS = 5_000_000
"""Of one group; as many as one provider job and one request take."""

_IDLE = timedelta(seconds=60)
"""A collector without anybody ends after this; whoever joins next starts another."""


@workflow.defn(name=COLLECTOR, failure_exception_types=[HybridError])
class Collector:
    """Gather who waits, and have them run as one: when the first window is over, or a group is full, and it is the house's turn.

    Who is in a group in the end is decided in the store, where whoever leaves and whoever puts a group together meet.
    What is forgotten here, since somebody ended the collector or Temporal was lost, joins again by itself.
    """

    @workflow.init
    def __init__(self, head: CollectorHead) -> None:
        self._head = head
        self._groups = head.groups
        self._waiting: dict[str, Joiner] = {}
        self._closes: dict[str, datetime] = {}
        for joiner in head.waiting:
            self._seat(joiner)

    @workflow.run
    async def run(self, head: CollectorHead) -> int:
        """How many groups it has started, in all its runs."""
        if head.schema_version > SCHEMA_VERSION:
            raise final(
                WorkerOutdated(
                    f"worker of another version: the collector has schema version {head.schema_version}, this worker reads up to "
                    f"{SCHEMA_VERSION}; update the workers",
                    document=head.schema_version,
                    worker=SCHEMA_VERSION,
                )
            )
        while await self._somebody():
            await self._until_due()
            await groups.await_turn(self._so_far())
            await self._start_group()
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._so_far())
        return self._groups

    @workflow.update(name=JOIN)
    def join(self, joiner: Joiner) -> None:
        """Wait here; whoever joins twice waits once."""
        self._seat(joiner)
        self._show()

    def _seat(self, joiner: Joiner) -> None:
        if joiner.tag in self._waiting:
            return
        self._waiting[joiner.tag] = joiner
        self._closes[joiner.tag] = workflow.now() + joiner.window

    async def _somebody(self) -> bool:
        """Whether anybody waits, within some time."""
        while not self._waiting:
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: bool(self._waiting), timeout=_IDLE, timeout_summary="nobody joins"
                )
            if not self._waiting and workflow.all_handlers_finished():
                return False
        return True

    async def _until_due(self) -> None:
        """Return once the first window is over, or a group is full; who joins meanwhile may have a shorter window."""
        while not self._is_full() and self._left() > timedelta(0):
            left = self._left()
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    functools.partial(self._is_due_before, workflow.now() + left),
                    timeout=left,
                    timeout_summary="the window",
                )

    def _left(self) -> timedelta:
        """Of the first window to be over."""
        return min(self._closes.values()) - workflow.now()

    def _is_due_before(self, closes: datetime) -> bool:
        return self._is_full() or min(self._closes.values()) < closes

    def _is_full(self) -> bool:
        return len(self._waiting) >= MOST_MEMBERS or len(self._next()) < len(self._waiting)

    def _next(self) -> list[Joiner]:
        """Who is in the next group: the first to come, as far as they fit."""
        chosen: list[Joiner] = []
        for joiner in self._waiting.values():
            executions = sum(one.executions for one in chosen) + joiner.executions
            pubs = sum(one.pubs for one in chosen) + joiner.pubs
            fits = len(chosen) < MOST_MEMBERS and executions <= MOST_EXECUTIONS and pubs <= MOST_PUBS
            if chosen and not fits:
                break
            chosen.append(joiner)
        return chosen

    async def _start_group(self) -> None:
        """Have the first of those who wait run as one; who is in no group after that goes on waiting."""
        chosen = {joiner.tag: joiner for joiner in self._next()}
        call = GroupCall(collector=self._head.id, backend=self._head.backend, members=tuple(chosen))
        composed = await groups.start(call, self._groups)
        self._groups += bool(composed.group)
        left_over = {tag: joiner for tag, joiner in chosen.items() if tag in composed.left_over}
        self._waiting = left_over | {
            tag: joiner for tag, joiner in self._waiting.items() if tag not in chosen
        }
        self._closes = {tag: closes for tag, closes in self._closes.items() if tag in self._waiting}
        self._show()

    def _so_far(self) -> CollectorHead:
        """For the next run."""
        return self._head.model_copy(
            update={"waiting": tuple(self._waiting.values()), "groups": self._groups}
        )

    def _show(self) -> None:
        """Who waits, as the web UI's current details."""
        executions = sum(joiner.executions for joiner in self._waiting.values())
        workflow.set_current_details(
            f"{len(self._waiting)} jobs wait, {executions:,} executions · {self._groups} groups started · `{self._head.backend}`"
        )
