"""The example of a cut, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 150


@pytest.mark.long
async def test_the_magnet_agrees_with_the_whole_and_is_found_again_by_its_id(
    service: Service, tmp_path: Path
) -> None:
    """The second run, somewhere else, has the same values, and draws them."""

    async def run(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / "cutting" / "whole_and_cut.py",
            *arguments,
            cwd=tmp_path,
            env=environment(service),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_SECONDS):
            printed, complaints = (stream.decode() for stream in await process.communicate())
        assert (process.returncode, complaints) == (0, "")
        return printed

    first = await run()
    found = re.search(r"^cut (\S+)$", first, re.MULTILINE)
    assert found is not None
    (tmp_path / "cutting.svg").unlink()
    second = await run(found.group(1))

    rows = re.findall(r"whole (\S+)  cut (\S+) ± (\S+)", second)
    assert len(rows) == 9
    for whole, cut, error in rows:
        assert abs(float(whole) - float(cut)) < 4 * float(error)
    assert first.splitlines()[-9:] == second.splitlines()
    assert (tmp_path / "cutting.svg").read_text(encoding="utf-8").count("<circle") == 9
