"""Round trips as QUBOs, what measured bits say of a tour, and the shortest tour by dynamic programming.

The formulation is Lucas's (Front. Phys. 2, 5 (2014), section 7) with the first city where every tour begins. The
shortest tour is found as by Held and Karp (J. SIAM 10, 196 (1962)).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from qurable.contracts.problems import ProblemAnswer, Qubo, Sense
from qurable.contracts.translations import MAX_TRANSLATED_BITS, TourTerms

MAX_CITIES = 1 + math.isqrt(MAX_TRANSLATED_BITS)

Distances = Sequence[Sequence[float]]


def as_qubo(cities: Sequence[str], distances: Distances) -> tuple[Qubo, TourTerms]:
    """A QUBO whose value is a tour's length, and more than the shortest one's where the bits are no tour.

    The penalty of a broken rule is the length of the tour that always goes to the nearest city: bits that are no tour
    break two rules at least, and no distance is negative.
    """
    penalty = length(distances, _nearest_first(distances)) or 1.0
    stops = len(cities) - 1
    linear = [0.0] * stops**2
    quadratic: dict[tuple[int, int], float] = {}

    def bit(city: int, place: int) -> int:
        return (city - 1) * stops + place - 1

    def add(one: int, other: int, weight: float) -> None:
        pair = (min(one, other), max(one, other))
        quadratic[pair] = quadratic.get(pair, 0.0) + weight

    numbers = range(1, stops + 1)
    for city in numbers:
        linear[bit(city, 1)] += distances[0][city]
        linear[bit(city, stops)] += distances[city][0]
        for other in numbers:
            if other != city:
                for place in range(1, stops):
                    add(bit(city, place), bit(other, place + 1), distances[city][other])
    rules = [[bit(city, place) for place in numbers] for city in numbers]
    rules += [[bit(city, place) for city in numbers] for place in numbers]
    for rule in rules:  # penalty * (sum - 1)^2
        for at, one in enumerate(rule):
            linear[one] -= penalty
            for other in rule[at + 1 :]:
                add(one, other, 2 * penalty)
    problem = Qubo(
        linear=tuple(linear),
        quadratic=tuple((one, other, weight) for (one, other), weight in sorted(quadratic.items()) if weight),
        offset=penalty * len(rules),
    )
    terms = TourTerms(cities=tuple(cities), distances=tuple(tuple(row) for row in distances), penalty=penalty)
    return problem, terms


def length(distances: Distances, tour: Sequence[int]) -> float:
    """Of a closed tour that visits cities in this order."""
    return sum(distances[one][other] for one, other in zip(tour, [*tour[1:], tour[0]], strict=True))


def _nearest_first(distances: Distances) -> list[int]:
    tour, left = [0], set(range(1, len(distances)))
    while left:
        nearest = min(left, key=lambda city: (distances[tour[-1]][city], city))
        tour.append(nearest)
        left.remove(nearest)
    return tour


def answer_of(terms: TourTerms, bits: Sequence[int]) -> ProblemAnswer:
    """What bits, one per variable of the QUBO, say: a tour with its length, or the rules that they break."""
    stops = len(terms.cities) - 1
    chosen = [[bits[row * stops + place] for place in range(stops)] for row in range(stops)]
    visits = [sum(row) for row in chosen]
    crowds = [sum(column) for column in zip(*chosen, strict=True)]
    violations = [
        f"city {terms.cities[1 + at]} is visited {count} times"
        for at, count in enumerate(visits)
        if count != 1
    ]
    violations += [f"{count} cities are in place {2 + at}" for at, count in enumerate(crowds) if count != 1]
    if violations:
        return ProblemAnswer(
            kind="tour",
            sense=Sense.MINIMIZE,
            feasible=False,
            violations=tuple(violations),
            names=terms.cities,
        )
    return _answer(terms, [0, *(1 + row.index(1) for row in chosen)])


def _answer(terms: TourTerms, places: Sequence[int]) -> ProblemAnswer:
    tour = sorted(range(len(places)), key=places.__getitem__)
    return ProblemAnswer(
        kind="tour",
        sense=Sense.MINIMIZE,
        assignment=tuple(map(float, places)),
        objective=length(terms.distances, tour),
        feasible=True,
        names=terms.cities,
    )


def shortest(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the shortest tour of `TourTerms` in JSON, as a `ProblemAnswer` in JSON, with its own length for a bound."""
    terms = TourTerms.read(payload)
    distances, count = terms.distances, len(terms.cities)
    # best[visited, last]: the shortest way from city 0 over the visited cities to the last of them
    best = {(1 << city, city): (distances[0][city], 0) for city in range(1, count)}
    for visited in range(2, 1 << count, 2):
        members = [city for city in range(1, count) if visited >> city & 1]
        if len(members) < 2:
            continue
        for last in members:
            before = visited & ~(1 << last)
            best[visited, last] = min(
                (best[before, city][0] + distances[city][last], city) for city in members if city != last
            )
    visited = (1 << count) - 2
    last = min(range(1, count), key=lambda city: best[visited, city][0] + distances[city][0])
    places = [0] * count
    for place in range(count - 1, 0, -1):
        places[last] = place
        visited, last = visited & ~(1 << last), best[visited, last][1]
    found = _answer(terms, places)
    return found.model_copy(update={"bound": found.objective, "gap": 0.0}).model_dump_json()
