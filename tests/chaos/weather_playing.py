"""Plays rounds of weather on one house: many at a time, each on a device of its own, and waits for the end of each."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio.service import RPCError

from qurable.client import Job
from qurable.contracts.budgets import Budget, BudgetChange, Scope
from qurable.contracts.reports import JobReport
from qurable.errors import HybridError, JobCancelled, JobFailed, ServiceUnreachable
from qurable.requests import sample
from store import provider_jobs
from tests.chaos.harness import until
from tests.chaos.paid_house import ENDED, FAIR, PaidHouse
from tests.chaos.weather import (
    CIRCUITS,
    DEVICES,
    OVER_AFTER,
    POOR,
    SPEED,
    THRIFTY,
    UNDER_ONE_SKY,
    Asked,
    Piece,
    Round,
)
from tests.chaos.weather_draw import drawn, sky

AT_ONCE = 10
"""Rounds that are played at a time."""

_JOB_SECONDS = 240.0
_QUIET_SECONDS = 120.0
_FAIR = {"status": "active", "reason": "", "queue_length": 0, "error_factor": 1}


@dataclass
class Played:
    """A job that was played.

    Attributes:
        round: Its round.
        asked: What was asked.
        id: Of the job.
        report: Of an answer, or what the store has of a job that ended without one.
        error: What it ended with.
        acted: Whether the action came before the end.
        trouble: What went wrong with the playing.
    """

    round: Round
    asked: Asked
    id: str = ""
    report: JobReport | None = None
    error: HybridError | None = None
    acted: bool = False
    trouble: list[str] = field(default_factory=list)

    @property
    def ended_as(self) -> str:
        """Class of the error that ended the job, empty for an answer."""
        if self.error is None:
            return ""
        return self.error.error.code if isinstance(self.error, JobFailed) else self.error.code

    @property
    def summary(self) -> str:
        """How it ended, in a word or two."""
        if self.answer is None:
            return self.ended_as or "no end"
        verdict = self.answer.verdict
        return self.answer.served_by + ("" if verdict is None or not verdict.rule else f", {verdict.because}")

    @property
    def answer(self) -> JobReport | None:
        """The report of a job that was answered."""
        return self.report if self.error is None else None


async def play(home: PaidHouse, seed: int, numbers: Sequence[int]) -> list[Played]:
    """Play the rounds of these numbers, so many at a time, in their order; gives back every job of theirs."""
    await _set_budgets(home)
    await _warm_up(home)
    skies = _Skies(home, seed)
    waiting = list(reversed(numbers))
    free = {device: asyncio.Lock() for device in DEVICES}
    played: list[Played] = []

    async def slot() -> None:
        while waiting:
            round_ = drawn(seed, waiting.pop())
            await skies.be(round_.number // UNDER_ONE_SKY)
            async with free[round_.device]:
                played.extend(await _play(home, round_))

    async with skies:
        await asyncio.gather(*(slot() for _ in range(min(AT_ONCE, len(numbers)))))
    await home.fair_weather()
    await home.control.settings(speed=SPEED)
    await _until_quiet(home)
    return played


async def _set_budgets(home: PaidHouse) -> None:
    for name, seconds in ((POOR, 0.5), (THRIFTY, 120.0)):
        budget = Budget(scope=Scope.PROJECT, name=name, qpu_seconds=seconds)
        await home.house.qurable.set_budget(BudgetChange(budget=budget))


async def _warm_up(home: PaidHouse) -> None:
    """Have every sort of child started and its libraries loaded: a house that has just begun is no weather."""
    for backend in (f"ibm:{DEVICES[0]}", f"fake_{DEVICES[0]}"):
        await home.house.qurable.run(sample(CIRCUITS["bell"], shots=10, backend=backend))


async def _until_quiet(home: PaidHouse) -> None:
    """Wait until nothing waits or runs at the provider; the judge names what does."""

    async def quiet() -> bool:
        return all(one["status"] in ENDED for one in (await home.control.state())["jobs"])

    with contextlib.suppress(AssertionError):
        await until("the provider has nothing to do", quiet, _QUIET_SECONDS)


class _Skies:
    """Sets what rounds have in common, as the first of them comes.

    Args:
        home: The house.
        seed: Of the skies.
    """

    def __init__(self, home: PaidHouse, seed: int) -> None:
        self._home = home
        self._seed = seed
        self._number: int | None = None
        self._changing = asyncio.Lock()
        self._later: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._later)

    async def be(self, number: int) -> None:
        """Have the sky of a number, unless it is there or past."""
        async with self._changing:
            if self._number is not None and number <= self._number:
                return
            self._number = number
            control, wanted = self._home.control, sky(self._seed, number)
            await control.settings(
                **{**FAIR, "seconds_per_queued_job": 30.0, **wanted.settings, "speed": SPEED}
            )
            for fault in wanted.faults:
                await control.call("POST", "/faults", fault)
            if wanted.tokens:
                await control.tokens(**wanted.tokens)
            for seconds, deed in (
                (3.0 if wanted.jump else None, self._jump(wanted.jump)),
                (wanted.kill, self._kill()),
            ):
                self._after(seconds, deed)

    def _after(self, seconds: float | None, deed: Any) -> None:
        if seconds is None:
            deed.close()
            return

        async def do() -> None:
            await asyncio.sleep(seconds)
            await deed

        self._later.add(asyncio.create_task(do()))

    async def _jump(self, seconds: float) -> None:
        await self._home.control.advance(seconds)

    async def _kill(self) -> None:
        self._home.kill_workers()


async def _play(home: PaidHouse, round_: Round) -> list[Played]:
    """Play one round, and let its weather be over."""
    played = [Played(round_, asked) for asked in round_.jobs]
    device = f"ibm_{round_.device}"
    now = await _now(home)
    ends = _text(now + OVER_AFTER * SPEED)
    weather = asyncio.gather(*(_make(home, device, ends, piece, played) for piece in round_.pieces))
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(_run(home, one) for one in played))
    took = asyncio.get_running_loop().time() - began
    weather.cancel()
    await asyncio.gather(weather, return_exceptions=True)
    await home.control.device(device, **_FAIR)
    ends_as = [one.summary for one in played]
    print(f"{took:5.1f} s {round_}: {ends_as}", file=sys.stderr, flush=True)
    return played


async def _make(home: PaidHouse, device: str, ends: str, piece: Piece, played: Sequence[Played]) -> None:
    """Make one piece of a round's weather when its time comes, and let it be over in time."""
    control = home.control
    await asyncio.sleep(piece.at)
    for fault in piece.faults:
        await control.call("POST", "/faults", {**fault, "device": device, "ends": ends})
    if piece.job:
        await _change_job(home, piece.job, played)
    if piece.device:
        await control.device(device, **piece.device, calibrate_at=_text(await _now(home)))
        await asyncio.sleep(OVER_AFTER - piece.at)
        await control.device(device, **_FAIR)


async def _change_job(home: PaidHouse, change: Mapping[str, Any], played: Sequence[Played]) -> None:
    """Change the first job of the round that the provider has, unless it has ended by then."""

    async def first() -> str | None:
        for one in played:
            for part in await home.database.read(provider_jobs.of_job, one.id):
                if part.id:
                    return part.id
        return None

    with contextlib.suppress(AssertionError):
        found = await until("the provider has a job", first, OVER_AFTER)
        there = await home.control.job(found)
        if there["status"] not in ENDED:
            await home.control.set_job(found, **change)


async def _run(home: PaidHouse, one: Played) -> None:
    """Submit a job, do to it what is to be done, and wait for its end."""
    job = await home.house.qurable.submit(one.asked.work)
    one.id = job.id
    acting = asyncio.create_task(_act(home, one))
    try:
        await until(f"job {job.id} ends", lambda: _has_ended(home, job, one), _JOB_SECONDS)
    except AssertionError as failure:
        one.trouble.append(str(failure))
        with contextlib.suppress(RPCError):
            await home.house.qurable.temporal.get_workflow_handle(job.id).terminate("the round is over")
    finally:
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)


async def _has_ended(home: PaidHouse, job: Job, one: Played) -> bool:
    try:
        one.report = await home.house.qurable.result(job.id)
    except ServiceUnreachable:
        return False
    except HybridError as ended:
        one.error = ended
        with contextlib.suppress(HybridError):
            one.report = await home.house.qurable.read_report(job.id)
    return True


async def _act(home: PaidHouse, one: Played) -> None:
    if not one.asked.action:
        return
    await asyncio.sleep(one.asked.at)
    handle = home.house.qurable.temporal.get_workflow_handle(one.id)
    with contextlib.suppress(RPCError, JobCancelled):
        one.acted = True
        await (handle.cancel() if one.asked.action == "cancelled" else handle.terminate("drawn"))


async def _now(home: PaidHouse) -> float:
    """What the provider's clock shows, in seconds since 1970."""
    answer = await home.control.call("POST", "/clock", {"advance_seconds": 0})
    return datetime.fromisoformat(answer["now"]).timestamp()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
