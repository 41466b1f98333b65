"""A round's bill may come long after its counts: what is left for the next one is not known before."""

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest

from qurable.contracts.precise import PreciseEnd
from tests.conftest import PaidStack
from tests.paid import DEVICE, RECONCILING, SPEED

_CIRCUIT = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nry(0.7) q[0];\ncx q[0], q[1];\n'
_LAG = timedelta(seconds=6 * SPEED)
"""Of the emulator's clock, from a job's end to its bill."""


@pytest.mark.long
async def test_the_next_round_is_planned_once_the_last_is_billed(paid_stack: PaidStack) -> None:
    """Otherwise each round would have the whole limit for itself."""
    async with paid_stack(**RECONCILING) as paid, asyncio.timeout(120):
        await paid.control.settings(usage_lag_seconds=_LAG.total_seconds())
        started = await paid.service.qurable.start_precise(
            _CIRCUIT,
            {"IZ": 1.0, "XX": 0.5},
            precision=0.004,
            max_qpu_seconds=60,
            backend=DEVICE,
            ibm={"resilience_level": 0, "preflight": "off"},
        )
        report = await started.report()
        taken = await paid.taken()

    pauses = [
        datetime.fromisoformat(later["created"]) - datetime.fromisoformat(earlier["finished"])
        for earlier, later in itertools.pairwise(taken)
    ]
    assert report.ended in (PreciseEnd.PRECISION, PreciseEnd.QPU_SECONDS)
    assert pauses
    assert min(pauses) >= _LAG
    assert report.qpu_seconds == pytest.approx(sum(job["billed_seconds"] for job in taken), abs=0.01)
    assert report.qpu_seconds <= 60
