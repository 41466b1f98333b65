"""The example of a batch, run as its readers run it."""

import asyncio
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 60
_SVG = "{http://www.w3.org/2000/svg}"


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
    picture = ET.parse(tmp_path / "sweep.svg").getroot()
    bars = [bar for bar in picture.findall(f"{_SVG}rect") if bar.get("width") == "42"]
    full = float(bars[0].get("height", 0))
    shares = [float(bar.get("height", 0)) / full for bar in bars]
    assert shares[:2] == [1, 0]
    assert shares[4] == pytest.approx(0.5, abs=0.1)
    assert shares[6:] == [0, 1]
