"""The same seed gives the same counts although the worker is killed under the job."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accuracy.command_line import qurable
from tests.accuracy.families import QASM2, QASM3, SHOTS, Case, exported
from tests.chaos.harness import House, house

CASES = (Case("vqe_su2", 18, QASM2), Case("dynamic_qft", 6, QASM3), Case("graphstate", 16, QASM3))
"""One for a matrix product state, a dynamic one for a statevector, one for a stabilizer state."""

FAILPOINTS = ("await_done-0:begun", "simulation:piece_kept")
"""Before the first shot is taken, and after the shots are kept and before anybody is told."""


@pytest.fixture(scope="module")
async def shaken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("shaken")) as shaken:
        yield shaken


async def _run(shaken: House, case: Case, file: Path) -> Any:
    """Results of a case, by the command line."""
    report = await qurable(
        *("run", file, "--shots", SHOTS, "--seed", case.seed, "--json"),
        target=shaken.server.target,
        home=file.parent,
    )
    assert report["state"] == "completed"
    return report["results"]


def _crashes() -> Iterator[Any]:
    """Every case dies at every failpoint; the small ones at one each in the short tests."""
    for at, case in enumerate(CASES):
        for number, failpoint in enumerate(FAILPOINTS):
            short = case.width < 8 and number == at % len(FAILPOINTS)
            yield pytest.param(
                case, failpoint, marks=() if short else pytest.mark.long, id=f"{case}-{failpoint}"
            )


@pytest.mark.parametrize(("case", "failpoint"), tuple(_crashes()))
async def test_a_crash_changes_no_count(shaken: House, case: Case, failpoint: str, tmp_path: Path) -> None:
    """Whoever killed it, whenever it was: what was asked for is what comes."""
    file = tmp_path / f"{case}.qasm"
    file.write_text(exported(case.circuit(), case.form), encoding="utf-8")
    undisturbed = await _run(shaken, case, file)
    shaken.arm(failpoint)

    results = await _run(shaken, case, file)

    assert shaken.was_reached(failpoint), f"no worker ever came to {failpoint}"
    assert results == undisturbed
