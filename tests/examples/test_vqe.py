"""The example of a variational loop, run as its readers run it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120


@pytest.mark.long
async def test_the_loop_is_watched_to_its_end_and_found_again_by_its_id(
    service: Service, tmp_path: Path
) -> None:
    """The lid is closed after the first run: the second, somewhere else, prints the same end and draws the curve."""

    async def run(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / "vqe_h2" / "vqe.py",
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
    found = re.match(r"loop (\S+)", first)
    assert found is not None
    (tmp_path / "convergence.svg").unlink()
    second = await run(found.group(1))

    assert re.search(r"-1\.857\d+ hartree, 0\.\d+ mHa above", first)
    assert second.splitlines()[-1] == first.splitlines()[-1]
    assert "<polyline" in (tmp_path / "convergence.svg").read_text(encoding="utf-8")
