"""One job at the provider for one row, although the provider has no idempotency keys.

A row is written before anything is sent, the job carries the row's tag, and it is sent only by whoever holds the
row's claim, after a look for the tag that is later than any earlier attempt can have been slow. What slips through
all the same (a request held up on its way for longer than that, an index slower than its setting) is found,
cancelled and reported.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from backends.ibm.provider import Line, Provider
from qurable.backend import StillWaiting
from qurable.contracts.executions import (
    Incident,
    IncidentKind,
    Phase,
    ProviderFacts,
    ProviderJob,
    Submission,
)
from qurable.errors import (
    ChildCrashed,
    ExecutionFailed,
    HybridError,
    InternalError,
    JobLost,
    OutOfMemory,
    OutOfTime,
    SubmissionUnclear,
    TargetSaturated,
)
from qurable.ledger import CalledOff, Claimed, NotYet, Sending, Taken

_TOO_FAST = timedelta(seconds=60)
_ASK_AGAIN = timedelta(seconds=5)
_LOOK_AGAIN = timedelta(seconds=2)

_UNCLEAR = (SubmissionUnclear, ChildCrashed, OutOfTime, OutOfMemory, InternalError)
"""After these the request may have been sent; after every other failure it certainly was not taken."""


class Once:
    """Sends the parts of submissions to one device, each once.

    Args:
        name: Of the backend.
        device: The provider's name of it.
        line: To the provider.
        provider: What it is reached with.
    """

    def __init__(self, name: str, device: str, line: Line, provider: Provider) -> None:
        self._name = name
        self._device = device
        self._line = line
        self._shelf = provider.shelf
        self._ledger = provider.ledger
        self._rules = provider.rules
        self._failpoint = provider.failpoint

    async def send_or_adopt(self, submission: Submission, row: ProviderJob) -> None:
        """Have the part's job at the provider: the one that is there, or one that is sent now.

        Raises:
            StillWaiting: The account's rate is used up, the provider wants to be asked less often, or an earlier
                attempt may still show up.
            JobLost: The submission was withdrawn, by the reconciler where its job was not alive.
            SubmissionUnclear: The answer was lost, and the job does not show up yet.
            HybridError: The provider refuses.
        """
        try:
            await self._send_or_adopt(submission, row)
        except TargetSaturated as refusal:
            # Only a question was put off: what others may send with the account is not this one's to say.
            raise StillWaiting(
                f"{self._name!r} wants to be asked less often before the job is sent: {refusal.message}",
                again_in=_wait(refusal, _ASK_AGAIN),
            ) from None

    async def _send_or_adopt(self, submission: Submission, row: ProviderJob) -> None:
        sending = await self._line.sending()
        not_after = time.time() + self._rules.send_within.total_seconds()
        claim = await self._ledger.claim(row.tag, sending)
        self._failpoint("ibm:claimed")
        if isinstance(claim, Taken):
            return
        if isinstance(claim, CalledOff):
            raise JobLost(f"submission {row.tag} to {self._name!r} was withdrawn while nobody waited for it")
        try:
            if await self.adopt(row.tag):
                return
        except HybridError:
            if isinstance(claim, Claimed) and row.posting_at is None:  # none may be under way but this one
                await self._ledger.never_sent(row.tag, claim.attempt)
            raise
        if isinstance(claim, NotYet):
            # One that was sent may show up any moment; for a turn there is nothing to look at.
            again_in = min(claim.again_in, _LOOK_AGAIN if row.attempts else _TOO_FAST)
            raise StillWaiting(f"not sent to {self._name!r} yet: {claim.because}", again_in=again_in)
        self._failpoint("ibm:looked")
        if claim.attempt > self._rules.attempts:
            await self._ledger.release(row.tag, claim.attempt)
            raise ExecutionFailed(
                f"{self._name!r} was sent the same job {self._rules.attempts} times and never showed it: look at the service "
                "before you submit again",
                attempts=self._rules.attempts,
            )
        # A cancellation must not tear a request apart that may be accepted: it waits for the answer.
        await _to_its_end(self._send(submission, row, claim.attempt, sending, not_after))

    async def _send(
        self, submission: Submission, row: ProviderJob, attempt: int, sending: Sending, not_after: float
    ) -> None:
        wanted = {submission.pubs[piece.pub].isa for piece in row.slices}
        circuits = {isa: await self._shelf.artifact(isa) for isa in sorted(wanted)}
        try:
            sent = await self._line.post(
                device=self._device,
                tags=[row.tag, await self._line.house()],
                session=submission.session,
                submission=submission.model_dump_json(),
                slices=[piece.model_dump() for piece in row.slices],
                max_execution_time=row.reserved,
                circuits=circuits,
                not_after=not_after,
            )
        except _UNCLEAR as failure:
            self._failpoint("ibm:unclear")
            if await self.adopt(row.tag):
                return
            raise SubmissionUnclear(
                f"whether {self._name!r} took the job is not known, since its answer was lost ({failure.message}); it is looked "
                f"for by its tag {row.tag}"
            ) from None
        except HybridError as refusal:
            if not refusal.details.get("sent"):
                await self._ledger.never_sent(row.tag, attempt)
                if not refusal.details.get("late"):
                    raise
                # Held up on this side, by a machine that is busy or was asleep.
                raise StillWaiting(f"not sent to {self._name!r}: {refusal.message}", _LOOK_AGAIN) from None
            await self._ledger.release(row.tag, attempt)
            if isinstance(refusal, TargetSaturated):
                raise await self._too_fast(refusal, sending) from None
            raise
        self._failpoint("ibm:posted")
        # What is known of it is that it was taken; the rest is asked for where it turns out to be superfluous.
        await self.keep(row.tag, ProviderFacts(id=sent, phase=Phase.QUEUED))

    async def _too_fast(self, refusal: TargetSaturated, sending: Sending) -> StillWaiting:
        """Nobody sends with this account until the provider says; that is a wait and no failure."""
        wait = _wait(refusal, _TOO_FAST)
        await self._ledger.held_up(sending, wait)
        return StillWaiting(f"{self._name!r} says that the account sends too fast", again_in=wait)

    async def adopt(self, tag: str) -> bool:
        """Whether the provider has jobs of this tag; the oldest is kept unless another is, the rest is cancelled."""
        found = await self._line.find(tag)
        for facts in found:
            await self.keep(tag, facts)
        return bool(found)

    async def keep(self, tag: str, sent: ProviderFacts) -> None:
        """Let the row decide whether this job is the one; the loser is reported and cancelled."""
        kept = await self._ledger.keep(tag, sent.id)
        self._failpoint("ibm:kept")
        if kept != sent.id:
            await self.cancel_duplicate(tag, sent)

    async def cancel_duplicate(self, tag: str, found: ProviderFacts) -> None:
        """Cancel a job that another of the same tag has made superfluous, and report what it cost.

        It is reported before it is cancelled too: whoever dies between the two, or gets no answer, leaves an incident
        whose job the reconciler cancels and whose bill it asks for.
        """
        await self._ledger.report(Incident.of(IncidentKind.DUPLICATE, tag, self._name, found))
        self._failpoint("ibm:reported")
        facts = await self._line.cancel(found.id)
        await self._ledger.report(Incident.of(IncidentKind.DUPLICATE, tag, self._name, facts))


def _wait(refusal: TargetSaturated, untold: timedelta) -> timedelta:
    """How long the provider wants to be left alone; `untold` where it does not say."""
    told = refusal.details.get("retry_after")
    return timedelta(seconds=float(told)) if told else untold


async def _to_its_end(running: Coroutine[Any, Any, None]) -> None:
    """Await something to its end, and only then let a cancellation through."""
    task = asyncio.create_task(running)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(HybridError, StillWaiting):
            await task
        raise
