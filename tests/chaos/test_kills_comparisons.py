"""Kill -9 at every line of a comparison, and in the middle of a withdrawal: each place runs once, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qurable.comparing import Comparison
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.reports import State
from qurable.requests import AnyJob, sample
from tests.chaos.harness import DEADLINE_SECONDS, House, house
from tests.circuits_at_hand import BELL

LINES = (
    "begin_comparison:begun",
    "begin_comparison:kept",
    "leg_request:begun",
    "end_comparison:begun",
    "end_comparison:compared",
    "end_comparison:decided",
    "end_comparison:kept",
)
"""Failpoints of a comparison, in their order."""

JUDGED = "judge_leg:begun"
"""Failpoint of a hedged run, between an answer and its being taken."""

WITHDRAWN = "record:begun"
"""Failpoint of a job that was cancelled: it has been withdrawn, and nobody has written that down."""

PLACES = ["aer", "classical:clifford"]


@pytest.fixture(scope="module")
async def chaos(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("comparisons")) as chaos:
        yield chaos


@pytest.fixture(scope="module")
async def calm(chaos: House) -> dict[str, dict[str, int]]:
    """What the places answer when nobody is killed."""
    return await _counts(chaos, await _report(await chaos.qurable.compare(_job("calm"), on=PLACES)))


def _job(key: str) -> AnyJob:
    return sample(BELL, shots=500, seed=7, key=key)


async def _report(comparison: Comparison) -> ComparisonReport:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await comparison.report()


async def _counts(chaos: House, report: ComparisonReport) -> dict[str, dict[str, int]]:
    return {
        leg.place: (await chaos.qurable.read_report(leg.job_id)).counts()
        for leg in report.legs
        if leg.answered
    }


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(LINES[:3], marks=pytest.mark.long, id="beginning"),
        pytest.param(LINES[3:], marks=pytest.mark.long, id="ending"),
        pytest.param(LINES[-2:-1], id="decided"),
    ],
)
async def test_a_comparison_survives_killed_workers(
    chaos: House, calm: dict[str, dict[str, int]], lines: tuple[str, ...]
) -> None:
    """One dies at each line; the same counts, and a job for each place."""
    for line in lines:
        chaos.arm(line)
    comparison = await chaos.qurable.compare(_job(str(lines)), on=PLACES)
    report = await _report(comparison)
    jobs = [job for job in await chaos.qurable.list(limit=1000) if job.labels.get("comparison") == report.id]

    assert [line for line in lines if not chaos.was_reached(line)] == []
    assert await _counts(chaos, report) == calm
    assert {job.id for job in jobs} == {leg.job_id for leg in report.legs}
    assert [chaos.repeated(job.id) for job in jobs] == [[], []]
    assert report.decided is not None
    assert await comparison.stored() == report


@pytest.mark.long
async def test_an_answer_is_taken_though_its_judge_dies(chaos: House) -> None:
    """Another judges it, and nobody else is asked meanwhile."""
    chaos.arm(JUDGED)
    report = await _report(await chaos.qurable.hedge(_job(JUDGED), on=PLACES, after="1h"))

    assert chaos.was_reached(JUDGED)
    assert report.decided is not None
    assert (report.decided.place, report.legs[1].state) == ("aer", None)


def _slow_for_one() -> str:
    """Clifford gates on 24 qubits: a moment for a stabilizer solver, minutes as a state vector."""
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', "qreg q[24];", "creg c[24];"]
    for layer in range(40):
        lines += [f"{'hs'[layer % 2]} q[{qubit}];" for qubit in range(24)]
        lines += [f"cx q[{qubit}], q[{qubit + 1}];" for qubit in range(layer % 2, 23, 2)]
    return "\n".join([*lines, "measure q -> c;", ""])


@pytest.mark.long
async def test_a_loser_is_withdrawn_though_workers_die_over_it(chaos: House) -> None:
    """One while the loser's end is written down, one while the report is made: it comes, and the loser has ended."""
    chaos.arm(WITHDRAWN)
    chaos.arm("end_comparison:begun")
    job = sample(_slow_for_one(), shots=100, seed=7, key="loser", simulator={"method": "statevector"})
    report = await _report(await chaos.qurable.hedge(job, on=PLACES, after="0s"))

    loser, winner = report.legs
    assert [line for line in (WITHDRAWN, "end_comparison:begun") if not chaos.was_reached(line)] == []
    assert report.decided is not None
    assert (report.decided.place, report.decided.job_id) == ("classical:clifford", winner.job_id)
    assert loser.state is State.CANCELLED
    assert loser.withdrawal is not None
    assert (loser.withdrawal.confirmed, loser.withdrawal.finished) == (True, False)
    assert chaos.repeated(winner.job_id) == chaos.repeated(loser.job_id) == []
