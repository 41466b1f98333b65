"""From a job's wishes and what is there to a recorded route. Pure: everything it looks at is an argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from circuits.methods import clearly_quicker
from fallback.checks import (
    REFUSALS,
    Doubt,
    check_budget,
    check_place,
    check_work,
    doubt_about,
    sort_of,
)
from fallback.estimates import Worked, work_out
from fallback.ladder import ROLLOUT, check_sent, ladder_of
from fallback.rollout import Applied
from fallback.room import check_room
from fallback.table import ASKED, OTHER_DEVICES, AsksFor, StrategyTable, TableRung
from fallback.wish import Offer, Surroundings, Wish
from qurable.contracts.routes import Considered, Estimate, Route, Rung
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import HybridError, UnsupportedCircuit

_BY_NAME = frozenset({AsksFor.HARDWARE, AsksFor.SIMULATOR, AsksFor.CLASSICAL})


@dataclass(frozen=True)
class Plan:
    """A route, and what to say where it has no rungs.

    Attributes:
        route: With every candidate's verdict.
        refusal: What rules out every candidate; None where there is a rung.
    """

    route: Route
    refusal: HybridError | None = None


@dataclass
class _Candidate:
    """One place on its way to a verdict.

    Attributes:
        offer: As it was found.
        rung: Name of the table's rung that it belongs to.
        place: The table's word for it.
        kind: Of that rung's answers; None for any.
        refusal: What rules it out.
        doubt: What speaks against it as long as there is another.
        worked: What it takes, as far as that came to be worked out.
    """

    offer: Offer
    rung: str
    place: str
    kind: AnswerKind | None
    refusal: HybridError | None = None
    doubt: Doubt | None = None
    worked: Worked = field(default_factory=lambda: Worked(Estimate(), {}))

    @property
    def fits(self) -> bool:
        """Whether it may be asked."""
        return self.refusal is None and not self.offer.beside


def plan(wish: Wish, table: StrategyTable, around: Surroundings) -> Plan:
    """The rungs to try, in the table's order, and the verdict on every candidate.

    Each candidate is weighed once. It belongs to the rung that takes it, or else to the first where it comes up.

    Args:
        wish: What the job wants.
        table: Which places answer, in which order.
        around: What there is.
    """
    ladder = ladder_of(wish, table, around.rollout)
    candidates: dict[str, _Candidate] = {}
    for name, rung in ladder:
        for place in rung.places:
            for offer in around.offers.get(place, ()):
                candidates.setdefault(offer.name, _Candidate(offer, name, place, rung.kind))
    for candidate in candidates.values():
        _weigh(candidate, wish, table, around)
    # Estimates may be wrong: where nothing else answers, a place that is in doubt is asked all the same.
    sure = any(candidate.fits and candidate.doubt is None for candidate in candidates.values())
    chosen = _chosen(ladder, candidates, wish, around, table, doubtful=not sure)
    rungs = {candidate.offer.name: _rung(candidate, wish, around.rollout) for candidate in chosen}
    considered = [_verdict(candidate, rungs, chosen) for candidate in candidates.values()]
    route = Route(
        rungs=tuple(rungs.values()),
        considered=tuple(considered),
        table=table.sha256,
        min_survival=table.thresholds.min_survival,
    )
    return Plan(route) if rungs else Plan(route, _refusal(wish, list(candidates.values())))


def _weigh(candidate: _Candidate, wish: Wish, table: StrategyTable, around: Surroundings) -> None:
    offer = candidate.offer
    if offer.beside:
        return
    if offer.target is None:
        candidate.refusal = offer.failure or UnsupportedCircuit(f"nothing is known of {offer.name!r}")
        return
    try:
        _check_kind(candidate, offer.target)
        check_sent(candidate.rung, offer.target, wish)
        check_place(offer.target, wish, around)
        check_work(offer.target, wish)
        candidate.worked = _worked(offer, offer.target, wish, around, table)
        least = candidate.worked.estimate.times(wish.least_share)
        check_budget(offer.target, least, wish)
        check_room(offer.target, least, wish.ibm, around.room)
    except REFUSALS as refusal:
        candidate.refusal = refusal
    else:
        candidate.doubt = doubt_about(offer.target, candidate.worked.estimate, wish, table)


def _worked(
    offer: Offer, target: TargetSnapshot, wish: Wish, around: Surroundings, table: StrategyTable
) -> Worked:
    """What a place takes; an answer that is there takes nothing.

    Raises:
        UnsupportedCircuit: It cannot answer this at all.
        JobTooLarge: It takes more memory than there is.
    """
    if target.answer_kind is not AnswerKind.CACHE:
        return work_out(target, wish, around, table)
    if offer.earlier is None:
        raise UnsupportedCircuit(
            f"backend {target.name!r} only stands in for a place that does not answer: ask for that place"
        )
    return Worked(Estimate(wait_seconds=0.0, run_seconds=0.0), {}, str(offer.earlier))


def _check_kind(candidate: _Candidate, target: TargetSnapshot) -> None:
    """Whether a place is of the sort that its rung says.

    Raises:
        UnsupportedCircuit: It is not; most likely the table names it in the wrong rung.
    """
    if candidate.kind not in (None, sort_of(target)):
        raise UnsupportedCircuit(
            f"backend {target.name!r} gives answers of kind {sort_of(target)!s}; rung {candidate.rung!r} of the strategy table is "
            f"for {candidate.kind!s}"
        )


def _chosen(
    ladder: Sequence[tuple[str, TableRung]],
    candidates: Mapping[str, _Candidate],
    wish: Wish,
    around: Surroundings,
    table: StrategyTable,
    *,
    doubtful: bool,
) -> list[_Candidate]:
    """No more of each rung than the table wants, and one in all where nothing else may answer."""
    chosen: list[_Candidate] = []
    for name, rung in ladder:
        left = len(candidates) if rung.most is None else rung.most
        found = [
            (place, candidates[offer.name]) for place in rung.places for offer in around.offers.get(place, ())
        ]
        usable = [pair for pair in found if pair[1].fits and (doubtful or not pair[1].doubt)]
        for place, candidate in _soonest(usable, table) if rung.quickest else usable:
            if left and candidate not in chosen:
                candidate.rung, candidate.place = name, place
                chosen.append(candidate)
                left -= 1
    return chosen[:1] if wish.fallback.policy == "none" else chosen


def _soonest(
    usable: Sequence[tuple[str, _Candidate]], table: StrategyTable
) -> Sequence[tuple[str, _Candidate]]:
    """Those that are about as quick as the quickest, then the others, each in the table's order.

    Exact ones alone, where there are any; and no solver behind a simulator, which would be no quicker. A place of which
    nobody can say how quick it is keeps its place.
    """
    exact = [pair for pair in usable if pair[1].worked.certain] or usable
    seconds = {id(candidate): candidate.worked.estimate.run_seconds for _, candidate in exact}
    least = min((known for known in seconds.values() if known is not None), default=0.0)

    def is_slow(pair: tuple[str, _Candidate]) -> bool:
        known = seconds[id(pair[1])]
        return known is not None and clearly_quicker(least, known, table.thresholds.quicker_by_seconds)

    ordered = sorted(exact, key=is_slow)
    if not ordered or _is_classical(ordered[0][1]):
        return ordered
    return [pair for pair in ordered if not _is_classical(pair[1])]


def _is_classical(candidate: _Candidate) -> bool:
    target = candidate.offer.target
    return target is not None and sort_of(target) is AnswerKind.CLASSICAL


def _rung(candidate: _Candidate, wish: Wish, rollout: Applied) -> Rung:
    target = candidate.offer.target
    assert target is not None  # noqa: S101  what says nothing of itself fits nothing
    reason = rollout.because if candidate.rung == ROLLOUT else _reason(candidate, wish, target)
    words = [reason, candidate.worked.how]
    if candidate.doubt is not None:
        words.append(f"nothing else can answer, although {candidate.doubt.because}")
    return Rung(
        target=target,
        because="; ".join(filter(None, words)),
        methods=dict(candidate.worked.methods),
        rung=candidate.rung,
        degraded=_is_less(candidate, wish),
        estimate=candidate.worked.estimate,
        earlier=candidate.offer.earlier,
    )


def _reason(candidate: _Candidate, wish: Wish, target: TargetSnapshot) -> str:
    if candidate.place == ASKED:
        if wish.asks_for is AsksFor.CLASSICAL and wish.asked != target.name:
            return "the classical solver that suits best"
        return "asked for"
    if wish.asks_for is AsksFor.AUTO and sort_of(target) is AnswerKind.CLASSICAL:
        exact = candidate.worked.certain
        return "exact, and expected to answer soonest" if exact else "nothing that is exact can answer"
    if _is_less(candidate, wish):
        return f"rung {candidate.rung!r} below what was asked"
    return (
        "another that was asked for"
        if candidate.place == OTHER_DEVICES
        else "the smallest simulator that fits"
    )


def _is_less(candidate: _Candidate, wish: Wish) -> bool:
    """Whether an answer from there is less than what was asked; whoever names no place is answered by any."""
    target = candidate.offer.target
    if target is not None and target.answer_kind is AnswerKind.CACHE:
        return True
    if candidate.place == ASKED or wish.asks_for not in _BY_NAME:
        return False
    if candidate.rung == ROLLOUT:
        return not (wish.any_device and target is not None and sort_of(target) is AnswerKind.HARDWARE)
    return not (candidate.place == OTHER_DEVICES and wish.any_device)


def _verdict(candidate: _Candidate, rungs: dict[str, Rung], chosen: list[_Candidate]) -> Considered:
    name, target = candidate.offer.name, candidate.offer.target
    if name in rungs:
        because = rungs[name].because
    elif candidate.offer.beside:
        because = candidate.offer.beside
    elif candidate.refusal is not None:
        because = candidate.refusal.message
    elif candidate.doubt is not None:
        because = candidate.doubt.because
    else:
        first = next((other for other in chosen if other.rung == candidate.rung), chosen[0])
        because = f"it would do; {first.offer.name!r} comes first"
    return Considered(
        name=name,
        taken=name in rungs,
        because=because,
        rung=candidate.rung,
        kind=None if target is None else target.answer_kind,
        estimate=candidate.worked.estimate,
    )


def _refusal(wish: Wish, candidates: list[_Candidate]) -> HybridError:
    """Why nothing answers: what is wrong with the place that was asked, or with each where none was."""
    refused = [candidate for candidate in candidates if candidate.refusal is not None]
    if not refused:
        return UnsupportedCircuit(
            f"no backend fits {wish.asked}: none is registered that does; `qurable backends` lists them"
        )
    simulators = [
        candidate
        for candidate in refused
        if candidate.offer.target is not None and sort_of(candidate.offer.target) is AnswerKind.SIMULATOR
    ]
    last = (simulators or refused)[-1] if wish.asks_for is AsksFor.AUTO else refused[-1]
    asked = next((candidate for candidate in refused if candidate.place == ASKED), last)
    others = "; ".join(
        f"{other.offer.name}: {other.refusal.message}"
        for other in refused
        if other is not asked and other.refusal is not None
    )
    error = asked.refusal
    assert error is not None  # noqa: S101  one of those that were refused
    if not others:
        return error
    if wish.asks_for in (AsksFor.REQUIREMENTS, AsksFor.CLASSICAL):
        return UnsupportedCircuit(
            f"no backend fits {wish.asked}: {asked.offer.name}: {error.message}; {others}"
        )
    if wish.asks_for is AsksFor.AUTO:
        return error
    return type(error)(f"{error.message}; nor is there anything else to answer: {others}", **error.details)
