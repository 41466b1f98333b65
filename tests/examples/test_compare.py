"""The example of comparisons, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120


@pytest.mark.long
async def test_places_are_compared_and_drawn(service: Service, tmp_path: Path) -> None:
    """Noiseless places agree, noisy ones differ from them, and the ring of five is cut in four places."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "compare" / "compare.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())

    assert (process.returncode, complaints) == (0, "")
    assert re.search(r"aer \| classical:clifford .* agree", printed)
    assert re.search(r"aer \| fake_manila .* differ", printed)
    assert "the mean by survival estimate" in printed
    assert re.search(r"a cut of 4 by \S+: its objective 4 is the best of 3", printed)
    picture = (tmp_path / "compare.svg").read_text(encoding="utf-8")
    assert picture.count("<rect") > 20
    assert "fake_torino" in picture
