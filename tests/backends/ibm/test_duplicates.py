"""A second job of the same submission is on record before it is cancelled: dying in between leaves none alive."""

from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.places import Places
from activities.reconcile import Reconcile
from backends.ibm.accounts import Accounts
from backends.ibm.provider import Provider, Rules
from backends.ibm_runtime import IbmBackend
from qurable.contracts.executions import IncidentKind, Phase
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from store import incidents
from store.database import Database
from store.ledger import StoreLedger
from tests.activities.paid_house import ScriptedOwners
from tests.backends.ibm.driving import Driver

DEVICE = "ibm:manila"


class _Killed(BaseException):
    """The process is gone."""


def _die(line: str) -> None:
    if line == "ibm:reported":
        raise _Killed


def _device(driver: Driver, shelf: MemoryShelf, database: Database, *, dies: bool = False) -> IbmBackend:
    """The device, as a house with this store reaches it."""
    return IbmBackend(
        DEVICE,
        Provider(
            asking=driver.pool,
            sending=driver.pool,
            shelf=shelf,
            ledger=StoreLedger(database),
            accounts=Accounts(environment=driver.emulator.environment, home=Path("none")),
            rules=Rules(per_minute=None),
            failpoint=_die if dies else lambda _: None,
        ),
    )


async def test_who_dies_before_cancelling_a_duplicate_leaves_it_to_the_reconciler(
    driver: Driver, tmp_path: Path
) -> None:
    """Two stores that do not see each other's jobs send one each; a third finds both and is killed."""
    shelf, control = MemoryShelf(), driver.emulator.control
    await control.settings(hold=True, tag_lag_seconds=3600)
    async with (
        Database(f"sqlite:///{tmp_path / 'one.db'}") as one,
        Database(f"sqlite:///{tmp_path / 'other.db'}") as other,
        Database(f"sqlite:///{tmp_path / 'third.db'}") as third,
    ):
        submission = await Conformance(_device(driver, shelf, one), shelf)._bell()
        first = await _device(driver, shelf, one).submit(submission)
        twin = await _device(driver, shelf, other).submit(submission)
        await control.settings(tag_lag_seconds=0)
        with pytest.raises(_Killed):
            await _device(driver, shelf, third, dies=True).submit(submission)
        (known,) = await third.read(incidents.unsettled)
        alive = (await control.job(twin.handle))["status"]

        places = Places(lambda _: _device(driver, shelf, third), list)
        owners = ScriptedOwners({submission.key.job_id: True})
        await ActivityEnvironment().run(Reconcile(third, owners, places).reconcile)

        assert (known.id, known.kind, known.final) == (twin.handle, IncidentKind.DUPLICATE, Phase.QUEUED)
        assert alive == "Queued"
        assert (await control.job(twin.handle))["status"] == "Cancelled"
        assert (await control.job(first.handle))["status"] == "Queued"
