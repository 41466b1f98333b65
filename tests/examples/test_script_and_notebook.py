"""The plain script and the notebook, run as their readers run them."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.architecture.imports import ROOT
from tests.conftest import Service

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "notebook.ipynb"

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


def _notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # it has no types


async def _executed(service: Service) -> str:
    """Run all cells in a fresh kernel; gives back what they printed."""
    notebook = _notebook()
    client = NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    )
    async with asyncio.timeout(2 * _SECONDS):
        await client.async_execute(env=environment(service))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(map(_text, outputs))


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


def test_the_notebook_is_kept_without_outputs() -> None:
    """What is in the repository is written by people; outputs would differ at every run."""
    cells = _notebook().cells

    assert [cell.id for cell in cells if cell.cell_type == "code" and cell.outputs] == []
