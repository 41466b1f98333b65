"""Have the night's problem solved at two o'clock, and its result added to a table: `schedule.py [TABLE]`.

The table is `planning/nightly.csv`, or another CSV or Parquet file below the folder of exports.
"""

import sys

from examples.nightly.problem import TASK_QUEUE
from qurable import Qurable
from qurable.contracts.jobs import Hook
from qurable.contracts.schedules import HookInput, ScheduleSpec, ScheduleStatus
from qurable.temporal.run_main import run_main

NIGHTLY = ScheduleSpec(
    name="nightly",
    project="planning",
    cron=("0 2 * * *",),
    zone="Europe/Vienna",
    input=HookInput(hook=Hook(activity="tonight", task_queue=TASK_QUEUE)),
    export="planning/nightly.csv",
    note="tonight's plan",
)


async def schedule(qurable: Qurable, spec: ScheduleSpec = NIGHTLY) -> ScheduleStatus:
    """Create it; created again, it is the one that is there."""
    return await qurable.schedules.create(spec)


async def main(table: str = NIGHTLY.export) -> None:
    """Create it, and say when it fires."""
    spec = ScheduleSpec.model_validate({**NIGHTLY.model_dump(), "export": table})
    async with Qurable.connect() as qurable:
        status = await schedule(qurable, spec)
    for moment in status.next[:3]:
        print(f"{NIGHTLY.name} fires at {moment:%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    run_main(main(*sys.argv[1:]))
