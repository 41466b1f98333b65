"""What every item of the list is asked: a clear refusal, and a worker that is alive after it."""

import asyncio
from typing import Any

import pytest

from qurable.contracts.errors import ErrorDocument
from qurable.errors import HybridError, JobFailed
from tests.circuits_at_hand import BELL
from tests.conftest import Service

NOTHING_HANGS_SECONDS = 60


async def refusal(service: Service, work: Any, **options: Any) -> ErrorDocument:
    """Why a job is refused, by the client or by the worker; the worker lives and runs another job after it."""
    async with asyncio.timeout(NOTHING_HANGS_SECONDS):
        with pytest.raises(HybridError) as refused:
            await service.qurable.run(work, **options)
        await runs_a_bell(service)
    error = refused.value
    return error.error if isinstance(error, JobFailed) else error.document()


async def runs_a_bell(service: Service) -> None:
    """The worker is alive."""
    report = await service.run(BELL, shots=50, seed=1, backend="aer")

    assert sum(report.counts().values()) == 50
    assert set(report.counts()) <= {"00", "11"}
