"""A comparison whose workflow is reset, or goes on as another, joins the jobs that run; and what cancels in the middle."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from isolation.pool import Nursery
from qurable.comparing import Comparison
from qurable.contracts.comparisons import ComparisonState
from qurable.contracts.executions import Phase
from qurable.contracts.reports import State
from qurable.errors import JobCancelled
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import Service, running_service
from tests.fakes.scripted import ScriptedBackend
from tests.workflows.resets import reset

EVENTS = 40
"""A history that the server calls long; joining reaches it within seconds."""


@pytest.fixture(scope="module")
def places() -> dict[str, ScriptedBackend]:
    """Places whose jobs wait until they are told otherwise, one for each test and for what it compares with."""
    return {name: ScriptedBackend(name, Phase.QUEUED) for name in ("slow", "slower", "lost")}


@pytest.fixture(scope="module")
async def service(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, places: dict[str, ScriptedBackend]
) -> AsyncIterator[Service]:
    """A service whose server soon calls a history long."""
    flags = {"limit.historyCount.suggestContinueAsNew": str(EVENTS)}
    home = tmp_path_factory.mktemp("joined")
    async with running_service(home, nursery, backends={**places}, server_flags=flags) as service:
        yield service


async def _run_id(client: Client, comparison: Comparison) -> str:
    return (await client.get_workflow_handle(comparison.id).describe()).run_id


@pytest.mark.long
async def test_jobs_that_run_are_joined_after_a_reset_and_after_continuing_as_new(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """Nothing is sent twice, and the report is the one that it would have been."""
    slow, client = places["slow"], service.temporal
    comparison = await service.qurable.compare(
        sample(BELL, shots=100, seed=7, key="joined"), on=["slow", "aer"]
    )
    await asyncio.wait_for(slow.queued.wait(), 60)
    again = await reset(client, comparison.id)

    async def went_on() -> bool:
        return await _run_id(client, comparison) != again

    await until("a run goes on as another", went_on, 120)
    status = await comparison.status()
    slow.script(Phase.DONE)
    report = await asyncio.wait_for(comparison.report(), 120)

    assert status.state in (ComparisonState.PREPARING, ComparisonState.RUNNING)
    assert [leg.state for leg in report.legs] == [State.COMPLETED, State.COMPLETED]
    assert len(slow.submitted) == 1
    assert slow.cancelled == []
    assert report.pairs[0].p_value is not None


@pytest.mark.long
async def test_a_job_that_was_joined_is_cancelled_with_its_comparison(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """It is nobody's child any more, and told all the same; the end is waited for."""
    slower = places["slower"]
    comparison = await service.qurable.compare(sample(BELL, shots=100, key="told"), on=["slower", "aer"])
    await asyncio.wait_for(slower.queued.wait(), 60)
    await reset(service.temporal, comparison.id)

    async def running() -> bool:
        status = await comparison.status()
        return any(leg.place == "aer" and leg.state == "ended" for leg in status.legs)

    await until("the other place has ended again", running, 60)
    await comparison.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(comparison.report(), 60)
    stored = await comparison.stored()

    assert slower.cancelled == slower.submitted
    assert len(slower.submitted) == 1
    assert [leg.state for leg in stored.legs] == [State.CANCELLED, State.COMPLETED]


@pytest.mark.long
async def test_the_losers_of_a_hedged_run_that_is_terminated_are_told_to_stop(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """Nobody is left to withdraw them, so Temporal does."""
    lost = places["lost"]
    hedged = await service.qurable.hedge(sample(BELL, shots=100, key="gone"), on=["lost", "aer"], after="1h")
    await asyncio.wait_for(lost.queued.wait(), 60)
    leg = (await hedged.status()).legs[0].job_id
    await service.temporal.get_workflow_handle(hedged.id).terminate()

    with pytest.raises(JobCancelled):
        await asyncio.wait_for(service.qurable.result(leg), 60)
    assert lost.cancelled == lost.submitted
