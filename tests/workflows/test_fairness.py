"""One project's flood does not starve another: Temporal shares out every task queue by project."""

import asyncio
from pathlib import Path

import pytest

from isolation.pool import Nursery
from qurable.client import Job, Qurable
from qurable.requests import sample
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from settings import Settings
from tests.circuits_at_hand import BELL
from tests.conftest import MEMORY_MIB, MemoryJournal
from worker import Hooks, workers

FLOOD, FEW = 40, 5


async def _queued(qurable: Qurable, project: str, jobs: int) -> list[Job]:
    return [await qurable.submit(sample(BELL, shots=10, project=project)) for _ in range(jobs)]


async def _order_of_ends(home: Path, nursery: Nursery, *, fair: bool) -> list[bool]:
    """For each job in the order in which they ended, whether it is of the project that came last."""
    settings = Settings(
        home=home, memory_mib=MEMORY_MIB, admission_folder=home / "admission", max_jobs_in_stage=1
    )
    journal = MemoryJournal()
    flags = {"matching.enableFairness": str(fair).lower()}
    async with (
        embedded_server(home, extra_flags=flags) as server,
        connected(address=server.target, home=home) as client,
    ):
        qurable = Qurable(client)
        flood = await _queued(qurable, "flood", FLOOD)
        few = await _queued(qurable, "few", FEW)
        async with workers(settings, client, Hooks(journal=journal, sandboxed=True, nursery=nursery)):
            await asyncio.gather(*(job.result() for job in flood + few))
    ends = [entry for entry in journal.entries if (entry.what, entry.step) == ("ended", "finish-0")]
    assert len(ends) == FLOOD + FEW
    return [entry.job_id in {job.id for job in few} for entry in ends]


@pytest.mark.parametrize("fair", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_a_few_jobs_end_before_a_flood_that_was_queued_first(
    tmp_path: Path, nursery: Nursery, *, fair: bool
) -> None:
    """Without fair shares they end last, which shows that it is these that make the difference."""
    of_few = await _order_of_ends(tmp_path, nursery, fair=fair)
    last = max(position for position, few in enumerate(of_few, start=1) if few)

    assert (last <= 2.2 * FEW + 1) if fair else (last > FLOOD)
