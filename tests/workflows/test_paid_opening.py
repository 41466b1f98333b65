"""A job that is cancelled while its session is opened: what was opened meanwhile is closed, though no job ever knew of it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity

from backends.ibm_runtime import IbmBackend
from qurable.contracts.ibm import IbmOptions
from qurable.errors import JobCancelled
from qurable.requests import sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE, RECONCILING, Paid


async def _cancelled_while_it_opens(paid: Paid, patch: pytest.MonkeyPatch) -> None:
    """Run a job whose cancellation comes when its session is there, and its answer is not."""
    opened = asyncio.Event()
    original = IbmBackend.open_session

    async def slowly(self: IbmBackend, mode: Any, max_time: timedelta | None) -> str:
        name = await original(self, mode, max_time)
        opened.set()
        await activity.wait_for_cancelled()
        return name

    patch.setattr(IbmBackend, "open_session", slowly)
    job = await paid.service.qurable.submit(
        sample(BELL, shots=100, backend=DEVICE, ibm=IbmOptions(mode="session"))
    )
    await asyncio.wait_for(opened.wait(), 60)
    await job.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 60)


async def _until_closed(paid: Paid) -> None:
    async def closed() -> bool:
        return [one["accepting"] for one in await paid.sessions()] == [False]

    await until("the only session is closed", closed, 60)
    assert await paid.taken() == []


async def test_a_session_that_opens_after_its_job_was_cancelled_is_closed(
    paid: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever opened it: the workflow never learns its id."""
    await _cancelled_while_it_opens(paid, monkeypatch)

    await _until_closed(paid)


@pytest.mark.long
async def test_one_that_cannot_be_closed_then_is_left_to_the_reconciler(
    paid_stack: PaidStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written down before it is closed."""
    async with paid_stack(**RECONCILING) as paid:
        await paid.control.fault("PATCH /sessions/{id}", "status", status=503)
        await _cancelled_while_it_opens(paid, monkeypatch)

        await _until_closed(paid)
