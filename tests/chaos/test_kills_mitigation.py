"""Kill -9 while a readout calibration is measured, and between the rounds of an estimate at a price: both come out the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fallback.solvers.protocol import absent
from qurable.contracts.precise import PreciseReport
from qurable.requests import AnyJob, sample
from tests.chaos.harness import DEADLINE_SECONDS, House, house
from tests.circuits_at_hand import BELL

pytestmark = pytest.mark.long

CLAIMED = ("prepare:worked", "prepare:kept")
"""Lines around the claim of a calibration."""

MEASURED = ("simulation:piece_kept", "await_done-0:kept", "finish-0:begun", "finish-0:worked")
"""Lines around its measurement, until others may use it."""

ROUNDS = ("accept:kept", "submit-0:kept", "simulation:piece_kept", "finish-0:kept")
"""Lines of a round."""

_STATE = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nry(0.7) q[0];\ncx q[0], q[1];\n'


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("mitigation") / "house") as home:
        yield home


def _mitigated(layout: tuple[int, int], seed: int) -> AnyJob:
    """A Bell circuit whose reading errors are measured; each pair of qubits has a calibration of its own."""
    return sample(
        BELL,
        shots=500,
        seed=seed,
        backend="fake_manila",
        transpile={"layout": layout},
        mitigation={"readout": "measured", "max_age": "1h"},
    )


@pytest.mark.skipif(bool(absent(["mthree"])), reason="mthree has no wheel for this Python")
@pytest.mark.parametrize(
    ("lines", "layout"), [(CLAIMED, (0, 1)), (MEASURED, (3, 4))], ids=["claimed", "measured"]
)
async def test_a_calibration_is_measured_once_whoever_dies(
    home: House, lines: tuple[str, ...], layout: tuple[int, int]
) -> None:
    """By the job that claimed it; the next one corrects its counts with it."""
    for line in lines:
        home.arm(line)
    first = await _answer(home, _mitigated(layout, 5))
    reached = [line for line in lines if home.was_reached(line)]
    second = await _answer(home, _mitigated(layout, 6))

    assert reached == list(lines)
    assert first.mitigation is not None
    assert second.mitigation is not None
    assert (first.mitigation.rode, second.mitigation.rode) == (True, False)
    assert first.mitigation.calibration == second.mitigation.calibration
    assert home.repeated(first.id) == []


async def _answer(home: House, job: AnyJob) -> Any:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await (await home.qurable.submit(job)).result()


async def _precise(home: House, key: str) -> PreciseReport:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await home.qurable.precise(
            _STATE, {"ZZ": 0.25, "IZ": 1.0, "XX": 0.5}, precision=0.01, backend="aer", seed=4, key=key
        )


async def test_an_estimate_at_a_price_takes_the_same_rounds_whoever_dies(home: House) -> None:
    """No round is planned otherwise, run twice or left out."""
    calm = await _precise(home, "calm")
    for line in ROUNDS:
        home.arm(line)
    killed = await _precise(home, "killed")

    assert [line for line in ROUNDS if not home.was_reached(line)] == []
    assert (killed.value, killed.standard_error) == (calm.value, calm.standard_error)
    assert [done.shots for done in killed.rounds] == [done.shots for done in calm.rounds]
    assert len(killed.rounds) >= 2
    assert [home.repeated(done.job_id) for done in killed.rounds] == [[]] * len(killed.rounds)
