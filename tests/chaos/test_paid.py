"""The crash matrix of paid jobs: whatever dies or lies, an answer comes, and it is paid for once."""

import os
import time
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.chaos.paid_judge import table
from tests.chaos.paid_kills import LINES
from tests.chaos.paid_matrix import ROWS, chosen, play
from tests.chaos.test_kills import QUESTION
from tests.chaos.test_kills_batches import LINES as BATCH_LINES
from tests.chaos.test_kills_comparisons import LINES as COMPARISON_LINES
from tests.chaos.test_kills_cut import LINES as CUT_LINES
from tests.chaos.test_kills_matrices import LINES as MATRIX_LINES
from tests.chaos.test_kills_sharing import LINES as SHARING_LINES

SEED = int(os.environ.get("CHAOS_SEED", "7"))

ROUNDS = int(os.environ.get("CHAOS_PAID_ROUNDS", "0"))

LANES = int(os.environ.get("CHAOS_LANES", "2"))

MINUTES = float(os.environ.get("CHAOS_MINUTES", "inf"))

ONLY = os.environ.get("CHAOS_ROWS", "")

FEW, SOME = 3, 60

SIZES = (
    [pytest.param(ROUNDS, LANES)]
    if ROUNDS
    else [pytest.param(FEW, 1), pytest.param(SOME, LANES, marks=pytest.mark.long)]
)
"""Rounds and lanes: the whole matrix where `make chaos` asks for it, else a few, and some more."""


MARK = "<!-- Written by `make chaos`. -->"


def write_below(mark: str, path: Path, text: str) -> None:
    """Put a text in the place of everything below a mark, or of the whole file where there is none."""
    above = path.read_text(encoding="utf-8").split(mark)[0] if path.exists() else ""
    path.write_text(f"{above}{mark}\n\n{text}", encoding="utf-8")


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(("rounds", "lanes"), SIZES)
async def test_a_paid_job_survives_everything(rounds: int, lanes: int, tmp_path: Path) -> None:
    """Nothing is lost, changed or paid for twice, but in the rows that show what cannot be prevented."""
    began = time.monotonic()
    verdicts = await play(tmp_path, chosen(rounds, SEED, ONLY), SEED, lanes, MINUTES)
    took = (time.monotonic() - began) / 60
    summary = f"{len(verdicts)} rounds, seed {SEED}, in {lanes} lanes, {took:.0f} minutes."
    written = f"{summary}\n\n{table(verdicts)}\n"
    print(f"\n{written}")
    if target := os.environ.get("CHAOS_TABLE"):
        write_below(MARK, ROOT / target, written)

    assert [
        f"round {verdict.number}, {verdict.row.name}: {'; '.join(verdict.trouble)}"
        for verdict in verdicts
        if verdict.trouble
    ] == []


def test_every_failpoint_of_a_paid_job_is_in_the_matrix() -> None:
    """A line that nobody is killed at is a line that nobody has tried."""
    files = (
        *ROOT.glob("activities/*.py"),
        *ROOT.glob("backends/ibm_runtime.py"),
        *ROOT.glob("backends/ibm/*.py"),
    )
    named = {
        line.split('"')[1].rsplit(":", 1)[-1]
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "failpoint(" in line and '"' in line
    }

    # Those of patterns, but for the one in the middle of a job, are tried beside the rounds of paid jobs.
    patterns = (*BATCH_LINES, *MATRIX_LINES, *CUT_LINES, *SHARING_LINES, *COMPARISON_LINES)
    elsewhere = (*(line for line in patterns if not line.startswith("simulation:")), QUESTION)
    assert named == {line.rsplit(":", 1)[-1] for line in (*LINES, *elsewhere)}
    assert set(LINES) == {row.name.rsplit(" ", 1)[-1] for row in ROWS if "worker killed at" in row.name}
