"""The example of an estimate to a precision, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120
_ENERGY = -1.8572750
"""Of the ground state; the example's angle is rounded to it."""


@pytest.mark.long
async def test_the_energy_is_known_to_what_was_asked_for(service: Service, tmp_path: Path) -> None:
    """And the picture has a mark for each round."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "precise" / "precise.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())

    assert (process.returncode, complaints) == (0, "")
    found = re.search(r"([+-]\d\.\d{4}) ± (\d\.\d{4}) hartree", printed)
    assert found is not None
    value, error = map(float, found.groups())
    assert error <= 0.002
    assert abs(value - _ENERGY) < 4 * error
    rounds = re.search(r"precision reached after (\d+) rounds", printed)
    assert rounds is not None
    assert (tmp_path / "precise.svg").read_text(encoding="utf-8").count("<circle") == int(rounds.group(1))
