"""Have the night's problem solved at two o'clock, and its result added to a table."""

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


async def schedule(qurable: Qurable) -> ScheduleStatus:
    """Create it; created again, it is the one that is there."""
    return await qurable.schedules.create(NIGHTLY)


async def main() -> None:
    """Create it, and say when it fires."""
    async with Qurable.connect() as qurable:
        status = await schedule(qurable)
    for moment in status.next[:3]:
        print(f"{NIGHTLY.name} fires at {moment:%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    run_main(main())
