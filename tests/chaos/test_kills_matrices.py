"""Kill -9 in the middle of a kernel: it goes on, has the same values, and no entry belongs to two jobs."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qurable.contracts.matrices import MatrixReport, MatrixState
from qurable.matrices import MatrixRun
from qurable.matrix_files import Matrix
from tests.chaos.harness import DEADLINE_SECONDS, House, house
from tests.matrices_at_hand import data, feature_map

SAMPLES = 16
LINES = ("matrix:begun", "matrix:asked", "matrix:started", "matrix:kept", "matrix:ended")
"""Failpoints of a matrix; those of its batch are among the batches' own."""

IN_ITS_JOBS = ("simulation:piece_kept",)


async def _kernel(home: House, key: str) -> tuple[MatrixRun, MatrixReport, Matrix]:
    """A kernel that takes nothing over from another, with seeds that give the same values every time."""
    options: dict[str, Any] = {"shots": 200, "seed": 11, "reuse": False, "key": key}
    run = await home.qurable.kernel(feature_map(), data(SAMPLES), **options)
    async with asyncio.timeout(2 * DEADLINE_SECONDS):
        return run, await run.report(), await run.matrix()


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_killed_kernel_is_the_kernel_it_would_have_been(tmp_path: Path) -> None:
    """Wherever it is killed: the same values to the bit, the same number of jobs, each step of each job done once."""
    async with house(tmp_path, workers=1) as home:
        _, calm, expected = await _kernel(home, "calm")
        for failpoint in (*LINES, *IN_ITS_JOBS):
            home.arm(failpoint)
            deaths = home.fleet.deaths
            run, report, matrix = await _kernel(home, failpoint)

            assert home.was_reached(failpoint)
            assert home.fleet.deaths == deaths + 1
            assert (report.state, report.kept, report.jobs) == (MatrixState.COMPLETED, 120, calm.jobs)
            assert (len(report.batches), report.reused) == (1, 0)
            for name in ("train", "train_error", "train_job"):
                assert np.array_equal(matrix[name], expected[name]), (failpoint, name)
            jobs = {job["id"] for job in matrix.header.provenance["jobs"]}
            assert len(jobs) == calm.jobs
            assert {job: home.repeated(job) for job in jobs} == {job: [] for job in jobs}
            assert (await run.status()).batch == report.batches[0]
