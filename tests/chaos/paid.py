"""One round of the matrix of paid jobs: a job, what happens to it, and how it ends."""

import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from qurable.client import Job
from qurable.contracts.fallback import Fallback
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.reports import JobReport
from qurable.errors import HybridError, JobFailed, ServiceUnreachable
from qurable.requests import AnyJob, sample
from store import incidents, provider_jobs
from tests.chaos.harness import House, until
from tests.chaos.paid_house import ENDED, Kind, PaidHouse
from tests.circuits_at_hand import BELL

DEVICE = "ibm:manila"
SHOTS = 400
ROUND_SECONDS = 90.0

ALONE = Fallback(policy="none")
"""Nobody else may answer: how a job ends tells what became of it at the provider."""

LONG = IbmOptions(max_execution_time=1000)
"""For a job that is to run for minutes: the provider ends it at what was reserved for it, otherwise."""

STOPPED_SECONDS = 30.0
"""Some periods of the reconciler, its grace, and the settling time."""


@dataclass
class Round:
    """One job through one row of the matrix.

    Attributes:
        home: Where.
        number: Of the round, which seeds its choices.
        random: Those choices.
        job: Once it was started.
        report: Of a job that was answered.
        error: How it ended otherwise.
        wanted: Whether somebody still waits for an answer; not after a cancellation.
    """

    home: PaidHouse
    number: int
    random: random.Random
    job: Job | None = None
    report: JobReport | None = None
    error: HybridError | None = None
    wanted: bool = True

    @property
    def house(self) -> House:
        """Temporal, workers and journal."""
        return self.home.house

    @property
    def job_id(self) -> str:
        """Of a job that was started."""
        assert self.job is not None
        return self.job.id

    async def start(self, work: AnyJob | None = None, *, device: str = DEVICE) -> str:
        """Start the round's job."""
        self.job = await self.house.qurable.submit(work or bell(device))
        return self.job.id

    async def until_began(self, step: str) -> None:
        """Wait until a step of the job is at work."""
        await until(f"{step} of {self.job_id} begins", lambda: self.house.began(step, self.job_id))

    async def until_ended(self, step: str, *how: str) -> None:
        """Wait until an attempt at a step has ended: done, waiting or failed."""
        await until(
            f"an attempt at {step} of {self.job_id} ends as {how}",
            lambda: any(
                line.what == "ended" and line.step == step and line.how in how and line.job_id == self.job_id
                for line in self.house.journal()
            ),
        )

    async def stop_at(self, failpoint: str, work: AnyJob | None = None, *, device: str = DEVICE) -> int:
        """Start the job and have a worker stop at a failpoint; gives back its process id."""
        self.house.arm_stop(failpoint)
        await self.start(work, device=device)
        return await self.house.stopped_at(failpoint)

    def attempts(self, step: str) -> int:
        """How often the work of a step has begun."""
        return sum(
            line.what == "began" and line.step == step and line.job_id == self.job_id
            for line in self.house.journal()
        )

    async def until_nothing_runs(self) -> None:
        """Wait until every job at the provider has ended, sooner than any would by itself.

        Raises:
            AssertionError: One lives on.
        """

        async def ended() -> bool:
            return all(one["status"] in ENDED for one in await self.jobs_of())

        await until(f"nothing of {self.job_id} is left alive", ended, STOPPED_SECONDS)

    async def go_on(self) -> None:
        """Let everybody go on who was stopped or held for this round."""
        self.house.disarm()
        await self.home.control.clear()
        await self.home.control.settings(hold=False)

    async def jobs_of(self) -> list[dict[str, Any]]:
        """What the emulator has of this job, by its tags, in the order of acceptance."""
        parts = await self.home.database.read(provider_jobs.of_job, self.job_id)
        tags = {part.tag for part in parts}
        every = (await self.home.control.state())["jobs"]
        return [one for one in every if tags.intersection(one["tags"])]

    async def until_settled(self) -> None:
        """Wait until every job at the provider has ended, and its last bill is in the store.

        Raises:
            AssertionError: One lives on, or is not known here, or nobody has asked for its bill.
        """
        await self.until_nothing_runs()

        async def settled() -> bool:
            parts = await self.home.database.read(provider_jobs.of_job, self.job_id)
            billed = {part.id for part in parts if part.facts is not None and part.facts.usage_complete}
            return billed >= {one["id"] for one in await self.jobs_of()}

        await until(f"the bills of {self.job_id} are in the store", settled, STOPPED_SECONDS)

    async def until_sessions_close(self) -> None:
        """Wait until every session and batch that has a job of this round is closed.

        Raises:
            AssertionError: One is left open.
        """

        async def closed() -> bool:
            return all(one["state"] == "closed" for one in await self.sessions_of())

        await until(f"the sessions of {self.job_id} are closed", closed, STOPPED_SECONDS)

    async def sessions_of(self) -> list[dict[str, Any]]:
        """Sessions and batches at the emulator that have a job of this round."""
        names = {one["session_id"] for one in await self.jobs_of()}
        return [one for one in (await self.home.control.state())["sessions"] if one["id"] in names]

    async def until_duplicates_are_found(self) -> None:
        """Wait until each job at the provider but one is an incident here; the judge says what is missing."""

        async def found() -> bool:
            known = await self.home.database.read(incidents.of_job, self.job_id)
            return 1 + len(known) >= len(await self.jobs_of()) > 1

        with contextlib.suppress(AssertionError):
            await until("the duplicates are found", found, ROUND_SECONDS)

    async def finish(self) -> None:
        """Wait for the report, or for the error that the job ends with; Temporal may be down meanwhile.

        Raises:
            AssertionError: Neither came in time.
        """
        assert self.job is not None
        job = self.job

        async def has_ended() -> bool:
            try:
                self.report = await self.house.qurable.result(job.id)
            except ServiceUnreachable:
                return False
            except HybridError as ended:
                self.error = ended
            return True

        await until(f"job {job.id} ends", has_ended, ROUND_SECONDS)

    @property
    def ended_as(self) -> str:
        """Class of the error that ended the job, empty for an answer."""
        if self.error is None:
            return ""
        return self.error.error.code if isinstance(self.error, JobFailed) else type(self.error).__name__


Play = Callable[[Round], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    Attributes:
        family: What kind of trouble it is.
        name: What happens.
        play: Makes it happen; the job is started in it.
        ends: Class of the error that the job rightly ends with; empty for an answer.
        excused: Whether duplicates may be billed: what no client of a provider without idempotency keys can prevent.
        quick: Whether it is over within some seconds.
        house: Of what kind the house is that it is played in.
        elsewhere: Whether a simulator of the house answers at last, and nothing is paid for.
    """

    family: str
    name: str
    play: Play
    ends: str = ""
    excused: bool = False
    quick: bool = False
    house: Kind = Kind.USUAL
    elsewhere: bool = False


def bell(device: str = DEVICE, **options: Any) -> AnyJob:
    """A job whose every answer differs: 400 shots, in the order they were taken."""
    return sample(BELL, shots=SHOTS, backend=device, **{"fallback": ALONE, **options})


def long_bell(seed: int | None = None) -> AnyJob:
    """The same circuit behind 1,100 pairs of gates that undo each other, so that no stages are merged.

    Args:
        seed: Of the transpiler; one that nobody has used compiles anew.
    """
    idle = "cx q[0], q[1];\ncx q[0], q[1];\n" * 1100
    return sample(
        BELL.replace("measure", f"{idle}measure"),
        shots=SHOTS,
        backend=DEVICE,
        transpile={"seed": seed},
        fallback=ALONE,
    )


def batched_bell(mode: Literal["batch", "session"] = "batch") -> AnyJob:
    """The same circuit in a batch or session of its own."""
    return bell(ibm=IbmOptions(mode=mode))
