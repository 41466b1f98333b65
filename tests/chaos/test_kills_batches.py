"""Kill -9 in the middle of a batch: it goes on, each item has the same counts, and little is computed twice."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from circuits.seeds import STRIDE
from qurable.batches import Batch
from qurable.contracts.batches import ItemReport
from qurable.contracts.reports import State
from qurable.requests import AnyJob, sample
from tests.chaos.harness import DEADLINE_SECONDS, house
from tests.chaos.paid_house import Kind, paid_house
from tests.circuits_at_hand import BELL
from tests.paid import DEVICE

ITEMS = 320
LINES = ("batch:read", "batch:taken", "batch:started", "simulation:piece_kept", "batch:kept")
"""Failpoints of a batch, and one in the middle of a job of its."""

_PAID_LINES = ("batch:taken", "batch:started", "ibm:posted")

WIDE = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[8] q;\nbit[8] c;\n'
    + "\n".join(f"ry(a) q[{at}];\ncx q[{at}], q[{(at + 1) % 8}];" for _ in range(4) for at in range(8))
    + "\nc = measure q;\n"
)


def jobs() -> list[AnyJob]:
    """Bindings of one circuit, with seeds as one call of Aer would give them."""
    return [
        sample((WIDE, {"a": 0.01 * at}), shots=50, backend="aer", seed=7 + STRIDE * at) for at in range(ITEMS)
    ]


async def ended(batch: Batch) -> dict[int, ItemReport]:
    """Every item by its number."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        return {found.item: found async for found in batch.results()}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_kill_repeats_at_most_a_tenth_of_the_items(tmp_path: Path) -> None:
    """Wherever it comes. The same batch without a kill gives the same counts."""
    async with house(tmp_path, workers=1) as home:
        calm = await ended(await home.qurable.batch(jobs(), key="calm"))
        for failpoint in LINES:
            home.arm(failpoint)
            deaths = home.fleet.deaths
            killed = await home.qurable.batch(jobs(), key=failpoint)
            found = await ended(killed)
            report = await killed.report()

            assert home.was_reached(failpoint)
            assert home.fleet.deaths == deaths + 1
            assert report.counts == {State.COMPLETED: ITEMS}
            assert {at: item.counts() for at, item in found.items()} == {
                at: item.counts() for at, item in calm.items()
            }
            journal = home.journal()
            runs = Counter(
                line.job_id for line in journal if (line.what, line.step) == ("began", "await_done-0")
            )
            again = sum(runs[item.job_id] > 1 for item in found.values())
            print(f"{failpoint}: {again} of {ITEMS} items in jobs that ran again, {report.chunks} jobs")
            assert again <= ITEMS // 10


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("failpoint", _PAID_LINES)
async def test_a_kill_of_a_paid_batch_pays_for_each_chunk_once(failpoint: str, tmp_path: Path) -> None:
    """Wherever it comes: a chunk's job is found again at the provider."""
    asked = [40, 40, 40, 60, 60, 60]
    work = [sample(BELL, shots=shots, backend=DEVICE, fallback={"policy": "none"}) for shots in asked]
    async with paid_house(tmp_path, Kind.SQLITE) as home, asyncio.timeout(600):
        home.house.arm(failpoint)
        batch = await home.house.qurable.batch(work)
        found = {item.item: item async for item in batch.results()}
        report = await batch.report()
        taken = (await home.control.state())["jobs"]
        reached = home.house.was_reached(failpoint)

    assert reached
    assert report.counts == {State.COMPLETED: len(asked)}
    assert [sum(found[at].counts().values()) for at in range(len(asked))] == asked
    assert [job["status"] for job in taken] == ["Completed"] * 2
    assert report.qpu_seconds == pytest.approx(sum(job["billed_seconds"] for job in taken), abs=1e-2)
