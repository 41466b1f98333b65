"""Find what the cache has for a job: the answer of an earlier one to the same question."""

from collections.abc import Sequence
from datetime import timedelta

from backends.registry import Registry
from fallback.checks import sort_of
from fallback.table import AsksFor
from fallback.wish import Offer, Wish
from qurable.contracts.executions import EarlierAnswer, Submission
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import InternalError
from qurable.names import CACHE, CLASSICAL_PREFIX
from store import answers
from store.answers import Answered
from store.database import Database, now
from store.shelf import StoreShelf

_LOOKED_AT = 5
"""Answers of which the reports are read before the cache is said to have none."""

_NOT_OF_THE_ANSWER = {"mode", "max_time", "max_execution_time"}
"""IBM's options that bound a run, and do not change what it answers."""


class EarlierAnswers:
    """Looks in the store.

    Args:
        database: The store.
        shelf: Where submissions are.
        registry: Knows whose devices are whose.
    """

    def __init__(self, database: Database, shelf: StoreShelf, registry: Registry) -> None:
        self._database = database
        self._shelf = shelf
        self._registry = registry

    async def offer(
        self, cache: TargetSnapshot, wish: Wish, project: str, max_age: timedelta, asked: Sequence[Offer]
    ) -> Offer:
        """The cache as a candidate, with what it would answer or why it would not.

        Args:
            cache: What it says of itself.
            wish: What the job wants.
            project: Whose answers.
            max_age: The house's own limit, where the job has none.
            asked: What the job's own preference stands for.
        """
        if wish.fallback.cache_age is not None:
            max_age = wish.fallback.cache_age
        if not max_age:
            return Offer(CACHE, cache, beside="the job takes no earlier answer: its fallback.cache_age is 0")
        if not wish.question:
            return Offer(
                CACHE, cache, beside="only what is asked of circuits is looked for among earlier answers"
            )
        earlier = await self._find(wish, project, max_age, asked)
        if earlier is None:
            return Offer(
                CACHE,
                cache,
                beside=f"no job of project {project!r} that asked the same was answered there in the last {max_age}",
            )
        described = cache.model_copy(update={"calibrated": earlier.calibrated, "emulated": earlier.emulated})
        return Offer(CACHE, described, earlier=earlier)

    async def _find(
        self, wish: Wish, project: str, max_age: timedelta, asked: Sequence[Offer]
    ) -> EarlierAnswer | None:
        """The newest answer of the very place that was asked, else of another that may stand for it."""
        at = now()
        found = await self._database.read(answers.to_question, wish.question, project, at - max_age)
        same = {offer.name for offer in asked}
        fitting = [answered for answered in found if self._may_stand(answered.key.backend, wish, same)]
        fitting.sort(key=lambda answered: answered.key.backend not in same)
        for answered in fitting[:_LOOKED_AT]:
            known = await self._database.read(answers.report_of, answered)
            if known is None or not await self._asked_alike(answered, wish):
                continue
            report, size = known
            target = next((rung.target for rung in report.route.rungs if rung.name == report.served_by), None)
            provenance = report.provenance
            if target is None or provenance is None or not _is_such(target, wish, asked):
                continue
            return EarlierAnswer(
                key=answered.key,
                provider_job=provenance.provider_job,
                answered=answered.ended,
                until=answered.ended + max_age,
                age_seconds=(at - answered.ended).total_seconds(),
                calibrated=provenance.calibrated,
                target=provenance.target,
                target_version=provenance.target_version,
                emulated=target.emulated,
                size=size,
            )
        return None

    def _may_stand(self, backend: str, wish: Wish, same: set[str]) -> bool:
        """Whether an answer from a place may stand for one from where the job asked."""
        match wish.asks_for:
            case AsksFor.HARDWARE:
                return backend in same or self._registry.same_provider(backend, str(wish.asked))
            case AsksFor.CLASSICAL:
                return backend in same or backend.startswith(CLASSICAL_PREFIX)
            case AsksFor.SIMULATOR:
                return backend in same
        return True

    async def _asked_alike(self, answered: Answered, wish: Wish) -> bool:
        """Whether the provider was told to mitigate as this job asks."""
        sent = IbmOptions()
        if answered.document is not None:
            try:
                sent = Submission.read(await self._shelf.artifact(answered.document)).ibm
            except InternalError:
                return False  # it was deleted, and nobody can tell any more
        return sent.model_dump(exclude=_NOT_OF_THE_ANSWER) == wish.ibm.model_dump(exclude=_NOT_OF_THE_ANSWER)


def _is_such(target: TargetSnapshot, wish: Wish, asked: Sequence[Offer]) -> bool:
    """Whether what answered is of the sort that was asked; a rehearsal never stands for the device itself."""
    if wish.asks_for is not AsksFor.HARDWARE:
        return True
    real = any(offer.target is not None and not offer.target.emulated for offer in asked)
    return sort_of(target) is AnswerKind.HARDWARE and not (real and target.emulated)
