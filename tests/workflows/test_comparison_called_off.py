"""A comparison that is cancelled while it is taken up again withdraws what an earlier run of it has started."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.worker import Worker

from qurable.comparing import as_comparison
from qurable.contracts.comparisons import (
    BeginComparison,
    ComparisonHead,
    ComparisonPlan,
    ComparisonReport,
    ComparisonState,
    EndComparison,
    Leg,
)
from qurable.contracts.jobs import JobHead
from qurable.names import COMPARISON, HYBRID_JOB, Activity, Queue
from qurable.requests import sample
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.fakes.ends_well import EndsWell
from workflows.comparison import Comparison


@dataclass
class Held:
    """Activities of a comparison, the first of which takes as long as it is held.

    Attributes:
        legs: Of the plan.
        begun: Whether it was asked for the plan.
        go_on: Lets the plan go.
        ended: What it was asked to sum up.
    """

    legs: tuple[Leg, ...]
    begun: bool = False
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[EndComparison] = field(default_factory=list)

    @activity.defn(name=Activity.BEGIN_COMPARISON)
    async def begin(self, call: BeginComparison, body: Any) -> ComparisonPlan:
        """The plan, late."""
        del call, body
        self.begun = True
        await self.go_on.wait()
        return ComparisonPlan(legs=self.legs)

    @activity.defn(name=Activity.LEG_REQUEST)
    async def request_of(self, request: str) -> str:
        """Anything: nobody reads it here."""
        return request

    @activity.defn(name=Activity.END_COMPARISON)
    async def end(self, call: EndComparison) -> ComparisonReport:
        """A report of no consequence."""
        self.ended.append(call)
        now = datetime.now(UTC)
        return ComparisonReport(
            id=call.id,
            project="default",
            kind="sample",
            state=ComparisonState.CANCELLED,
            rule="none",
            began=now,
            ended=now,
        )


async def test_jobs_of_an_earlier_run_are_withdrawn(tmp_path: Path) -> None:
    """One runs, the other was never started, and the sum says so."""
    work = as_comparison(sample(BELL, shots=10), ["aer", "fake_manila"])
    heads = [JobHead.of(sample(BELL, shots=10, backend=place, key=place)) for place in work.places]
    held = Held(
        tuple(
            Leg(place=place, head=head, request="r") for place, head in zip(work.places, heads, strict=True)
        )
    )
    head = ComparisonHead.of(work)
    async with (
        embedded_server(tmp_path) as server,
        connected(address=server.target, home=tmp_path) as client,
        Worker(
            client,
            task_queue=Queue.WORKFLOWS,
            workflows=[Comparison, EndsWell],
            activities=[held.begin, held.request_of, held.end],
        ),
    ):
        earlier = await client.start_workflow(
            HYBRID_JOB, args=["head", "body"], id=heads[0].id, task_queue=Queue.WORKFLOWS
        )
        handle = await client.start_workflow(
            COMPARISON, args=[head, "body", None], id=head.id, task_queue=Queue.WORKFLOWS
        )
        await until("it is planned", lambda: held.begun)
        await handle.cancel()
        held.go_on.set()
        with pytest.raises(WorkflowFailureError) as ended:
            await asyncio.wait_for(handle.result(), 60)
        answer = await asyncio.wait_for(earlier.result(), 60)

    (summed,) = held.ended
    assert isinstance(ended.value.cause, CancelledError)
    assert answer == "an answer"
    assert summed.cancelled
    assert {end.place: (end.started, end.withdrawn) for end in summed.ends} == {
        "aer": (True, True),
        "fake_manila": (False, False),
    }
