"""Results far beyond what a workflow may hold in its history."""

import asyncio

import pytest

from qurable.contracts.reports import State
from qurable.contracts.results import SampleResult
from qurable.requests import sample
from tests.circuits_at_hand import brickwork
from tests.conftest import Service

WIDE = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[400] c;\nh q[0];\ncx q[0], q[1];\n'
    "c[0] = measure q[0];\nc[399] = measure q[1];\n"
)
"""Two qubits that are read into the ends of a register of 50 bytes."""


async def _largest_event(service: Service, job_id: str) -> int:
    handle = service.temporal.get_workflow_handle(job_id)
    return max([event.ByteSize() async for event in handle.fetch_history_events()])


async def test_twenty_four_results_of_100_kb_complete(service: Service) -> None:
    """Each on its own would pass; together they would not."""
    work = sample(*[(brickwork(8, layers), None, 100_000) for layers in range(1, 25)], seed=5, backend="aer")
    report = await asyncio.wait_for(service.qurable.run(work), 120)

    assert report.state is State.COMPLETED
    assert len(report.results) == 24
    for result in report.results:
        assert isinstance(result, SampleResult)
        assert len(result.register().raw) == 100_000
        assert sum(result.counts().values()) == 100_000
    assert await _largest_event(service, report.id) < 256 * 1024


@pytest.mark.long
async def test_one_result_of_50_mb_completes(service: Service) -> None:
    """And comes back to whoever asks again, whole."""
    report = await asyncio.wait_for(service.qurable.run(WIDE, shots=1_000_000, seed=5, backend="aer"), 120)
    again = await service.qurable.read_report(report.id)

    (result,) = report.results
    assert isinstance(result, SampleResult)
    assert len(result.register().raw) == 50_000_000
    zeros, ones = "0" * 400, "1" + "0" * 398 + "1"
    assert set(result.counts()) == {zeros, ones}
    assert sum(result.counts().values()) == 1_000_000
    assert again.results == report.results
    assert await _largest_event(service, report.id) < 256 * 1024
