"""Kill -9 of the only worker at every line of a cut that matters: the same values, and no fragment is run as two jobs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qurable.contracts.cutting import CutState
from tests.chaos.harness import DEADLINE_SECONDS, house
from tests.cut_at_hand import HALF, MARGINALS, WANTED, two_halves

LINES = (
    "cut:planned",
    "cut:taken",
    "cut:started",
    "simulation:piece_kept",
    "cut:reconstructed",
    "cut:kept",
)
"""Failpoints of a cut, and one in the middle of a fragment's job."""

ASKED: dict[str, Any] = {
    "backend": "aer",
    "cut": {"qubits": HALF},
    "marginals": MARGINALS,
    "shots": 200,
    "seed": 5,
}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_cut_survives_a_kill_anywhere(tmp_path: Path) -> None:
    """Its values are those of the cut that nobody disturbed, and so are its jobs but for their names."""
    async with house(tmp_path, workers=1) as home:
        async with asyncio.timeout(DEADLINE_SECONDS):
            calm = await (await home.qurable.cut((two_halves(), WANTED), key="calm", **ASKED)).report()
        for failpoint in LINES:
            home.arm(failpoint)
            deaths = home.fleet.deaths
            async with asyncio.timeout(DEADLINE_SECONDS):
                cut = await home.qurable.cut((two_halves(), WANTED), key=failpoint, **ASKED)
                report = await cut.report()
                jobs = await home.qurable.list(limit=1000)

            assert home.was_reached(failpoint), failpoint
            assert home.fleet.deaths == deaths + 1
            assert report.state is CutState.COMPLETED
            assert (report.evs, report.stds, report.marginals) == (calm.evs, calm.stds, calm.marginals)
            assert [(end.name, end.ordinal) for end in report.fragments] == [("A", 0), ("B", 0)]
            own = {job.id for job in jobs if job.labels.get("cut") == cut.id}
            assert own == {end.job_id for end in report.fragments}
