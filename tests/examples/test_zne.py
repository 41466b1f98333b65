"""The example of zero-noise extrapolation, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120


@pytest.mark.long
async def test_the_value_at_zero_noise_is_drawn_and_nearer_to_the_truth(
    service: Service, tmp_path: Path
) -> None:
    """By far more than its error bar."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "zne" / "zne.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())

    assert (process.returncode, complaints) == (0, "")
    numbers = [float(number) for number in re.findall(r"[+-]?\d+\.\d{4}", printed)]
    raw, _, value, error, truth = numbers[:5]
    assert abs(raw - truth) - abs(value - truth) > 3 * error
    assert "exponential to zero noise by global folding, 4 times the shots" in printed
    drawn = (tmp_path / "zne.svg").read_text(encoding="utf-8")
    assert drawn.count("<circle") == 5
