"""The example of a batch, run as its readers run it."""

import asyncio
import sys
from pathlib import Path

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 60


async def test_the_batch_prints_its_items_and_the_sum(service: Service, tmp_path: Path) -> None:
    """Started from anywhere: four items are one job."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "batch" / "sweep.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())

    *items, total = printed.splitlines()
    assert (process.returncode, complaints) == (0, "")
    assert sorted(line.split()[0] for line in items) == ["0", "pi", "pi/2", "pi/4"]
    assert "completed  {'00': 1000}" in next(line for line in items if line.split()[0] == "0")
    assert total == "4 items in 1 job: completed"
