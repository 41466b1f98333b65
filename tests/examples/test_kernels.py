"""The example of a kernel, run as its readers run it."""

import asyncio
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 240
SCRIPT = EXAMPLES / "kernels" / "kernel.py"


@pytest.mark.long
async def test_the_kernel_is_judged_beside_rbf_on_samples_that_neither_has_seen(
    service: Service, tmp_path: Path
) -> None:
    """Half of the training kernel and all of the test's are run; a run that follows takes all of it over, to the same scores."""

    async def run() -> list[str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            SCRIPT,
            cwd=tmp_path,
            env=environment(service),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_SECONDS):
            printed, complaints = (stream.decode() for stream in await process.communicate())
        assert (process.returncode, complaints) == (0, "")
        return printed.splitlines()

    first, second = await run(), await run()

    assert first[1].startswith("2380 overlaps for 40 and 40 samples, 0 of them")
    assert second[1].startswith("2380 overlaps for 40 and 40 samples, 2380 of them")
    assert second[2:] == first[2:]
    scores = {
        name.strip(): float(score)
        for name, score in (re.findall(r"^(.*): (\d\.\d+) of 40", line)[0] for line in first[3:])
    }
    assert scores["larger class"] == 0.5
    assert min(scores["quantum kernel"], scores["RBF kernel"]) > 0.5
    assert (tmp_path / "kernels.svg").read_text(encoding="utf-8").count("<rect") == 1600 + 4


def test_labels_that_are_all_the_same_are_refused() -> None:
    """Any classifier would be right about them."""
    example = runpy.run_path(str(SCRIPT))

    with pytest.raises(SystemExit, match="two classes at the least"):
        example["refuse_constant"]([1, 1, 1])
