"""Kill -9 between a failure, the change that answers it, and the next try: one change, one kept job, the same answer."""

from pathlib import Path

import pytest

from qurable.contracts.budgets import JobBudget
from qurable.contracts.changes import Altered
from qurable.contracts.reports import State
from qurable.errors import JobFailed
from qurable.requests import sample
from tests.chaos.harness import House, house
from tests.chaos.paid_house import VARIABLES
from tests.circuits_at_hand import BELL
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, fair_weather

RUNNING = (
    "change-0.1:worked",
    "change-0.1:kept",
    "submit-0.1:intended",
    "ibm:posted",
)
"""Lines between a submission that a budget has no room for, and the one with fewer shots."""

COMPILING = ("change-0.1:worked", "change-0.2:kept")
"""Lines between compilations with other seeds."""

OUT_OF_REACH = {"policy": "none", "floor": {"kind": "survival_estimate", "value": 1.0}}


async def _cut_once(chaos: House, line: str) -> int:
    """Kill a worker at a line of a job that has to be cut; gives back to how many shots it was."""
    chaos.arm(line)
    work = sample(
        BELL,
        shots=20_000,
        backend=DEVICE,
        budget=JobBudget(qpu_seconds=7),
        fallback={"policy": "none", "least_shots": 1000},
        key=line,
    )
    report = await chaos.qurable.run(work)

    assert chaos.was_reached(line), line
    assert report.state is State.COMPLETED
    (change,) = report.changes
    assert change.what is Altered.SHOTS
    assert sum(report.counts().values()) == change.after
    assert chaos.repeated(report.id) == []
    (sent,) = [record for record in report.provider_jobs if record.id]
    assert sent.reserved == 7
    assert report.incidents == ()
    return int(change.after)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_killed_worker_changes_nothing_twice(emulated_ibm: EmulatorProcess, tmp_path: Path) -> None:
    """At every line between the refusal and the submission that fits; so too between compilations."""
    await fair_weather(emulated_ibm.control)
    variables = {**VARIABLES, **emulated_ibm.environment}
    async with house(tmp_path / "house", variables=variables) as chaos:
        cut_to = {await _cut_once(chaos, line) for line in RUNNING}
        for line in COMPILING:
            chaos.arm(line)
            work = sample(
                BELL, shots=10, seed=3, backend="fake_manila", fallback=OUT_OF_REACH, key=f"seeds {line}"
            )
            with pytest.raises(JobFailed):
                await chaos.qurable.run(work)
            failed = await chaos.qurable.read_report(work.job_id)

            assert chaos.was_reached(line), line
            assert [change.number for change in failed.changes] == [1, 2, 3]
            assert len({change.after for change in failed.changes}) == 3
            assert chaos.repeated(work.job_id) == []

    assert len(cut_to) == 1
