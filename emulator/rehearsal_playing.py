"""Jobs of one moment, from their start to their ends, while the clock is put forward over their waits.

The clock stands nearly still while the service works, and is put forward in steps while the jobs only wait in a queue
or on a QPU. So waiting is compressed, and what the service does between takes its own time. A job's limits shrink with
it: where a wait comes to one of them, the clock stands until the service has noticed.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from emulator.jobs import FINAL
from emulator.rehearsal_house import House
from emulator.rehearsal_sky import Sky, now_of
from emulator.rehearsal_verdict import Ending
from qurable.client import Job
from qurable.contracts.jobs import Limits, mint_key
from qurable.contracts.reports import State
from qurable.errors import (
    HybridError,
    JobCancelled,
    JobFailed,
    RequestRejected,
    ServiceUnreachable,
    from_document,
)
from qurable.requests import AnyJob

_STEP_SECONDS = 300.0
_STEP_SHARE = 0.1
"""By so much the clock is put forward at once, or by this share of what has passed since the start; the emulator's
events happen at their own times all the same."""

_PACE = 1800.0
"""A wait of so many seconds passes in one, at the least: limits shrink by it."""

_NOTICED = timedelta(seconds=12)
_WORKED = timedelta(seconds=45)
"""What is added to a limit that shrank, so that a busy machine is none: for a wait, and for a whole job."""

_LOOK_SECONDS = 0.04
_RUN_SECONDS = 120.0
"""A run that takes longer, in real time, is cancelled."""

_TRYING_SECONDS = 10.0
"""How long the service may try in an outage, in real time, before the clock goes on: its own retries are shorter, and
what it does not give up it asks for until the outage is over."""

_CARETAKING_SECONDS = 8.0
"""How long the service may take, in real time, to find a duplicate or an orphan before the clock goes on."""

_CANCELLED_SECONDS = 60.0
_WORKING_STATES = frozenset({State.QUEUED, State.RUNNING})


class Playing:
    """The jobs of one run.

    Args:
        house: What runs.
        sky: The weather, and the clock.
        asked: The jobs; they are started under fresh keys.
        state: The emulator's before.

    Attributes:
        began: When the run began, by the emulator's clock, in seconds since 1970.
    """

    def __init__(self, house: House, sky: Sky, asked: Sequence[AnyJob], state: dict[str, Any]) -> None:
        self.began = now_of(state)
        self._house = house
        self._sky = sky
        self._asked = asked
        self._known = {job["id"] for job in state["jobs"]}
        self._since: dict[str, float] = {}
        self._stepped = asyncio.get_running_loop().time()

    def mine(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """The provider's jobs of this run."""
        return [job for job in state["jobs"] if job["id"] not in self._known]

    async def ends(self) -> list[tuple[Ending, float]]:
        """Start the jobs; gives back how each ended, and when by the clock.

        Raises:
            RequestRejected: A job itself cannot be served, whatever the weather.
            ServiceUnreachable: A part of the house has ended, or a job ends not even by a cancellation.
        """
        jobs = [await self._house.qurable.submit(job) for job in map(compressed, self._asked)]
        endings = [asyncio.create_task(self._ended(job)) for job in jobs]
        ended_at: dict[int, float] = {}
        try:
            try:
                async with asyncio.timeout(_RUN_SECONDS):
                    while len(ended_at) < len(jobs):
                        await self._play(jobs, endings, ended_at)
            except TimeoutError:
                await self._give_up(jobs, endings, ended_at)
        finally:
            for task in endings:
                task.cancel()
            await asyncio.gather(*endings, return_exceptions=True)
        return [(task.result(), ended_at[number]) for number, task in enumerate(endings)]

    async def settled(self) -> dict[str, Any]:
        """The emulator's state once it is through with this run's jobs, also with those that nobody wanted.

        Raises:
            ServiceUnreachable: A part of the house has ended, or a provider job does not end.
        """
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                while left := _open(self.mine(state := await self._house.control.state())):
                    self._house.check()
                    if _only_waits(left) and not self._may_be_found(left):
                        await self._step(now_of(state))
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise ServiceUnreachable(
                f"the rehearsal's emulator has a job that does not end within {_RUN_SECONDS:g} s"
            ) from None
        return state

    async def _play(
        self, jobs: Sequence[Job], endings: Sequence["asyncio.Task[Ending]"], ended_at: dict[int, float]
    ) -> None:
        """Look once, and put the clock forward where there is nothing else to do."""
        await asyncio.wait([task for task in endings if not task.done()] or endings, timeout=_LOOK_SECONDS)
        state = await self._house.control.state()
        self._house.check()
        now = now_of(state)
        for number, task in enumerate(endings):
            if task.done():
                ended_at.setdefault(number, now)
        waiting = [job for job, task in zip(jobs, endings, strict=True) if not task.done()]
        mine = _open(self.mine(state))
        if not waiting:
            return
        only_waits = _only_waits(mine) and not self._may_be_found(_twins(mine))
        if only_waits and now < (limit := self._limit(mine)) and await self._all_wait(waiting):
            await self._step(now, limit)
        elif self._sky.is_out(now) and self._stood_still() > _TRYING_SECONDS:
            await self._step(now)

    async def _give_up(
        self, jobs: Sequence[Job], endings: Sequence["asyncio.Task[Ending]"], ended_at: dict[int, float]
    ) -> None:
        """Cancel what does not end, in fair weather; the cancellation is its end.

        Raises:
            ServiceUnreachable: Not even that ends it.
        """
        await self._house.control.replace_faults(())
        for job, task in zip(jobs, endings, strict=True):
            if not task.done():
                await job.cancel()
        _, still = await asyncio.wait(endings, timeout=_CANCELLED_SECONDS)
        if still:
            raise ServiceUnreachable(
                f"a job of the rehearsal ended neither within {_RUN_SECONDS:g} s nor by a cancellation within {_CANCELLED_SECONDS:g} s"
            )
        now = now_of(await self._house.control.state())
        for number in range(len(jobs)):
            ended_at.setdefault(number, now)

    async def _ended(self, job: Job) -> Ending:
        """A job's report, also where it ended without an answer; the error where it has none."""
        try:
            return await job.result()
        except (JobFailed, JobCancelled) as ended:
            error = from_document(ended.error) if isinstance(ended, JobFailed) else ended
            if isinstance(error, RequestRejected) and not error.next_rung:
                raise error from None
            try:
                return await self._house.qurable.read_report(job.id)
            except HybridError:
                return error

    async def _all_wait(self, jobs: Sequence[Job]) -> bool:
        """Whether every job that is open is where only the provider can bring it on."""
        standings = await asyncio.gather(*(job.status() for job in jobs))
        return all(standing.state in _WORKING_STATES for standing in standings)

    async def _step(self, now: float, limit: float = float("inf")) -> None:
        step = max(_STEP_SECONDS, _STEP_SHARE * (now - self.began))
        await self._sky.put_forward(now, min(step, limit - now))
        self._stepped = asyncio.get_running_loop().time()

    def _stood_still(self) -> float:
        """Real seconds since the clock was put forward."""
        return asyncio.get_running_loop().time() - self._stepped

    def _limit(self, mine: Sequence[dict[str, Any]]) -> float:
        """The moment at which a limit of the jobs is reached first; the clock goes no further."""
        totals = [job.limits.total for job in self._asked if job.limits.total is not None]
        moments = [self.began + total.total_seconds() for total in totals]
        queue = min(job.limits.queue for job in self._asked).total_seconds()
        run = min(job.limits.run for job in self._asked).total_seconds()
        for job in mine:
            on_qpu = job["on_qpu"]
            moments.append(_seconds(job["created"]) + queue if on_qpu is None else _seconds(on_qpu) + run)
        return min(moments)

    def _may_be_found(self, jobs: Sequence[dict[str, Any]]) -> bool:
        """Whether one of these jobs is there for so short a time that the service may not have found it yet."""
        now = asyncio.get_running_loop().time()
        return any(now - self._since.setdefault(job["id"], now) < _CARETAKING_SECONDS for job in jobs)


def compressed(job: AnyJob) -> AnyJob:
    """A job under a fresh key, with limits that fit compressed waits; none is longer than it was.

    Nothing answers for the device: simulators take their own time, which does not shrink, and what is rehearsed is it.
    """
    limits = job.limits
    total = None if limits.total is None else min(limits.total, limits.total / _PACE + _WORKED)
    shrunk = Limits(
        queue=min(limits.queue, limits.queue / _PACE + _NOTICED),
        run=min(limits.run, limits.run / _PACE + _NOTICED),
        total=total,
    )
    alone = job.fallback.model_copy(update={"policy": "none"})
    return job.model_copy(update={"key": mint_key(), "limits": shrunk, "fallback": alone})


def _open(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs that have not ended."""
    return [job for job in jobs if job["status"] not in FINAL]


def _only_waits(jobs: Sequence[dict[str, Any]]) -> bool:
    """Whether there are jobs, and the result of each is there already."""
    return bool(jobs) and all(job["computed"] for job in jobs)


def _twins(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs that share their first tag, the submission's key, with one before them."""
    seen: set[str] = set()
    twins = []
    for job in jobs:
        key = job["tags"][0] if job["tags"] else job["id"]
        twins += [job] if key in seen else []
        seen.add(key)
    return twins


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
