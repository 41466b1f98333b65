"""The example of a hedged run, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120


@pytest.mark.long
async def test_the_fast_place_is_kept_and_the_slow_one_withdrawn(service: Service, tmp_path: Path) -> None:
    """Long before the slow one would have ended; the picture says so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "hedge" / "hedge.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())
    picture = (tmp_path / "hedge.svg").read_text(encoding="utf-8")

    assert (process.returncode, complaints) == (0, "")
    assert printed.startswith("aer answered with 20000 shots\n")
    assert re.search(r"^fake_torino: cancelled, ", printed, re.MULTILINE)
    assert re.search(r"^aer: completed, ", printed, re.MULTILINE)
    assert ">withdrawn, confirmed<" in picture
    assert ">completed<" in picture
