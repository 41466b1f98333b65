"""The example of callers who share provider jobs, run as its readers run it, on the emulator."""

import asyncio
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.examples.test_script_and_notebook import EXAMPLES, environment
from tests.paid import Paid

_SECONDS = 200
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.long
async def test_callers_share_and_the_picture_shows_it(paid: Paid, tmp_path: Path) -> None:
    """Two dozen callers, far fewer provider jobs, and each its own counts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "sharing" / "callers.py",
        cwd=tmp_path,
        env=environment(paid.service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())
    taken = await paid.taken()
    picture = (tmp_path / "sharing.svg").read_text(encoding="utf-8")

    *lines, total = printed.splitlines()
    assert (process.returncode, complaints) == (0, "")
    found = re.fullmatch(r"24 callers, (\d+) provider jobs, (\d+\.\d+) QPU seconds", total)
    assert found is not None, total
    assert int(found[1]) == len(taken) < 24
    assert "{'00': 200}" in lines[0]
    assert "{'11': 200}" in lines[-1]
    assert len(ET.fromstring(picture).findall(f"{_SVG}circle")) == 24
