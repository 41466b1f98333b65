"""Await calibration: the counts are there, and another job is measuring what corrects them."""

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.waiting import at_most
from qurable.backend import StillWaiting
from qurable.contracts.stages import CalibrationCall, Waited
from qurable.names import Activity
from store import calibrations
from store.database import Database


class AwaitCalibration:
    """Waits.

    Args:
        database: Where claims stand.
        again_in: When to look again.
    """

    def __init__(self, database: Database, again_in: timedelta) -> None:
        self._database = database
        self._again_in = again_in

    @activity.defn(name=Activity.AWAIT_CALIBRATION)
    @speaks_temporal
    async def await_calibration(self, wait: CalibrationCall) -> Waited:
        """Return once it is there, nobody measures it any more, or the time is over: the job goes on in any case.

        Raises:
            StillWaiting: The other job is still at it.
        """
        left = wait.within - (datetime.now(UTC) - activity.info().scheduled_time)
        if left > timedelta(0) and await self._database.read(calibrations.is_under_way, wait.key):
            raise StillWaiting("another job is measuring the calibration", at_most(self._again_in, left))
        return Waited()
