"""What becomes of a submission after its job: cancelled where nobody wants it, settled, searched for duplicates."""

from activities.owners import Owners
from activities.places import Patience, Places, Unwanted, call_off
from activities.tally import Tally
from qurable.backend import PaidBackend
from qurable.contracts.executions import IncidentKind, Phase, ProviderJob
from store import provider_jobs, submissions
from store.database import Database
from store.provider_jobs import ENDED, OpenSubmission


class Caretaker:
    """Looks after one submission at a time; every step may be repeated, and done by two at once.

    Args:
        database: The store.
        owners: Know which jobs run.
        places: The paid backends.
        patience: How long things are left alone.
    """

    def __init__(self, database: Database, owners: Owners, places: Places, patience: Patience) -> None:
        self._database = database
        self._owners = owners
        self._places = places
        self._patience = patience

    async def look_after(self, story: OpenSubmission, tally: Tally) -> None:
        """Do what there is to do for a submission now.

        Raises:
            HybridError: The provider does not answer; the rest is for the next pass.
            StillWaiting: It has not confirmed a cancellation yet.
        """
        tally.looked += 1
        if story.age < self._patience.grace:
            tally.young += 1
            return
        wanted = await self._wanted(story, tally)
        if wanted is None:
            return
        backend = self._places.paid(story.key.backend)
        if any(_worth_asking(part, wanted=wanted) for part in story.parts):
            await backend.look(story.key)
            story = await self._news(story, tally)
        if not wanted and not all(map(_has_ended, story.parts)):
            await self._database.write(submissions.withdraw, story.key)
            await backend.cancel(story.key)
            story = await self._news(story, tally)
        await self._look_for_duplicates(backend, story, tally, wanted=wanted)

    async def _wanted(self, story: OpenSubmission, tally: Tally) -> bool | None:
        """Whether somebody waits for it: its job runs and has not withdrawn it; None where Temporal does not say."""
        if story.withdrawn:
            return False
        alive = await self._owners.alive(story.key.job_id)
        if alive is None:
            tally.unknown += 1
        elif alive:
            tally.alive += 1
        return alive

    async def _news(self, before: OpenSubmission, tally: Tally) -> OpenSubmission:
        """The submission as it is now; what has changed is counted."""
        after = await self._database.read(provider_jobs.open_submission, before.key.tag)
        if after is None:
            return before
        tally.settled += max(0, _count_settled(after) - _count_settled(before))
        tally.cancelled += max(0, _count_cancelled(after) - _count_cancelled(before))
        return after

    async def _look_for_duplicates(
        self, backend: PaidBackend, story: OpenSubmission, tally: Tally, *, wanted: bool
    ) -> None:
        """Look twice for jobs beyond the kept ones, since an index may be slow; after the second the story is over.

        Only a submission that was sent in a doubtful way is looked up while it runs.
        """
        over = all(_is_over(part, withdrawn=story.withdrawn) for part in story.parts)
        first = story.checked is None and (over or any(map(_is_doubtful, story.parts)))
        second = story.checked is not None and story.checked >= self._patience.settling and over
        if story.age < self._patience.settling or not (first or second):
            return
        found = await backend.duplicates(story.key)
        # Rows are read after the list: what was kept meanwhile is no duplicate.
        parts = await self._database.read(provider_jobs.of_submission, story.key.tag)
        for facts in found:
            part = next((part for part in parts if part.tag in facts.tags), None)
            if part is None or part.id == facts.id:
                continue
            if part.id:
                twin = Unwanted(IncidentKind.DUPLICATE, part.backend, part.tag)
                await call_off(self._database, backend, twin, facts, tally)
            elif not wanted:  # a living owner finds it by itself; here the next pass cancels it
                kept = await self._database.write(provider_jobs.keep, part.tag, facts.id)
                tally.adopted += kept == facts.id
        if await self._database.write(provider_jobs.check, story.key.tag, parts, over=second):
            tally.closed += second


def _has_ended(part: ProviderJob) -> bool:
    return part.facts is not None and part.facts.phase in ENDED | {Phase.LOST}


def _is_settled(part: ProviderJob) -> bool:
    return part.facts is not None and part.facts.phase in ENDED and part.facts.usage_complete


def _worth_asking(part: ProviderJob, *, wanted: bool) -> bool:
    """Whether its job may have news; a living owner asks for itself until it has ended."""
    return bool(part.id) and not _is_settled(part) and (not wanted or _has_ended(part))


def _is_over(part: ProviderJob, *, withdrawn: bool) -> bool:
    """Nothing will come of it any more; the bill of a job that the provider lost is not to be had."""
    if not part.id:
        return withdrawn
    return _is_settled(part) or (part.facts is not None and part.facts.phase is Phase.LOST)


def _is_doubtful(part: ProviderJob) -> bool:
    """Whether it was sent more than once, or an attempt ended nobody knows how."""
    return part.attempts > 1 or (part.attempts > 0 and not part.id)


def _count_settled(story: OpenSubmission) -> int:
    return sum(map(_is_settled, story.parts))


def _count_cancelled(story: OpenSubmission) -> int:
    return sum(part.facts is not None and part.facts.phase is Phase.CANCELLED for part in story.parts)
