"""The plain script and the notebook, run as their readers run them."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.architecture.imports import ROOT
from tests.conftest import Service

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "notebook.ipynb"
LOOP_NOTEBOOK = EXAMPLES / "loop_notebook.ipynb"

_SECONDS = 60


def environment(service: Service) -> dict[str, str]:
    """What a process needs to find the service."""
    return os.environ | {
        "TEMPORAL_ADDRESS": service.server.target,
        "QURABLE_HOME": str(service.settings.home),
    }


async def test_the_script_prints_counts_and_a_sweep(service: Service, tmp_path: Path) -> None:
    """Started from anywhere, it follows a job and gets exact values from another."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "plain_script.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())

    assert (process.returncode, complaints) == (0, "")
    assert "completed" in printed
    assert sum(_counts(printed)) == 1000
    assert _angles(printed) == 5
    for line in printed.splitlines():
        if "(sin theta is" in line:
            value, expected = line.split()[2], line.split()[-1].rstrip(")")
            assert abs(float(value) - float(expected)) <= 1e-6  # as printed, six digits of an exact value


def _counts(printed: str) -> list[int]:
    lines = [line.split() for line in printed.splitlines()]
    return [int(words[1]) for words in lines if len(words) == 2 and set(words[0]) <= {"0", "1"}]


def _angles(printed: str) -> int:
    return printed.count("(sin theta is")


def _notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # it has no types


async def _outputs(service: Service, path: Path) -> list[Any]:
    """Run all cells in a fresh kernel; gives back what they put out."""
    notebook = _notebook(path)
    client = NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    )
    async with asyncio.timeout(2 * _SECONDS):
        await client.async_execute(env=environment(service))
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


async def _executed(service: Service, path: Path = NOTEBOOK) -> str:
    """What the cells printed."""
    return "".join(map(_text, await _outputs(service, path)))


def _text(output: Any) -> str:
    """What an output shows; printed text comes in as many pieces as the kernel makes of it."""
    shown = output.get("data", {}).get("text/plain")
    return str(output.get("text", "") if shown is None else f"{shown}\n")


async def test_the_notebook_finds_its_job_again_in_another_kernel(service: Service) -> None:
    """A second run, in a fresh kernel, attaches to the first one's job: the same id, the same report."""
    first = await _executed(service)
    second = await _executed(service)

    job_id = first.split("'")[1]
    assert job_id in second
    assert "found it completed" in second
    assert first.split("served by")[1] == second.split("served by")[1]
    assert service.journal.steps(job_id).count("submit-0") == 1


@pytest.mark.long
async def test_the_notebook_of_a_loop_draws_it_and_finds_it_again(service: Service) -> None:
    """One picture, drawn again until the loop has ended; in a second kernel, as on another machine, the same loop."""
    outputs = await _outputs(service, LOOP_NOTEBOOK)
    printed = "".join(map(_text, outputs))
    pictures = [
        output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})
    ]
    second = await _executed(service, LOOP_NOTEBOOK)

    assert len(pictures) == 1
    assert pictures[0].count("<polyline") == 2
    assert "completed, best -1.857" in pictures[0]
    assert "it is completed" in printed
    assert -0.01 <= float(printed.split("hartree, ")[1].split(" mHa")[0]) <= 1.6
    assert second.split("'")[1] == printed.split("'")[1]
    assert second.split("energy")[1] == printed.split("energy")[1]


@pytest.mark.parametrize("path", [NOTEBOOK, LOOP_NOTEBOOK], ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """What is in the repository is written by people; outputs would differ at every run."""
    cells = _notebook(path).cells

    assert [cell.id for cell in cells if cell.cell_type == "code" and cell.outputs] == []
