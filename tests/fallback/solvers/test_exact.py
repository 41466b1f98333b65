"""Exact answers: enumeration and HiGHS against brute force, bounds where there is no proof, and hostile programs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from fallback.solvers import exact
from fallback.solvers.problems import SOLVERS
from qurable.contracts.problems import Ising, LinearProgram, MaxCut, Qubo, Sense
from qurable.errors import RequestRejected
from tests.fallback.solvers.problems_to_solve import (
    best_by_force,
    cubic_graph,
    dense_qubo,
    solved,
    spin_problems,
)


@given(spin_problems())
@settings(max_examples=60, deadline=None)
def test_enumeration_finds_the_optimum(drawn: tuple[Qubo | Ising | MaxCut, int]) -> None:
    """With repeated pairs, squares, weights of 0 and both senses."""
    problem, variables = drawn
    found = solved("exact", problem).answer

    assert found.objective == pytest.approx(best_by_force(problem, variables), abs=1e-9)
    assert (found.bound, found.gap) == (found.objective, 0.0)


@given(spin_problems())
@settings(max_examples=40, deadline=None)
def test_highs_finds_the_optimum(drawn: tuple[Qubo | Ising | MaxCut, int]) -> None:
    """The linearised program has the problem's own optimum, and its bound is none above or below it."""
    problem, variables = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_ENUMERATED", 0)
        found = solved("exact", problem).answer

    assert found.objective == pytest.approx(best_by_force(problem, variables), abs=1e-6)
    assert found.bound == pytest.approx(found.objective, abs=1e-5)


@pytest.mark.parametrize("sense", Sense)
def test_enumeration_in_two_halves_agrees_with_highs(sense: Sense) -> None:
    """Sixteen variables are more than the lower half holds."""
    problem = dense_qubo(16, seed=4, sense=sense)

    assert solved("exact", problem).answer.objective == pytest.approx(best_by_force(problem, 16), abs=1e-9)


def test_a_cubic_graph_of_sixty_nodes_is_proven() -> None:
    """And annealing, which proves nothing, found as much."""
    graph = cubic_graph(60)
    assert len(graph.edges) == 90

    solution = solved("exact", graph)

    assert solution.answer.gap == pytest.approx(0.0, abs=1e-5)
    assert "proven optimal" in solution.because
    assert solution.answer.objective == solved("annealing", graph).answer.objective
    assert solution == solved("exact", graph)


def test_what_is_not_proven_in_time_has_a_bound() -> None:
    """Better than the trivial one, on the right side, with the clock named."""
    problem = dense_qubo(40, seed=1)

    solution = solved("exact", problem, seconds=4.0)

    assert solution.answer.bound is not None
    assert solution.answer.objective is not None
    assert solution.answer.bound <= solution.answer.objective
    assert solution.answer.gap == pytest.approx(solution.answer.objective - solution.answer.bound)
    assert any("the clock stopped HiGHS" in warning for warning in solution.warnings)


KNAPSACK = "Maximize\n p: 3 x + 2 y + 4 z\nSubject To\n w: 2 x + y + 3 z <= 4\n pair: x + y >= 1\nBinary\n x y z\nEnd\n"


def test_a_binary_program_is_solved_in_its_own_terms() -> None:
    """In the order of the variables that the problem names."""
    problem = LinearProgram(format="lp", text=KNAPSACK, variables=("z", "x", "y"))
    worths = {
        (z, x, y): 3 * x + 2 * y + 4 * z
        for z, x, y in itertools.product((0, 1), repeat=3)
        if 2 * x + y + 3 * z <= 4 and x + y >= 1
    }

    found = solved("exact", problem).answer

    assert found.objective == max(worths.values())
    assert found.assignment in {key for key, worth in worths.items() if worth == max(worths.values())}
    assert (found.sense, found.feasible, found.violations, found.gap) == (Sense.MAXIMIZE, True, (), 0.0)


def test_whole_and_real_variables_are_solved_too() -> None:
    """No qubit could carry them; a solver can."""
    text = (
        "Minimize\n c: 2 n + r\nSubject To\n d: n + r >= 3.5\n e: r <= 1\nBounds\n n <= 9\nGeneral\n n\nEnd\n"
    )

    found = solved("exact", LinearProgram(format="lp", text=text)).answer

    assert dict(zip(("n", "r"), found.assignment or (), strict=True)) == {"n": 3.0, "r": 0.5}
    assert found.objective == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("once upon a time", "is not a program that can be read"),
        ("Minimize\n c: x\nSubject To\n a: x >= 2\n b: x <= 1\nEnd\n", "has no solution"),
        ("Maximize\n c: x\nSubject To\n a: x >= 2\nEnd\n", "has no best solution"),
        (
            "Minimize\n c: [ x ^2 + y ^2 ] / 2\nSubject To\n a: x + y >= 1\nGeneral\n x\nEnd\n",
            "HiGHS cannot solve",
        ),
    ],
)
def test_a_program_without_an_optimum_is_refused(text: str, because: str) -> None:
    """With HiGHS's reason, in words."""
    with pytest.raises(RequestRejected, match=because):
        solved("exact", LinearProgram(format="lp", text=text))


def test_variables_that_are_not_the_programs_are_refused() -> None:
    """A name given twice as well."""
    for names in (("x", "y"), ("x", "y", "y"), ("x", "y", "q")):
        with pytest.raises(RequestRejected, match="the program's variables are"):
            solved("exact", LinearProgram(format="lp", text=KNAPSACK, variables=names))


def test_what_is_expected_with_a_proof_says_so() -> None:
    """The choice between exact and annealing hangs on it."""
    fits = SOLVERS["classical:exact"].fits

    assert fits(dense_qubo(24, seed=0)).certain
    assert fits(cubic_graph(60)).certain
    assert not fits(dense_qubo(40, seed=0)).certain
    assert not fits(dense_qubo(120, seed=0)).suits
    assert np.isfinite(fits(cubic_graph(60)).seconds)
