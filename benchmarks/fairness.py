"""(e) A project with ten jobs beside one that has queued a thousand before: fair shares, and first in, first out.

All are queued while nobody serves them, so that the queue is as long as it is said to be when the first one begins.
"""

import asyncio
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import heading, ratio
from benchmarks.house import BELL
from isolation.pool import Nursery
from qurable.client import Job, Qurable
from qurable.requests import sample
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from settings import Settings
from worker import Hooks, workers

FLOOD, FEW = 1000, 10
ALONE = 5
LIMIT = 2.2

_LAST = "finish-0"


@dataclass
class Clock:
    """A journal that keeps when each job's first stage began, and when its last one ended."""

    began_at: dict[str, float] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)

    def began(self, job_id: str, step: str, attempt: int) -> None:  # noqa: ARG002  a journal's
        self.began_at.setdefault(job_id, time.perf_counter())

    def ended(self, job_id: str, step: str, attempt: int, how: str, failure: BaseException | None) -> None:  # noqa: ARG002
        if step == _LAST:
            self.ended_at[job_id] = time.perf_counter()


@dataclass(frozen=True)
class Shares:
    """What a few jobs had of a service.

    Attributes:
        seconds: From the beginning of the first job of all to the end of the last of the few.
        running: That the middle one of them took by itself, from its first stage to its last.
        others: Jobs of the flood that had ended by then.
    """

    seconds: float
    running: float
    others: int


async def _submit(qurable: Qurable, project: str, jobs: int) -> list[Job]:
    """Jobs with keys of their own."""
    return [
        await qurable.submit(sample(BELL, shots=100, backend="aer", project=project)) for _ in range(jobs)
    ]


async def _queue_then_serve(home: Path, nursery: Nursery, *, flood: int, fair: bool) -> Shares:
    settings, clock = Settings(home=home, admission_folder=home / "admission"), Clock()
    flags = {"matching.enableFairness": str(fair).lower()}
    async with (
        embedded_server(home, extra_flags=flags) as server,
        connected(address=server.target, home=home) as client,
    ):
        qurable = Qurable(client)
        others = await _submit(qurable, "flood", flood)
        few = await _submit(qurable, "few", FEW)
        async with workers(settings, client, Hooks(journal=clock, nursery=nursery)):
            await asyncio.gather(*(job.result() for job in few))
    last = max(clock.ended_at[job.id] for job in few)
    return Shares(
        seconds=last - min(clock.began_at.values()),
        running=statistics.median(clock.ended_at[job.id] - clock.began_at[job.id] for job in few),
        others=sum(clock.ended_at.get(job.id, math.inf) <= last for job in others),
    )


async def shares(home: Path) -> None:
    """Part (e)."""
    heading(f"(e) {FEW} jobs of one project beside {FLOOD} that another has queued first")
    async with Nursery() as nursery:
        alone = [
            await _queue_then_serve(home / f"alone-{turn}", nursery, flood=0, fair=True)
            for turn in range(1 + ALONE)
        ][1:]  # the first pays for warm children
        usual = statistics.median(one.seconds for one in alone)
        running = statistics.median(one.running for one in alone)
        print(f"alone: {usual:.2f} s, of which one job runs {running:.2f} s")
        for fair in (True, False):
            how = "fair shares" if fair else "first in, first out"
            beside = await _queue_then_serve(home / str(fair), nursery, flood=FLOOD, fair=fair)
            print(f"{how}: {beside.seconds:.2f} s, in which {beside.others} of the flood ended")
            ratio(
                f"{how}: (beside the flood - one job) / alone",
                (beside.seconds - running) / usual,
                LIMIT if fair else None,
            )
