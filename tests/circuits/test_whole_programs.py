"""Programs of whole numbers as bits: the same optimum, no broken constraint that pays, and what is refused."""

import itertools
import random
from typing import Any

import pytest

from circuits.problem_files import read_problem
from circuits.problems import score
from circuits.translations import best_translated
from circuits.whole_programs import answer_of
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import Qubo, Sense
from qurable.contracts.translations import ProgramTerms
from qurable.errors import RequestRejected

KNAPSACK = """Maximize
 value: 6 a + 5 b + 4 c + 2 n
Subject To
 room: 3 a + 2 b + 2 c + n <= 6
 either: a + b <= 1
Bounds
 0 <= n <= 2
Binary
 a b c
General
 n
End
"""

SHARES = """NAME          SHARES
ROWS
 N  COST
 E  TOTAL
 G  LEAST
COLUMNS
    MARKER                 'MARKER'                 'INTORG'
    X         COST             1.0   TOTAL            0.5
    Y         COST             3.0   TOTAL            0.25
    Y         LEAST            1.0
    MARKER                 'MARKER'                 'INTEND'
RHS
    RHS       TOTAL            1.0   LEAST            1.0
BOUNDS
 LO BND       X               -1.0
 UP BND       X                2.0
 LO BND       Y                0.0
 UP BND       Y                3.0
ENDATA
"""
"""Half of x and a quarter of y are 1, y is at least 1: x = 1, y = 2 costs 7, and no other is feasible."""


def _read(text: str, form: str = "lp") -> tuple[Qubo, ProgramTerms]:
    found = read_problem(ProblemFile.model_validate({"format": form, "text": text}))
    assert isinstance(found.problem, Qubo)
    assert isinstance(found.terms, ProgramTerms)
    return found.problem, found.terms


def _judged(problem: Qubo, terms: ProgramTerms) -> tuple[dict[Any, float], dict[Any, float]]:
    """Of each assignment of the variables the best value over the slacks: of those that keep all constraints, and others."""
    sign = -1 if problem.sense is Sense.MAXIMIZE else 1
    kept: dict[Any, float] = {}
    broken: dict[Any, float] = {}
    for bits in itertools.product((0, 1), repeat=len(problem.linear)):
        answer = answer_of(terms, bits)
        value = sign * score(problem, bits).objective
        chosen = kept if answer.feasible else broken
        chosen[answer.assignment] = min(value, chosen.get(answer.assignment, value))
    return kept, broken


def test_the_best_bits_are_the_best_solution() -> None:
    """By hand: b, c and both of n weigh 6 and are worth 13."""
    problem, terms = _read(KNAPSACK)
    kept, broken = _judged(problem, terms)
    best = min(kept, key=kept.__getitem__)

    assert dict(zip((variable.name for variable in terms.variables), best, strict=True)) == {
        "a": 0,
        "b": 1,
        "c": 1,
        "n": 2,
    }
    assert kept[best] == -13
    assert min(broken.values()) > max(kept.values())
    assert terms.slack_bits == 3  # of the room alone: at most one of two bits needs none


def test_an_mps_program_with_an_equality_in_quarters_and_a_negative_bound() -> None:
    """Steps are the constraint's own; numbers begin at their lower bound."""
    problem, terms = _read(SHARES, "mps")
    kept, broken = _judged(problem, terms)

    assert kept == {(1.0, 2.0): 7.0}
    assert min(broken.values()) > 7
    assert [row.name for row in terms.rows] == ["TOTAL", "LEAST"]


def _random_program(seed: int) -> str:
    draw = random.Random(seed)
    names = ["x", "y", "z"]
    rows = []
    for at in range(draw.randint(1, 2)):
        weights = [draw.choice([-2, -1, 0.5, 1, 3]) for _ in names]
        sign = draw.choice(["<=", ">=", "="])
        total = " ".join(f"{weight:+g} {name}" for weight, name in zip(weights, names, strict=True))
        rows.append(f" c{at}: {total} {sign} {draw.choice([0, 1, 1.5, 2])}")
    costs = " ".join(f"{draw.randint(-4, 4):+d} {name}" for name in names)
    bounds = f" 0 <= x <= 3\n -1 <= y <= 1\n 0 <= z <= {draw.randint(1, 2)}\n"
    sense = draw.choice(["Minimize", "Maximize"])
    body = "\n".join(rows)
    return f"{sense}\n o: {costs}\nSubject To\n{body}\nBounds\n{bounds}General\n x y z\nEnd\n"


@pytest.mark.parametrize("seed", range(12))
def test_what_keeps_the_constraints_is_worth_its_objective_and_beats_what_does_not(seed: int) -> None:
    """On every assignment of small programs drawn at random; one that has no solution may say so at once."""
    try:
        problem, terms = _read(_random_program(seed))
    except RequestRejected as failure:
        assert "has no solution" in failure.message  # noqa: PT017
        return
    kept, broken = _judged(problem, terms)
    sign = -1 if problem.sense is Sense.MAXIMIZE else 1
    for assignment, value in kept.items():
        costs = sum(cost * x for cost, x in zip(terms.costs, assignment, strict=True))
        assert value == pytest.approx(sign * costs)
    if kept and broken:
        assert min(broken.values()) > max(kept.values()) - 1e-9


def test_of_measured_bits_those_that_keep_the_constraints_are_the_answer() -> None:
    """By the program's own objective, with the variables' names; without any the broken constraint is named."""
    problem, terms = _read(KNAPSACK)
    width = len(problem.linear)
    words = {"".join(bits): 1 for bits in itertools.product("01", repeat=width)}
    greedy = {word: 1 for word in words if answer_of(terms, [int(bit) for bit in reversed(word)]).violations}
    best, broken = (best_translated(terms, problem, counts) for counts in (words, greedy))

    assert (best.feasible, best.objective, best.names) == (True, 13.0, ("a", "b", "c", "n"))
    assert broken.feasible is False
    assert set(broken.violations) <= {"room", "either"}
    assert broken.violations


def _program(constraints: str = " c: x + y <= 1", bounds: str = "", kinds: str = "Binary\n x y") -> str:
    return f"Minimize\n o: x + y\nSubject To\n{constraints}\nBounds\n{bounds}\n{kinds}\nEnd\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_program(kinds="Binary\n x"), "variable 'y' is continuous"),
        (_program(kinds="General\n x y"), r"variable 'x' ranges over \[0, inf\]"),
        (
            _program(bounds=" 0 <= x <= 1e9\n 0 <= y <= 1", kinds="General\n x y"),
            "'x' spans 1,000,000,000 steps",
        ),
        (_program(" c: x + y >= 3"), "no assignment of the variables keeps constraint 'c'"),
        (_program(" c: x + 0.123456789 y <= 1"), "the weight 0.123456789: only multiples"),
        (_program(" c: 0.3337 x + 0.333333333333 y <= 1"), "common step is 3.3"),
        (_program(" c: x + 1e14 y <= 1"), "constraint 'c' ranges over 100,000,000,000,001 steps of 1"),
        (_program(bounds=" x = 1\n y = 0", kinds=""), "all fixed"),
        (_program(bounds=" x = 0.5", kinds="Binary\n y"), "fixed at 0.5"),
        (
            _program(bounds=" 0 <= x <= 5\n 0 <= y <= 1", kinds="Binary\n y\nSemi-continuous\n x"),
            "'x' is semicontinuous",
        ),
        (
            _program(" c: x + 1e300 y <= 1"),
            "not a program that can be read: it has no variables, or a number",
        ),
        ("aximize\n o: x + y\nubject To\n c: x + y <= 1\nBinary\n x y\nEnd\n", "neither an objective nor"),
        ("prose", "not a program that can be read"),
        ("", "not a program that can be read"),
        (
            "Minimize\n o: "
            + " + ".join(f"x{at}" for at in range(101))
            + "\nSubject To\n c: x0 >= 0\nBinary\n "
            + " ".join(f"x{at}" for at in range(101))
            + "\nEnd\n",
            "more than 100 bits",
        ),
        (
            "Minimize\n o: x + [ 2 x * y ] / 2\nSubject To\n c: x + y >= 0\nBinary\n x y\nEnd\n",
            "squares or products",
        ),
    ],
)
def test_what_no_bits_can_carry_is_refused_by_its_name(text: str, words: str) -> None:
    """And by the reason."""
    with pytest.raises(RequestRejected, match=words):
        _read(text)
