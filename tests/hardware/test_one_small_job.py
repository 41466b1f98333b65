"""One Bell pair on a real device through the whole path: all that is ever paid for by a test."""

from datetime import UTC, datetime, timedelta

import pytest

from qurable.contracts.reports import State
from qurable.contracts.targets import AnswerKind
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import Stack
from tests.hardware.conftest import Hardware

SHOTS = 100
_QUEUE = timedelta(hours=2)
_RUN = timedelta(minutes=15)


@pytest.mark.hardware
@pytest.mark.timeout(int((_QUEUE + 2 * _RUN).total_seconds()))
async def test_a_bell_pair_comes_back_with_its_bill(hardware: Hardware, stack: Stack) -> None:
    """Queue time, QPU seconds and provider job id are in the report; both outcomes are there, and little else.

    The key is the day's: a second run on that day, with an empty store, finds the job by its tag and pays nothing. The
    provider ends the job where it would cost more than the budget. Of 100 shots each of `00` and `11` (rightmost bit is
    bit 0) has 50 within five standard deviations of 5; the two together have at least 75, as on a device that is right
    nine times in ten, less five standard deviations of 3.
    """
    job = sample(
        BELL,
        shots=SHOTS,
        backend=f"ibm:{hardware.device}",
        key=f"hardware-{datetime.now(UTC):%Y-%m-%d}",
        project="hardware",
        ibm={"max_execution_time": hardware.budget_seconds},
        limits={"queue": _QUEUE, "run": _RUN},
    )

    async with stack() as service:
        report = await service.qurable.run(job)

    counts = report.counts()
    assert (report.state, report.degraded) == (State.COMPLETED, False)
    assert report.answer_kind is (AnswerKind.NOISY_SIMULATOR if hardware.emulated else AnswerKind.HARDWARE)
    assert sum(counts.values()) == SHOTS
    assert all(25 <= counts.get(outcome, 0) <= 75 for outcome in ("00", "11"))
    assert counts["00"] + counts["11"] >= 75
    (paid,) = report.provider_jobs
    assert paid.id
    assert paid.state == "done"
    assert paid.created is not None
    assert paid.queue_seconds is not None
    assert paid.queue_seconds >= 0
    assert paid.qpu_seconds is not None
    assert 0 < paid.qpu_seconds <= hardware.budget_seconds
    assert report.incidents == ()
    assert report.provenance is not None
    assert report.provenance.circuits[0].layout is not None
    assert report.provenance.provider_job == paid.id
