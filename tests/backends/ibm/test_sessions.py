"""Sessions and batches: opened, used, closed, and refused once they are over."""

import pytest

from qurable.contracts.ibm import Generation
from qurable.errors import (
    SessionClosed,
)
from tests.backends.ibm.driving import DEVICE, Driver, bell


@pytest.mark.parametrize(("mode", "word"), [("session", "dedicated"), ("batch", "batch")])
@pytest.mark.parametrize("generation", Generation)
async def test_a_session_is_opened_used_and_closed(
    driver: Driver, mode: str, word: str, generation: Generation
) -> None:
    """Its id is all that is kept of it; once it is closed a submission is refused before it is sent."""
    opened = await driver.ask("open_session", device="manila", mode=mode, max_seconds=300)
    asked = bell()[1].model_copy(
        update={"session": opened["id"], "ibm": bell()[1].ibm.model_copy(update={"mode": mode})}
    )
    inside = {"session": opened["id"], "submission": asked.model_dump_json()}

    job = await driver.post(f"inside-{mode}-{generation}", generation, **inside)
    state = await driver.ask("session", id=opened["id"])

    assert (state["mode"], state["device"], state["max_seconds"]) == (word, DEVICE, 300)
    assert state["accepting_jobs"] is True
    assert (await driver.emulator.control.job(job))["session_id"] == opened["id"]
    for _ in range(2):
        assert await driver.ask("close_session", id=opened["id"]) == {}
    await driver.emulator.control.forget_log()
    error = await driver.refused("post", **driver.posting("outside", generation, **inside))
    assert isinstance(error, SessionClosed)
    assert error.details["sent"] is False
    assert await driver.submissions() == 0


async def test_a_session_that_nobody_knows_is_closed(driver: Driver) -> None:
    """It may have been forgotten; closing it is done, and asking for it says so."""
    assert await driver.ask("close_session", id="gone") == {}
    assert isinstance(await driver.refused("session", id="gone"), SessionClosed)
    assert isinstance(await driver.refused("post", **driver.posting("gone", session="gone")), SessionClosed)
