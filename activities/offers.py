"""Find the candidates of a route: ask each place what it offers now, as far as the strategy table comes to it."""

import asyncio
import fnmatch
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio import activity

from activities.boundary import note_fault
from activities.earlier_answers import EarlierAnswers
from activities.health import HealthWatch
from backends.aer import GPU
from backends.registry import Registry
from circuits.survival_bound import BestErrors, best_errors
from fallback.checks import sort_of
from fallback.estimates import gpu_pays
from fallback.solvers.circuits import CIRCUIT_SOLVERS
from fallback.solvers.problems import SOLVERS, best_first
from fallback.table import ASKED, FITTING, OTHER_DEVICES, TWIN, AsksFor, StrategyTable, TableRung
from fallback.wish import Offer, Wish
from qurable.contracts.jobs import AUTO, Requirements
from qurable.contracts.problems import Problem
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import AccountRefused, BackendNotInstalled, HybridError, TargetUnavailable
from qurable.names import CACHE, CLASSICAL, CLASSICAL_PREFIX, Activity
from store.shelf import StoreShelf

_LOOKED_AT = 3
"""Devices of a provider that are described in full, which takes a second each; those with the shortest queues."""

_PATIENCE = timedelta(seconds=60)
_SHARE_OF_DEADLINE = 4
_ABSENT_FOR_SECONDS = 60.0
"""What is not installed here is not looked for again for so long: a GPU is looked for by running on it."""


class Offers:
    """Asks places.

    Args:
        registry: The backends.
        shelf: Where their targets are.
        capacity_bytes: Memory that this machine can ever grant.
        watch: Knows which places are left alone, and counts how the others answer.
        earlier: What the cache has.
    """

    def __init__(
        self,
        registry: Registry,
        shelf: StoreShelf,
        capacity_bytes: int,
        watch: HealthWatch,
        earlier: EarlierAnswers,
    ) -> None:
        self._earlier = earlier
        self._registry = registry
        self._shelf = shelf
        self._capacity_bytes = capacity_bytes
        self._watch = watch
        self._errors: dict[str, BestErrors | None] = {}
        self._absent: dict[str, tuple[float, HybridError]] = {}

    async def asked(
        self,
        asked: str | Requirements,
        project: str,
        min_qubits: int,
        problem: Problem | None,
        *,
        ladder: bool,
        deadline: timedelta | None,
    ) -> Sequence[Offer]:
        """What the job's own preference stands for, best first.

        Args:
            asked: A name, `auto`, or requirements.
            project: Whose account pays.
            min_qubits: Of the widest circuit.
            problem: What the job carries.
            ladder: Whether another place may answer for one that does not.
            deadline: Of the job.

        Raises:
            HybridError: There is no such place; or it does not answer, and should be asked again or no other may answer.
        """
        if asked == AUTO:
            return ()
        if isinstance(asked, Requirements):
            return await self._fitting(asked)
        within = _within(deadline)
        try:
            async with asyncio.timeout(within):
                if asked == self._registry.any_device:
                    found = await self._devices(project, min_qubits)
                    if found is not None:
                        return found
                names = await self._registry.candidates(asked, project, min_qubits)
                offers = await self._ask(best_first(names, problem) if asked == CLASSICAL else names)
        except TimeoutError:
            silent = TargetUnavailable(f"backend {asked!r} did not say within {within:g} s what it offers")
            if within == _PATIENCE.total_seconds():  # less is the job's own haste
                await self._watch.went_wrong(asked, Activity.PLAN_ROUTE, within, silent)
                note_fault(asked, silent)
            if not ladder:
                raise silent from None
            return [Offer(asked, failure=silent)]
        except HybridError as failure:
            offers = [Offer(asked, failure=failure)]
        if all(offer.target is None for offer in offers):
            for offer in offers:
                if offer.failure is not None and not (ladder and _is_final(offer.failure)):
                    raise offer.failure
        return offers

    def asks_for(self, asked: str | Requirements, offers: Sequence[Offer]) -> AsksFor:
        """What sort of place a job asks for.

        Raises:
            HybridError: Why nobody can tell.
        """
        if isinstance(asked, Requirements):
            return AsksFor.REQUIREMENTS
        if asked == AUTO:
            return AsksFor.AUTO
        if asked == CLASSICAL or asked.startswith(CLASSICAL_PREFIX):
            return AsksFor.CLASSICAL
        targets = [offer.target for offer in offers if offer.target is not None]
        if any(sort_of(target) is AnswerKind.HARDWARE for target in targets):
            return AsksFor.HARDWARE
        if targets:
            return AsksFor.SIMULATOR
        if self._registry.is_device(asked):
            return AsksFor.HARDWARE
        raise next(offer.failure for offer in offers if offer.failure is not None)

    async def below(
        self,
        ladder: Sequence[tuple[str, TableRung]],
        table: StrategyTable,
        wish: Wish,
        project: str,
        asked: Sequence[Offer],
    ) -> Mapping[str, Sequence[Offer]]:
        """Every place that a job's ladder comes to, by the table's word for it."""
        words = {place: rung for _, rung in ladder for place in rung.places}
        found = await asyncio.gather(
            *(self._place(word, rung, table, wish, project, asked) for word, rung in words.items())
        )
        return dict(zip(words, found, strict=True))

    async def _place(
        self,
        word: str,
        rung: TableRung,
        table: StrategyTable,
        wish: Wish,
        project: str,
        asked: Sequence[Offer],
    ) -> Sequence[Offer]:
        if word in (ASKED, FITTING):
            return asked if (word == FITTING) == (wish.asks_for is AsksFor.REQUIREMENTS) else ()
        if word == OTHER_DEVICES:
            return await self._other_devices(wish, project, asked)
        if word == TWIN:
            return await self._twin(wish, asked)
        if word == CACHE and rung.max_age is not None:
            cache = await self._registry.snapshot(CACHE)
            return [await self._earlier.offer(cache, wish, project, rung.max_age, asked)]
        if word == GPU and not gpu_pays(wish, table, self._capacity_bytes):
            least = table.thresholds.gpu_from_qubits
            because = f"a GPU pays off for statevectors of {least} qubits or more that keep it busy"
            return [Offer(word, beside=because)]
        if any(sign in word for sign in "*?["):
            known = self._registry.names()
            names = [
                name for name in (*CIRCUIT_SOLVERS, *SOLVERS) if name in known and fnmatch.fnmatch(name, word)
            ]
            return await self._within_patience(best_first(names, wish.problem), wish.limits.total)
        if self._registry.is_device(word):
            return await self._device(word, project, wish)
        return await self._within_patience([word], wish.limits.total)

    async def _device(self, name: str, project: str, wish: Wish) -> Sequence[Offer]:
        """A device by its name, on the project's account."""
        try:
            names = await self._registry.candidates(name, project, wish.widest)
        except HybridError as failure:
            return [Offer(name, failure=failure)]
        return await self._within_patience(names, wish.limits.total)

    async def _other_devices(self, wish: Wish, project: str, asked: Sequence[Offer]) -> Sequence[Offer]:
        if wish.any_device:
            return asked
        paid = any(offer.target.paid for offer in asked if offer.target is not None)
        if not (wish.fallback.other_devices and paid):
            return ()
        try:
            async with asyncio.timeout(_within(wish.limits.total)):
                return await self._devices(project, wish.widest) or ()
        except (HybridError, TimeoutError):
            return ()

    async def _twin(self, wish: Wish, asked: Sequence[Offer]) -> Sequence[Offer]:
        """The noisy simulator of the asked device; of any device, that of the one with the shortest queue."""
        assert isinstance(wish.asked, str)  # noqa: S101  whoever has requirements names no device
        described = [offer.name for offer in asked if offer.target is not None]
        for name in [*described[:1], wish.asked]:
            twin = self._registry.twin(name)
            if twin is not None:
                return await self._within_patience([twin], wish.limits.total)
        return ()

    async def _devices(self, project: str, min_qubits: int) -> Sequence[Offer] | None:
        """A provider's devices, the shortest queue first; None where nobody pays for the project."""
        try:
            outlines = await self._watch.described(self._registry.any_device, self._registry.devices(project))
        except AccountRefused:
            return None
        usable = [
            outline
            for outline in outlines
            if outline.available
            and (outline.num_qubits or 0) >= min_qubits
            and not self._watch.leaves_alone(outline.name)
        ]
        full = await self._ask([outline.name for outline in usable[:_LOOKED_AT]])
        rest = [
            Offer(outline.name, outline, beside="its queue is longer than those of the devices looked at")
            for outline in usable[_LOOKED_AT:]
        ]
        others = [Offer(outline.name, outline) for outline in outlines if outline not in usable]
        return [*full, *rest, *others]

    async def _fitting(self, wanted: Requirements) -> Sequence[Offer]:
        # Nothing is paid for unless hardware is asked for in so many words.
        paid = wanted.simulator is False
        known = await self._registry.describe()
        found = sorted((target for target in known if paid or not target.paid), key=_narrowest_first)
        return [Offer(target.name, target) for target in found]

    async def _within_patience(self, names: Sequence[str], deadline: timedelta | None) -> Sequence[Offer]:
        """Places below the one that was asked; none of them is waited for long."""
        within = _within(deadline)
        try:
            async with asyncio.timeout(within):
                return await self._ask(names)
        except TimeoutError:
            silent = TargetUnavailable(f"it did not say within {within:g} s what it offers")
            return [Offer(name, failure=silent) for name in names]

    async def _ask(self, names: Sequence[str]) -> list[Offer]:
        return await asyncio.gather(*map(self._ask_one, names))

    async def _ask_one(self, name: str) -> Offer:
        loop = asyncio.get_running_loop()
        at, absent = self._absent.get(name, (0.0, None))
        if absent is not None and loop.time() - at < _ABSENT_FOR_SECONDS:
            return Offer(name, failure=absent)
        try:
            return Offer(name, await self._watch.described(name, self._registry.snapshot(name)))
        except HybridError as failure:
            if name == GPU and isinstance(failure, BackendNotInstalled):
                self._absent[name] = (loop.time(), failure)
            return Offer(name, failure=failure)

    async def errors(self, offers: Mapping[str, Sequence[Offer]]) -> Mapping[str, BestErrors]:
        """The least errors of the devices among some offers, by the hash of their target."""
        targets = [offer.target for found in offers.values() for offer in found if offer.target is not None]
        wanted = {target.target for target in targets if target.target is not None}
        for key in wanted - self._errors.keys():
            document = TargetDocument.read(await self._shelf.artifact(key))
            self._errors[key] = best_errors(document)
        known = {key: self._errors[key] for key in wanted}
        return {key: errors for key, errors in known.items() if errors is not None}


def _within(deadline: timedelta | None) -> float:
    """How long a place may take to describe itself (s): most of a deadline is for the answer."""
    if deadline is None:
        return _PATIENCE.total_seconds()
    return min(_PATIENCE, deadline / _SHARE_OF_DEADLINE).total_seconds()


def _is_final(failure: HybridError) -> bool:
    """Whether another place may answer now, rather than this one be asked again."""
    if not failure.next_rung:
        return False
    asked_enough = failure.attempts is not None and activity.info().attempt >= failure.attempts
    return not failure.retry_here or asked_enough


def _narrowest_first(snapshot: TargetSnapshot) -> tuple[bool, int, str]:
    """The smallest that fits; one without a width of its own before all others."""
    return snapshot.num_qubits is not None, snapshot.num_qubits or 0, snapshot.name
