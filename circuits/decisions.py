"""Make one answer of several places'; runs in a child, and so do the rules that packages register.

Bit order: the rightmost character of an outcome is bit 0.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from qurable.contracts.arrays import FloatArray, size_of
from qurable.contracts.comparisons import (
    BEST_OBJECTIVE,
    FIRST_GOOD,
    Ballot,
    CombinedPub,
    CombinedValues,
    Decided,
)
from qurable.contracts.problems import Sense
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.decisions import DecisionRule, Undecided
from qurable.errors import RequestRejected
from qurable.names import DECISIONS_GROUP

MAJORITY = "majority"
FIDELITY_WEIGHTED = "fidelity_weighted"

MAX_ELEMENTS = 1_000
"""Elements of pubs of which one answer is made."""

MAX_OUTCOMES = 256
MAX_VALUES = 100_000

_ALIKE = 1e-9
"""Objectives that differ by less of their size are the same."""


def check(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: whether there is such a rule, and it fits.

    Args:
        payload: `{"rule": its name, "kinds": of the request}`.

    Raises:
        RequestRejected: There is none, or it does not fit; with those that do.
    """
    kinds = frozenset(payload["kinds"])
    rules = {name: _rule(name) for name in sorted({*BUILT_IN, *_registered()})}
    fitting = [name for name, rule in rules.items() if rule is not None and rule.kinds & kinds]
    name = payload["rule"]
    if name not in rules:
        raise RequestRejected(
            f"there is no decision {name!r}; for this request there are {', '.join(fitting)}"
        )
    if name not in fitting:
        what = " and ".join(sorted(kinds))
        raise RequestRejected(
            f"decision {name!r} does not fit a request of kind {what}; those that do are {', '.join(fitting)}"
        )
    return {}


def decide(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: make one answer of several.

    Args:
        payload: `{"rule": its name, "ballots": JSON of each `Ballot`, of places that answered}`.

    Returns:
        `{"decided": JSON of the `Decided`}`, or `{"undecided": why there is none}`.
    """
    name = payload["rule"]
    rule = _rule(name)
    if rule is None:
        return {"undecided": f"no rule {name!r} can be loaded here any more"}
    ballots = [Ballot.read(document) for document in payload["ballots"]]
    try:
        decided = rule.decide(ballots)
    except Undecided as reason:
        return {"undecided": str(reason)}
    except Exception as failure:  # a package's own code must not cost the comparison its report
        if name in BUILT_IN:
            raise
        return {"undecided": f"rule {name!r} failed with {type(failure).__name__}: {failure}"}
    return {"decided": decided.model_dump_json()}


def best_objective(ballots: Sequence[Ballot]) -> Decided:
    """The best objective of those that break no constraint; of equal ones the cheapest, then the fastest.

    Raises:
        Undecided: None has an objective, or all break a constraint.
    """
    able = [ballot for ballot in ballots if ballot.answer is not None and ballot.answer.objective is not None]
    feasible = [
        ballot for ballot in able if ballot.answer is not None and ballot.answer.feasible is not False
    ]
    if not feasible:
        raise Undecided(
            "every answer breaks a constraint of the problem" if able else "no answer has an objective"
        )
    best = min(feasible, key=lambda ballot: _worth(ballot))
    alike = [
        ballot.leg.place
        for ballot in feasible
        if abs(_loss(ballot) - _loss(best)) <= _ALIKE * (1 + abs(_loss(best)))
    ]
    chosen = min(
        (ballot for ballot in feasible if ballot.leg.place in alike),
        key=lambda ballot: (ballot.leg.qpu_seconds, ballot.leg.durations.total),
    )
    objective = chosen.answer.objective if chosen.answer is not None else None
    error = chosen.leg.standard_error
    words = (
        f"its objective {objective:.9g}{f' ± {error:.2g}' if error else ''} is the best of {len(feasible)}"
    )
    if len(alike) > 1:
        words += f"; {', '.join(place for place in alike if place != chosen.leg.place)} found as good a one, at more cost or later"
    return Decided(
        rule=BEST_OBJECTIVE,
        place=chosen.leg.place,
        job_id=chosen.leg.job_id,
        because=words,
        answer=chosen.answer,
    )


def _loss(ballot: Ballot) -> float:
    """The objective, so that less is better."""
    assert ballot.answer is not None and ballot.answer.objective is not None  # noqa: S101, PT018  callers have seen to it
    return -ballot.answer.objective if ballot.answer.sense is Sense.MAXIMIZE else ballot.answer.objective


def _worth(ballot: Ballot) -> tuple[float, float, float]:
    return _loss(ballot), ballot.leg.qpu_seconds, ballot.leg.durations.total


def majority(ballots: Sequence[Ballot]) -> Decided:
    """What more than half of the places say: their assignment, or for each element their most frequent outcome.

    A place whose most frequent outcome is shared by several outcomes has no vote for that element.

    Raises:
        Undecided: No answer has more than half of the votes.
    """
    assigned = [
        ballot for ballot in ballots if ballot.answer is not None and ballot.answer.assignment is not None
    ]
    if assigned:
        return _majority_of_assignments(assigned)
    sampled = [
        ballot for ballot in ballots if any(isinstance(result, SampleResult) for result in ballot.results)
    ]
    if not sampled:
        raise Undecided("no answer has counts, or an assignment: there is nothing to vote for")
    return _majority_of_outcomes(sampled)


def _majority_of_assignments(ballots: Sequence[Ballot]) -> Decided:
    votes = Counter(ballot.answer.assignment for ballot in ballots if ballot.answer is not None)
    winner, number = votes.most_common(1)[0]
    if 2 * number <= len(ballots):
        raise Undecided(
            f"{len(ballots)} places gave {len(votes)} assignments, and none of them has more than half of the votes"
        )
    chosen = next(
        ballot for ballot in ballots if ballot.answer is not None and ballot.answer.assignment == winner
    )
    return Decided(
        rule=MAJORITY,
        place=chosen.leg.place,
        job_id=chosen.leg.job_id,
        because=f"{number} of {len(ballots)} places gave this assignment",
        weights={
            ballot.leg.place: float(ballot.answer is not None and ballot.answer.assignment == winner)
            for ballot in ballots
        },
        answer=chosen.answer,
    )


def _majority_of_outcomes(ballots: Sequence[Ballot]) -> Decided:
    elected: list[CombinedPub] = []
    agreed: Counter[str] = Counter()
    for pub, element in _elements(ballots):
        votes = {ballot.leg.place: _most_frequent(_counts(ballot, pub, element)) for ballot in ballots}
        cast = Counter(outcome for outcome in votes.values() if outcome is not None)
        winner, number = cast.most_common(1)[0] if cast else ("", 0)
        if 2 * number <= len(ballots):
            split = ", ".join(f"{place} {outcome or 'none'}" for place, outcome in votes.items())
            raise Undecided(
                f"no outcome of pub {pub}, element {element} has more than half of the votes ({split})"
            )
        agreed.update(place for place, outcome in votes.items() if outcome == winner)
        elected.append(
            CombinedPub(
                pub=pub,
                element=element,
                outcomes={winner: number / len(ballots)},
                rest=1 - number / len(ballots),
            )
        )
    closest = max(ballots, key=lambda ballot: agreed[ballot.leg.place])
    of_all = (
        "its most frequent outcome"
        if len(elected) == 1
        else f"the most frequent outcomes of {len(elected)} elements"
    )
    return Decided(
        rule=MAJORITY,
        place=closest.leg.place,
        job_id=closest.leg.job_id,
        because=f"more than half of {len(ballots)} places agree on {of_all}; this place voted with them most often",
        weights={ballot.leg.place: agreed[ballot.leg.place] / len(elected) for ballot in ballots},
        outcomes=tuple(elected),
    )


def _most_frequent(counts: Mapping[str, int]) -> str | None:
    """The outcome that came most often; None where several did, equally often."""
    top = Counter(counts).most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return None
    return top[0][0]


def fidelity_weighted(ballots: Sequence[Ballot]) -> Decided:
    """The mean over places, each by how likely its circuit ran without an error; 1 for a place without errors.

    That survival estimate is no fidelity of the answer: a place that is off in a way it does not report keeps its weight.

    Raises:
        Undecided: There are no results, or nobody's survival is known.
    """
    able = [ballot for ballot in ballots if ballot.results]
    if not able:
        raise Undecided("no answer has results of circuits: there is nothing to weigh")
    number = min(len(ballot.results) for ballot in able)
    weights = [
        {ballot.leg.place: weight for ballot in able if (weight := _weight(ballot, pub))}
        for pub in range(number)
    ]
    if not all(weights):
        raise Undecided(
            "no place knows how likely its circuits ran without an error, so there is nothing to weigh by"
        )
    outcomes: tuple[CombinedPub, ...] = ()
    values: tuple[CombinedValues, ...] = ()
    if isinstance(able[0].results[0], EstimateResult):
        values = tuple(_mean_values(able, pub, weights[pub]) for pub in range(number))
    else:
        outcomes = tuple(_mean_counts(able, pub, element, weights[pub]) for pub, element in _elements(able))
    shares = {ballot.leg.place: _mean_share(ballot.leg.place, weights) for ballot in ballots}
    unknown = [place for place, share in shares.items() if not share]
    words = "the mean by survival estimate: " + ", ".join(
        f"{share:.1%} {place}" for place, share in shares.items() if share
    )
    if unknown:
        words += f"; {', '.join(unknown)} is left out, since how likely it ran without an error is not known, or nil"
    return Decided(rule=FIDELITY_WEIGHTED, because=words, weights=shares, outcomes=outcomes, values=values)


def _weight(ballot: Ballot, pub: int) -> float:
    return (ballot.survival[pub] or 0.0) if pub < len(ballot.survival) else 0.0


def _mean_share(place: str, weights: Sequence[Mapping[str, float]]) -> float:
    return sum(of_pub.get(place, 0.0) / sum(of_pub.values()) for of_pub in weights) / len(weights)


def _mean_counts(
    ballots: Sequence[Ballot], pub: int, element: int, weights: Mapping[str, float]
) -> CombinedPub:
    mean: dict[str, float] = {}
    variance: dict[str, float] = {}
    total = sum(weights.values())
    for ballot in ballots:
        share = weights.get(ballot.leg.place, 0.0) / total
        counts = _counts(ballot, pub, element)
        shots = sum(counts.values())
        for outcome, count in counts.items():
            frequency = count / shots
            mean[outcome] = mean.get(outcome, 0.0) + share * frequency
            variance[outcome] = variance.get(outcome, 0.0) + share**2 * frequency * (1 - frequency) / shots
    heaviest = dict(sorted(mean.items(), key=lambda entry: (-entry[1], entry[0]))[:MAX_OUTCOMES])
    return CombinedPub(
        pub=pub,
        element=element,
        outcomes=heaviest,
        rest=max(0.0, 1.0 - math.fsum(heaviest.values())),
        error=math.sqrt(max(variance.values())),
    )


def _mean_values(ballots: Sequence[Ballot], pub: int, weights: Mapping[str, float]) -> CombinedValues:
    total = sum(weights.values())
    weighed = [
        (weights[ballot.leg.place] / total, result)
        for ballot in ballots
        if ballot.leg.place in weights and isinstance(result := ballot.results[pub], EstimateResult)
    ]
    shape, size = weighed[0][1].shape, size_of(weighed[0][1].shape)
    if size > MAX_VALUES:
        raise Undecided(f"pub {pub} has {size:,} values, and of up to {MAX_VALUES:,} a mean is made")
    means = [math.fsum(share * result.evs.values[at] for share, result in weighed) for at in range(size)]
    errors = [
        math.sqrt(math.fsum((share * result.stds.values[at]) ** 2 for share, result in weighed))
        for at in range(size)
    ]
    return CombinedValues(
        pub=pub,
        evs=FloatArray(shape=shape, values=tuple(means)),
        stds=FloatArray(shape=shape, values=tuple(errors)),
    )


def _elements(ballots: Sequence[Ballot]) -> list[tuple[int, int]]:
    """Each (pub, element) that all have.

    Raises:
        Undecided: There are too many.
    """
    found = [
        (pub, element)
        for pub, result in enumerate(ballots[0].results)
        for element in range(size_of(result.shape))
        if all(pub < len(ballot.results) for ballot in ballots)
    ]
    if not 0 < len(found) <= MAX_ELEMENTS:
        raise Undecided(
            f"the request has {len(found):,} circuits with their values, and of 1 to {MAX_ELEMENTS:,} one answer is made"
        )
    return found


def _counts(ballot: Ballot, pub: int, element: int) -> dict[str, int]:
    result = ballot.results[pub]
    if not isinstance(result, SampleResult):
        raise Undecided(f"{ballot.leg.place} has no counts of pub {pub}")
    return result.counts(element)


def first_good(ballots: Sequence[Ballot]) -> Decided:
    """The first answer that passed its checks, or where none did the first of all."""
    taken = next((ballot for ballot in ballots if ballot.leg.good), ballots[0])
    words = (
        "the first answer that passed its checks"
        if taken.leg.good
        else "no answer passed its checks, and this one came first"
    )
    return Decided(
        rule=FIRST_GOOD, place=taken.leg.place, job_id=taken.leg.job_id, because=words, answer=taken.answer
    )


BUILT_IN: Mapping[str, DecisionRule] = {
    BEST_OBJECTIVE: DecisionRule(frozenset({"problem"}), best_objective),
    MAJORITY: DecisionRule(frozenset({"sample", "problem"}), majority),
    FIDELITY_WEIGHTED: DecisionRule(frozenset({"sample", "estimate"}), fidelity_weighted),
    FIRST_GOOD: DecisionRule(frozenset({"sample", "estimate", "problem"}), first_good),
}


def _registered() -> Mapping[str, Any]:
    return {entry.name: entry for entry in entry_points(group=DECISIONS_GROUP)}


def _rule(name: str) -> DecisionRule | None:
    """A rule by its name; None where there is none, or a package's cannot be loaded."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    entry = _registered().get(name)
    if entry is None:
        return None
    try:
        loaded = entry.load()
    except Exception:  # noqa: BLE001  a package that is broken is as good as not there
        return None
    return loaded if isinstance(loaded, DecisionRule) else None
