"""A cancellation that comes while an activity is about to end well is heeded."""

import asyncio
from pathlib import Path

from temporalio import activity
from temporalio.common import RawValue
from temporalio.worker import Worker

from qurable.contracts.base import digest
from qurable.contracts.batches import BatchCall, BatchHead, BatchReport, BatchStatus
from qurable.contracts.reports import State
from qurable.contracts.stages import Waited
from qurable.names import BATCH, Activity, Queue
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from tests.chaos.harness import until
from workflows import batch

_STATUS = BatchStatus(id="lab-batch-1", items=1, counts={State.ACCEPTED: 1})


class Turns:
    """Activities of a batch whose turn has written its last row when it hears that it is to stop."""

    def __init__(self) -> None:
        self.called: list[str] = []

    @activity.defn(name=Activity.BATCH_BEGIN)
    async def begin(self, head: BatchHead, call: BatchCall, body: RawValue) -> BatchStatus:
        """One item."""
        self.called.append("begin")
        return _STATUS

    @activity.defn(name=Activity.BATCH_ADVANCE)
    async def advance(self, call: BatchCall) -> BatchStatus:
        """Ends well, whatever it is told."""
        self.called.append("advance")
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            return _STATUS

    @activity.defn(name=Activity.BATCH_CANCEL)
    async def cancel(self, head: BatchHead, call: BatchCall) -> Waited:
        """What has to follow."""
        self.called.append("cancel")
        return Waited()

    @activity.defn(name=Activity.BATCH_END)
    async def end(self, call: BatchCall) -> BatchReport:
        """What must not."""
        self.called.append("end")
        raise AssertionError(call)


async def test_a_turn_that_ends_well_though_it_was_to_stop_is_the_last(tmp_path: Path) -> None:
    """The batch would go on for ever otherwise, since nobody cancels it twice."""
    turns = Turns()
    async with (
        embedded_server(tmp_path) as server,
        connected(address=server.target, home=tmp_path) as client,
        Worker(
            client,
            task_queue=Queue.WORKFLOWS,
            workflows=[batch.Batch],
            activities=[turns.begin, turns.cancel, turns.end],
        ),
        Worker(client, task_queue=Queue.HARDWARE, activities=[turns.advance, turns.cancel]),
    ):
        head = BatchHead(id="lab-batch-1", project="lab", body_hash=digest(b""))
        handle = await client.start_workflow(BATCH, args=[head, b""], id=head.id, task_queue=Queue.WORKFLOWS)
        await until("a turn is under way", lambda: "advance" in turns.called)
        await handle.cancel()
        await until("it is cancelled, or goes on", lambda: len(turns.called) > 2)

        assert turns.called == ["begin", "advance", "cancel"]
