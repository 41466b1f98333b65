"""A provider that costs money and does as it is told, and a backend that keeps its jobs there in the ledger."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from qurable.backend import StillWaiting
from qurable.contracts.executions import (
    Cancelled,
    JobRef,
    JobState,
    PartIntent,
    Phase,
    ProviderFacts,
    Slice,
    Submission,
    SubmissionKey,
)
from qurable.errors import ExecutionFailed, TargetUnavailable
from qurable.ledger import CalledOff, Claimed, Ledger, NotYet, Sending, Taken
from tests.fakes.scripted import ScriptedBackend

SETTLING = timedelta(seconds=30)
_ENDED = {Phase.DONE, Phase.FAILED, Phase.CANCELLED}


@dataclass
class Provider:
    """The provider's own memory: it outlives every store and worker.

    Attributes:
        jobs: What it knows of every job, by id.
        hidden: Ids that its tag index does not show yet.
        cancellations: Ids in the order they were cancelled.
        closed_sessions: Ids in the order they were closed.
        down: It answers nobody.
        bills: Jobs that end have a final bill at once.
    """

    jobs: dict[str, ProviderFacts] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    cancellations: list[str] = field(default_factory=list)
    closed_sessions: list[str] = field(default_factory=list)
    down: bool = False
    bills: bool = True

    def post(self, *tags: str) -> str:
        """Take a job."""
        id = f"p{len(self.jobs)}"  # noqa: A001  the provider's word
        self.jobs[id] = ProviderFacts(id=id, phase=Phase.QUEUED, created=datetime.now(UTC), tags=tags)
        return id

    def end(self, id: str, phase: Phase, seconds: float) -> None:  # noqa: A002
        """Have a job end in a phase, with a bill."""
        self.jobs[id] = self.jobs[id].model_copy(
            update={
                "phase": phase,
                "qpu_seconds": seconds if self.bills else None,
                "usage_complete": self.bills,
            }
        )

    def bill(self, id: str, seconds: float) -> None:  # noqa: A002
        """Have the bill of an ended job become final."""
        self.jobs[id] = self.jobs[id].model_copy(update={"qpu_seconds": seconds, "usage_complete": True})

    def cancel(self, id: str) -> ProviderFacts:  # noqa: A002
        """Cancel a job; one that has ended stays as it is."""
        self.answer()
        if self.jobs[id].phase not in _ENDED:
            self.cancellations.append(id)
            self.end(id, Phase.CANCELLED, 0.0)
        return self.jobs[id]

    def find(self, tag: str) -> list[ProviderFacts]:
        """Jobs of a tag that the index shows, oldest first."""
        self.answer()
        return [facts for facts in self.jobs.values() if tag in facts.tags and facts.id not in self.hidden]

    def alive(self) -> list[str]:
        """Ids of jobs that will cost something yet."""
        return [facts.id for facts in self.jobs.values() if facts.phase not in _ENDED]

    def answer(self) -> None:
        """Answer, or not."""
        if self.down:
            raise TargetUnavailable("the provider is down")


class PaidScriptedBackend(ScriptedBackend):
    """Hardware whose jobs are written down in the ledger before they are sent.

    Args:
        name: As registered.
        provider: Where the jobs are.
        ledger: Where they are written down; may be given later.
        finishes: Jobs end with the next look at them, so that results can be had.
    """

    def __init__(
        self, name: str, provider: Provider, ledger: Ledger | None = None, *, finishes: bool = False
    ) -> None:
        super().__init__(name)
        self.provider = provider
        self.finishes = finishes
        self._ledger = ledger
        self._sending: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def ledger(self) -> Ledger:
        """Where jobs are written down."""
        assert self._ledger is not None
        return self._ledger

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def submit(self, submission: Submission) -> JobRef:
        key = submission.key
        self.jobs[key.tag] = submission
        async with self._sending[key.tag]:
            (part,) = await self.ledger.intend(submission, "default", [_whole(submission)])
            if part.id:
                return await self._ref(key)
            match await self.ledger.claim(part.tag, Sending("user", None, SETTLING)):
                case Claimed():
                    sent = self.provider.post(part.tag, await self.ledger.house())
                    await self.ledger.keep(part.tag, sent)
                case CalledOff():
                    raise ExecutionFailed(f"submission {key.tag} was withdrawn before it was sent")
                case NotYet(again_in, because):
                    raise StillWaiting(because, again_in)
                case Taken():
                    pass
        return await self._ref(key)

    async def _ref(self, key: SubmissionKey) -> JobRef:
        handle = ",".join(part.id for part in await self.ledger.parts(key))
        return JobRef(backend=self.name, key=key, handle=handle)

    async def find(self, key: SubmissionKey) -> JobRef | None:
        found = self.provider.find(key.tag)
        return JobRef(backend=self.name, key=key, handle=found[0].id) if found else None

    async def state(self, job: JobRef) -> JobState:
        """A row that a restored store has not is written again by whoever asks for the job."""
        if not await self.ledger.parts(job.key):
            again = Submission(key=job.key, kind="sample", pubs=())
            (part,) = await self.ledger.intend(again, "default", [_whole(again)])
            await self.ledger.keep(part.tag, job.handle)
        (part,) = await self.ledger.parts(job.key)
        if self.finishes and part.id in self.provider.alive():
            self.provider.end(part.id, Phase.DONE, 2.0)
        (facts,) = await self.look(job.key)
        if facts.phase is Phase.QUEUED:
            self.queued.set()
        return JobState(phase=facts.phase)

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        await self.ledger.withdraw(key)
        for part in await self.ledger.parts(key):
            for facts in self.provider.find(part.tag):
                await self.ledger.keep(part.tag, facts.id)
        finals = []
        for part in await self.ledger.parts(key):
            if part.id:
                finals.append(self.provider.cancel(part.id))
                await self.ledger.observe(part.tag, finals[-1])
        if not finals:
            return Cancelled(found=False, final=Phase.LOST)
        return Cancelled(found=True, final=finals[0].phase, billed_seconds=finals[0].qpu_seconds or 0.0)

    async def look(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        self.provider.answer()
        kept = [part for part in await self.ledger.parts(key) if part.id]
        for part in kept:
            await self.ledger.observe(part.tag, self.provider.jobs[part.id])
        return [self.provider.jobs[part.id] for part in kept]

    async def duplicates(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        parts = await self.ledger.parts(key)
        return [facts for part in parts for facts in self.provider.find(part.tag)]

    async def strays(self, since: datetime) -> Sequence[ProviderFacts]:
        ours = self.provider.find(await self.ledger.house())
        return [facts for facts in ours if facts.created is not None and facts.created >= since]

    async def cancel_job(self, id: str) -> ProviderFacts:  # noqa: A002
        return self.provider.cancel(id)

    async def close_session(self, id: str) -> None:  # noqa: A002
        self.provider.answer()
        self.provider.closed_sessions.append(id)


def _whole(submission: Submission) -> PartIntent:
    return PartIntent(
        slices=tuple(
            Slice(pub=number, start=0, stop=pub.bindings.size) for number, pub in enumerate(submission.pubs)
        )
    )
