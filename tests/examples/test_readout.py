"""The example of readout mitigation, run as its readers run it."""

import asyncio
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from fallback.solvers.protocol import absent
from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

pytestmark = pytest.mark.skipif(bool(absent(["mthree"])), reason="mthree has no wheel for this Python")

_SECONDS = 60
_SVG = "{http://www.w3.org/2000/svg}"


async def test_counts_are_drawn_as_they_were_read_and_mended(service: Service, tmp_path: Path) -> None:
    """What was mended is nearer to what a device without errors reads."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "readout" / "readout.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())
    picture = ET.parse(tmp_path / "readout.svg").getroot()

    assert (process.returncode, complaints) == (0, "")
    read, mended = map(float, re.findall(r"^(?:as read|mitigated) +(\d\.\d{4}) of", printed, re.MULTILINE))
    assert read + 0.05 < mended <= 1.05
    assert "mitigated by mthree" in printed
    bars = [bar for bar in picture.findall(f"{_SVG}rect") if bar.get("width") == "14"]
    assert len(bars) % 2 == 0
    heights = [float(bar.get("height", 0)) for bar in bars]
    assert heights[0] + heights[-2] < heights[1] + heights[-1]
