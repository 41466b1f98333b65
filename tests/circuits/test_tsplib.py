"""Round trips from TSPLIB files: distances as published, tours as bits, and what is refused."""

import itertools
import re
from typing import Any

import numpy as np
import pytest

from circuits.problem_files import read_problem
from circuits.problem_files.tsplib import Distances, distances, parse
from circuits.problems import score
from circuits.tours import answer_of, length, shortest
from circuits.translations import best_translated
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import ProblemAnswer, Qubo
from qurable.contracts.translations import TourTerms
from qurable.errors import RequestRejected

BURMA14 = """NAME: burma14
TYPE: TSP
COMMENT: 14-Staedte in Burma (Zaw Win)
DIMENSION: 14
EDGE_WEIGHT_TYPE: GEO
NODE_COORD_SECTION
1 16.47 96.10
2 16.47 94.44
3 20.09 92.54
4 22.39 93.37
5 25.23 97.24
6 22.00 96.05
7 20.47 97.02
8 17.20 96.29
9 16.30 97.38
10 14.05 98.12
11 16.53 97.38
12 21.52 95.59
13 19.41 97.13
14 20.09 94.55
EOF
"""

GR17 = """NAME: gr17
TYPE: TSP
DIMENSION: 17
EDGE_WEIGHT_TYPE: EXPLICIT
EDGE_WEIGHT_FORMAT: LOWER_DIAG_ROW
EDGE_WEIGHT_SECTION
 0 633 0 257 390 0 91 661 228 0 412 227 169 383 0 150 488 112 120 267 0 80 572 196 77 351 63 0 134 530 154
 105 309 34 29 0 259 555 372 175 338 264 232 249 0 505 289 262 476 196 360 444 402 495 0 353 282 110 324 61
 208 292 250 352 154 0 324 638 437 240 421 329 297 314 95 578 435 0 70 567 191 27 346 83 47 68 189 439 287
 254 0 211 466 74 182 243 105 150 108 326 336 184 391 145 0 268 420 53 239 199 123 207 165 383 240 140 448
 202 57 0 246 745 472 237 528 364 332 349 202 685 542 157 289 426 483 0 121 518 142 84 297 35 29 36 236 390
 238 301 55 96 153 336 0
EOF
"""

FIVE = """TYPE: TSP
DIMENSION: 4
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 4
3 6 0
4 3 -4
EOF
"""

MATRIX = ((0, 1, 2, 3), (1, 0, 4, 5), (2, 4, 0, 6), (3, 5, 6, 0))


def _file(text: str, **more: Any) -> ProblemFile:
    return ProblemFile.model_validate({"format": "tsplib", "text": text, **more})


def _distances(text: str) -> Distances:
    return distances(parse(_file(text)))


def _optimum(matrix: Distances) -> float:
    """The length of the shortest tour, by dynamic programming over sets of cities."""
    between, others = np.array(matrix), len(matrix) - 1
    best = np.full((1 << others, others), np.inf)
    for city in range(others):
        best[1 << city, city] = between[0, city + 1]
    for visited, last in itertools.product(range(1, 1 << others), range(others)):
        if visited >> last & 1 and visited != 1 << last:
            best[visited, last] = (best[visited ^ 1 << last] + between[1:, last + 1]).min()
    return float((best[-1] + between[1:, 0]).min())


@pytest.mark.parametrize(
    ("text", "optimum"),
    [(BURMA14, 3323), pytest.param(GR17, 2085, marks=pytest.mark.long)],
    ids=["GEO", "EXPLICIT"],
)
def test_published_instances_have_their_published_optima(text: str, optimum: int) -> None:
    """The library's own word on what its distances are (Reinelt, TSPLIB95)."""
    assert _optimum(_distances(text)) == optimum


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("EUC_2D", (2, 5, 14)),  # 2.24 to the nearest, 5 exactly, 14.14
        ("CEIL_2D", (3, 5, 15)),
        (
            "ATT",
            (1, 2, 5),
        ),  # sqrt(5 / 10) = 0.71, sqrt(25 / 10) = 1.58, sqrt(200 / 10) = 4.47: none is cut off
    ],
)
def test_places_are_as_far_apart_as_the_format_says(kind: str, expected: tuple[int, ...]) -> None:
    """Worked out by hand from the published formulas."""
    places = "1 0 0\n2 1 2\n3 3 4\n4 10 10\n"
    found = _distances(
        f"TYPE: TSP\nDIMENSION: 4\nEDGE_WEIGHT_TYPE: {kind}\nNODE_COORD_SECTION\n{places}EOF\n"
    )

    assert found[0][1:] == expected
    assert all(found[at][at] == 0 for at in range(4))


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("FULL_MATRIX", "9 1 2 3 1 9 4 5 2 4 9 6 3 5 6 9"),
        ("UPPER_ROW", "1 2 3\n4 5\n6"),
        ("LOWER_ROW", "1\n2 4\n3 5 6"),
        ("UPPER_DIAG_ROW", "0 1 2 3 0 4 5 0 6 0"),
        ("LOWER_DIAG_ROW", "0 1 0 2 4 0 3 5 6 0"),
        ("UPPER_COL", "1 2 4 3 5 6"),
        ("LOWER_COL", "1 2 3 4 5 6"),
        ("UPPER_DIAG_COL", "0 1 0 2 4 0 3 5 6 0"),
        ("LOWER_DIAG_COL", "0 1 2 3 0 4 5 0 6 0"),
    ],
)
def test_a_matrix_is_the_same_in_every_format(form: str, numbers: str) -> None:
    """By rows or columns, above or below the diagonal, with it or without."""
    head = f"TYPE : TSP\nDIMENSION : 4\nEDGE_WEIGHT_TYPE : EXPLICIT\nEDGE_WEIGHT_FORMAT : {form}\n"

    assert _distances(f"{head}EDGE_WEIGHT_SECTION\n{numbers}\nEOF\n") == MATRIX


def _tour(text: str, **more: Any) -> tuple[Qubo, TourTerms]:
    found = read_problem(_file(text, **more))
    assert isinstance(found.problem, Qubo)
    assert isinstance(found.terms, TourTerms)
    return found.problem, found.terms


ONE_WAY = """TYPE: ATSP
DIMENSION: 4
EDGE_WEIGHT_TYPE: EXPLICIT
EDGE_WEIGHT_FORMAT: FULL_MATRIX
EDGE_WEIGHT_SECTION
9999 1 50 50
50 9999 1 50
50 50 9999 1
1 50 50 9999
"""


@pytest.mark.parametrize("text", [FIVE, ONE_WAY], ids=["there and back", "one way"])
def test_bits_of_a_tour_are_worth_its_length_and_all_others_more_than_the_longest_need(text: str) -> None:
    """Over all assignments: the best bits are the shortest tour, and bits that are no tour never beat it."""
    problem, terms = _tour(text)
    tours, others = {}, []
    for bits in itertools.product((0, 1), repeat=len(problem.linear)):
        answer = answer_of(terms, bits)
        value = score(problem, bits).objective
        if answer.feasible:
            assert value == pytest.approx(answer.objective)
            assert value == length(terms.distances, [terms.cities.index(name) for name in answer.tour])
            tours[answer.tour] = value
        else:
            assert answer.violations
            others.append(value)
    best = ProblemAnswer.read(shortest(terms.model_dump_json(), lambda _: None))

    assert len(tours) == 6
    assert min(tours.values()) == best.objective == _optimum(terms.distances)
    assert min(others) > best.objective


def test_the_shortest_tour_is_found_one_way_round() -> None:
    """Backwards it would be fifty times as long."""
    _, terms = _tour(ONE_WAY)
    best = ProblemAnswer.read(shortest(terms.model_dump_json(), lambda _: None))

    assert (best.objective, best.tour) == (4.0, ("1", "2", "3", "4"))


def test_cities_are_called_as_the_file_calls_them() -> None:
    """By the numbers of their coordinates, or counted from 1 unless its owner says 0."""
    _, named = _tour(re.sub(r"(?m)^([1-4]) ", r"10\1 ", FIVE))
    _, counted = _tour(ONE_WAY)
    _, from_0 = _tour(ONE_WAY, index_base=0)

    assert named.cities == ("101", "102", "103", "104")
    assert counted.cities == ("1", "2", "3", "4")
    assert from_0.cities == ("0", "1", "2", "3")


def test_of_measured_bits_a_tour_beats_what_is_none_and_a_shorter_one_a_longer() -> None:
    """Whatever came more often."""
    problem, terms = _tour(FIVE)
    long, short, none = "001100010", "100010001", "000000000"  # rightmost bit 0: city 2 in second place
    found = best_translated(terms, problem, {none: 900, long: 90, short: 1})
    nothing = best_translated(terms, problem, {none: 1000})

    assert (found.tour, found.objective, found.feasible) == (("1", "2", "3", "4"), 20.0, True)
    assert (nothing.feasible, nothing.assignment, nothing.objective) == (False, None, None)
    assert "city 2 is visited 0 times" in nothing.violations


_HEAD = "TYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: UPPER_ROW\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no DIMENSION"),
        ("DIMENSION: 1000000000\n", "line 1: the dimension is '1000000000'"),
        ("DIMENSION: -5\n", "line 1: the dimension is '-5'"),
        ("DIMENSION: " + "9" * 5000, "line 1: the dimension is"),
        ("TYPE: CVRP\nDIMENSION: 3\n", "line 1: the type is 'CVRP'"),
        ("DIMENSION: 40\n", "line 1: 40 cities need 1,521 qubits"),
        ("DIMENSION: 3\nDIMENSION: 3\n", "line 2: 'DIMENSION' is unknown"),
        ("1 2 3\n", "line 1: numbers before any section"),
        ("DIMENSION: 3\nEDGE_WEIGHT_TYPE: XRAY1\n", "line 2: distances of type 'XRAY1'"),
        ("DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\n", "no NODE_COORD_SECTION"),
        (
            "DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n1 0 0\n",
            "line 5: city 1 is there twice",
        ),
        (
            "DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 nan\n",
            "line 4: 'nan' is no finite",
        ),
        (
            "DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 1e300\n",
            "line 4: a coordinate is beyond",
        ),
        (
            "DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0\n",
            "line 4: a city is `number x y`",
        ),
        (
            "DIMENSION: 3\nEDGE_WEIGHT_TYPE: GEO\nNODE_COORD_SECTION\n1 0 500\n",
            "line 4: a coordinate is beyond 180",
        ),
        ("DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n", "says 3 cities, and 1 have"),
        (_HEAD + "EDGE_WEIGHT_SECTION\n1 2\n", "line 4: a UPPER_ROW of 3 cities has 3 numbers, and 2"),
        (_HEAD + "EDGE_WEIGHT_SECTION\n1 2 -3\n", "line 6: the distance -3 is negative"),
        (_HEAD + "EDGE_WEIGHT_SECTION\n1 2\n1e999\n", "line 7: '1e999' is no finite"),
        (
            _HEAD.replace("UPPER_ROW", "FUNCTION") + "EDGE_WEIGHT_SECTION\n1 2 3\n",
            "format 'FUNCTION' is not read",
        ),
        (
            _HEAD.replace("UPPER_ROW", "FULL_MATRIX") + "EDGE_WEIGHT_SECTION\n0 1 2 1 0 3 2 4 0\n",
            r"between cities 2 and 3 \(3 and 4\): say TYPE: ATSP",
        ),
        (_HEAD.replace("TSP", "ATSP") + "EDGE_WEIGHT_SECTION\n1 2 3\n", "an ATSP has a FULL_MATRIX"),
        ("TYPE: TSP\nFIXED_EDGES_SECTION\n1 2\n", "line 2: 'FIXED_EDGES_SECTION' is unknown"),
    ],
)
def test_what_is_wrong_with_a_tour_s_file_is_said(text: str, words: str) -> None:
    """With the line, the limit and the way out."""
    with pytest.raises(RequestRejected, match=words):
        read_problem(_file(text))
