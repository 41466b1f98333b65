"""A submission that the provider puts off holds up nobody else, and one that never left is not waited for."""

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.ibm.accounts import Accounts
from backends.ibm.provider import Provider, Rules
from backends.ibm_runtime import IbmBackend
from qurable.backend import StillWaiting
from qurable.contracts.executions import Phase, Submission
from qurable.errors import ExecutionFailed, JobLost, SubmissionUnclear, TargetUnavailable
from qurable.testing.conformance import Conformance
from store.database import Database
from store.ledger import StoreLedger
from store.shelf import StoreShelf
from tests.backends.ibm.driving import Driver
from tests.store.ageing import pass_time

_POST = "POST /jobs"
_FIND = "GET /jobs"
_USAGE = "GET /instances/usage"
_STATUS = "GET /backends/{name}/status"
_MINUTE = timedelta(seconds=60)


class House:
    """A store, a device, and submissions of several jobs to it.

    Args:
        driver: The provider, and the child that drives its client.
        database: The store.
        per_minute: Submissions that the account may send in a minute.
    """

    def __init__(self, driver: Driver, database: Database, per_minute: int) -> None:
        self.driver = driver
        self.database = database
        self.ledger = StoreLedger(database)
        self.shelf = StoreShelf(database)
        self.provider = Provider(
            asking=driver.pool,
            sending=driver.pool,
            shelf=self.shelf,
            ledger=self.ledger,
            accounts=Accounts(environment=driver.emulator.environment, home=Path("none")),
            rules=Rules(
                per_minute=per_minute,
                send_within=timedelta(seconds=5),
                read_timeout=timedelta(seconds=2),
                tag_lag=timedelta(0),
            ),
        )
        self.device = IbmBackend("ibm:manila", self.provider)

    async def work(self) -> Submission:
        """The same question for a job of its own."""
        found = await Conformance(self.device, self.shelf)._bell()
        key = found.key.model_copy(update={"job_id": uuid.uuid4().hex})
        return found.model_copy(update={"key": key})

    async def put_off(self, work: Submission) -> StillWaiting:
        """What a submission waits for."""
        with pytest.raises(StillWaiting) as caught:
            await self.device.submit(work)
        return caught.value

    async def attempts(self, work: Submission) -> list[int]:
        """How often each part was sent."""
        return [row.attempts for row in await self.ledger.parts(work.key)]


@pytest.fixture
async def house(driver: Driver, tmp_path: Path) -> Any:
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:
        yield House(driver, database, per_minute=2)


@pytest.mark.parametrize("route", [_USAGE, _FIND, _STATUS])
@pytest.mark.parametrize(("headers", "wait"), [({}, 5), ({"Retry-After": "7"}, 7)])
async def test_a_question_that_came_too_fast_is_put_off_and_holds_up_no_submission(
    house: House, route: str, headers: dict[str, str], wait: int
) -> None:
    """Nothing was submitted, so nothing is counted: neither against the account's minute nor as an attempt."""
    first, second = await house.work(), await house.work()
    await house.device.target()
    await house.driver.forget()
    await house.driver.ask("user")
    await house.driver.emulator.control.forget_log()
    await house.driver.emulator.control.fault(route, "status", status=429, headers=headers)

    waiting = await house.put_off(first)
    attempts = await house.attempts(first)

    assert waiting.again_in == timedelta(seconds=wait)
    assert "less often" in str(waiting)
    assert attempts == [0]
    assert await house.driver.submissions() == 0
    await house.device.submit(second)
    await house.device.submit(first)
    assert await house.attempts(first) == await house.attempts(second) == [1]
    assert await house.driver.submissions() == 2


async def test_a_submission_that_came_too_fast_holds_up_the_account(house: House) -> None:
    """The provider has counted it, and counts the next one of anybody's."""
    first, second = await house.work(), await house.work()
    await house.driver.emulator.control.fault(_POST, "status", status=429)

    one, other = await house.put_off(first), await house.put_off(second)

    assert one.again_in == _MINUTE
    assert _MINUTE / 2 < other.again_in <= _MINUTE
    assert "asked this account to wait" in str(other)
    assert await house.attempts(first) == [0]
    assert await house.driver.submissions() == 1


async def test_a_question_that_is_put_off_for_long_is_no_job_that_was_sent_too_often(house: House) -> None:
    """Ten attempts that never left are none: the job goes out once the provider listens."""
    work = await house.work()
    times = house.provider.rules.attempts + 2
    await house.driver.emulator.control.fault(_USAGE, "status", status=429, times=times)

    for _ in range(times):
        await house.put_off(work)
    await house.device.submit(work)

    assert await house.attempts(work) == [1]


async def test_a_submission_that_came_too_fast_ten_times_is_no_job_that_was_sent_too_often(
    house: House,
) -> None:
    """Each refusal is known to have made no job, however many there are: somebody else sends with the account too."""
    work = await house.work()
    times = house.provider.rules.attempts + 2
    await house.driver.emulator.control.fault(_POST, "status", status=429, times=times)

    for _ in range(times):
        await house.put_off(work)
        await pass_time(house.database, _MINUTE)
    await house.device.submit(work)

    assert await house.driver.submissions() == times + 1
    assert await house.attempts(work) == [1]


async def test_a_job_that_never_shows_up_is_not_sent_for_ever(house: House) -> None:
    """Ten answers were lost and nothing is there: something is wrong at the provider, and each may yet be a job."""
    work, most = await house.work(), house.provider.rules.attempts
    await house.driver.emulator.control.fault(_POST, "drop", times=None)

    for _ in range(most):
        with pytest.raises(SubmissionUnclear):
            await house.device.submit(work)
        await pass_time(house.database, _MINUTE)
    for _ in range(2):
        with pytest.raises(ExecutionFailed, match=f"{most} times and never showed it"):
            await house.device.submit(work)

    assert await house.driver.submissions() == most


async def test_a_place_that_does_not_answer_is_not_waited_for_where_nothing_was_sent(house: House) -> None:
    """The job may go on to its next rung; what nobody sent, nobody has to find."""
    work = await house.work()
    await house.device.target()
    await house.driver.emulator.control.fault(_USAGE, "outage", times=None)
    await house.driver.emulator.control.fault(_FIND, "outage", times=None)

    with pytest.raises(TargetUnavailable):
        await house.device.submit(work)
    withdrawn = await asyncio.wait_for(house.device.cancel(work.key), 30)

    assert (withdrawn.found, withdrawn.final) == (False, Phase.LOST)
    assert await house.driver.submissions() == 0
    await house.driver.emulator.control.clear()
    with pytest.raises(JobLost, match="withdrawn"):
        await house.device.submit(work)


async def test_a_part_that_cannot_be_cancelled_keeps_no_other_from_being(house: House) -> None:
    """What waits behind it would start, and cost."""
    work, control = await house.work(), house.driver.emulator.control
    (pub,) = work.pubs
    await control.settings(hold=True)
    await house.device.submit(
        work.model_copy(update={"pubs": (pub, pub.model_copy(update={"shots": pub.shots + 1}))})
    )
    await control.fault("POST /jobs/{id}/cancel", "status", status=503, times=1)

    with pytest.raises(TargetUnavailable, match="503"):
        await house.device.cancel(work.key)
    first, second = [row.id for row in await house.ledger.parts(work.key)]

    assert (await control.job(first))["status"] == "Queued"
    assert (await control.job(second))["status"] == "Cancelled"
    assert (await house.device.cancel(work.key)).final is Phase.CANCELLED


async def test_a_place_that_does_not_answer_is_asked_again_where_a_job_may_be(house: House) -> None:
    """An answer that was lost may be a job that is paid for."""
    work, control = await house.work(), house.driver.emulator.control
    await control.fault(_POST, "drop", after=True)
    await house.device.target()
    await control.fault(_STATUS, "hold")
    submitting = asyncio.create_task(house.device.submit(work))
    await control.until_held()  # it has looked for the job by then
    await control.fault(_FIND, "status", status=503, times=2)
    await control.release()

    with pytest.raises(TargetUnavailable, match="503"):
        await submitting
    with pytest.raises(TargetUnavailable, match="503"):
        await house.device.cancel(work.key)
    assert (await house.device.cancel(work.key)).final is Phase.CANCELLED
    assert await house.driver.submissions() == 1
