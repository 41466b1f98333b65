"""Simulated annealing: good answers, the same for the same seed, and an end when it is told to end."""

import pytest
from hypothesis import given, settings

from circuits.problems import score
from fallback.solvers.problems import SOLVERS
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.problems import Ising, MaxCut, Qubo, Sense
from tests.fallback.solvers.problems_to_solve import (
    best_by_force,
    cubic_graph,
    dense_qubo,
    solved,
    spin_problems,
)


@given(spin_problems())
@settings(max_examples=60, deadline=None)
def test_small_problems_are_annealed_to_their_optimum(drawn: tuple[Qubo | Ising | MaxCut, int]) -> None:
    """A hundred anneals of six variables miss nothing; the bound is one, and the objective is the assignment's."""
    problem, variables = drawn
    found = solved("annealing", problem).answer

    assert found.objective == pytest.approx(best_by_force(problem, variables), abs=1e-9)
    assert found.assignment is not None
    bits = [int(value < 0) if isinstance(problem, Ising) else int(value) for value in found.assignment]
    assert score(problem, bits).objective == found.objective
    assert found.bound is not None
    if problem.sense is Sense.MAXIMIZE:
        assert found.bound >= found.objective
    else:
        assert found.bound <= found.objective


def test_the_same_seed_is_the_same_answer() -> None:
    """Also where many assignments are as good."""
    graph = cubic_graph(60)

    assert solved("annealing", graph, seed=5) == solved("annealing", graph, seed=5)
    assert solved("annealing", graph, seed=5).answer.assignment != (
        solved("annealing", graph, seed=6).answer.assignment
    )


def test_a_problem_without_frustration_reaches_its_trivial_bound() -> None:
    """A ring of even length can be cut everywhere, which proves itself."""
    ring = MaxCut(num_nodes=40, edges=tuple((at, (at + 1) % 40, 1.0) for at in range(40)))

    solution = solved("annealing", ring)

    assert solution.confidence is not None
    assert (solution.answer.objective, solution.answer.gap) == (40.0, 0.0)
    assert (solution.confidence.kind, solution.confidence.value) == (ConfidenceKind.OPTIMALITY_GAP, 0.0)


def test_a_long_ring_is_cut_almost_everywhere() -> None:
    """A chain is where a careless annealer does worst: it was left half uncut once."""
    ring = MaxCut(num_nodes=400, edges=tuple((at, (at + 1) % 400, 1.0) for at in range(400)))

    objective = solved("annealing", ring).answer.objective

    assert objective is not None
    assert objective >= 394


def test_what_is_not_proven_has_its_gap() -> None:
    """The trivial bound of an odd ring is one edge too high, and the record says between what the optimum lies."""
    ring = MaxCut(num_nodes=41, edges=tuple((at, (at + 1) % 41, 1.0) for at in range(41)))

    solution = solved("annealing", ring)

    assert solution.confidence is not None
    assert (solution.answer.objective, solution.answer.bound, solution.answer.gap) == (40.0, 41.0, 1.0)
    assert solution.confidence.value == pytest.approx(1 / 41)
    assert solution.confidence.interval == (40.0, 41.0)


@pytest.mark.long
def test_the_clock_ends_it_with_the_best_so_far() -> None:
    """And says that the answer hangs on the clock; with no time at all there is one anneal."""
    large = dense_qubo(1200, seed=2)

    solution = solved("annealing", large, seconds=1.0)

    assert "the clock stopped it after" in solution.warnings[0]
    assert solution.answer.objective is not None
    assert solution.answer.objective < 0
    assert (
        "the clock stopped it after 1 of 100 anneals" in solved("annealing", large, seconds=0.0).warnings[0]
    )


@pytest.mark.parametrize(
    ("problem", "because"),
    [
        (
            MaxCut(num_nodes=20_001, edges=()),
            "has 20,001 variables, simulated annealing takes 20,000 at most",
        ),
        (Qubo(linear=()), "has no variables"),
    ],
)
def test_what_is_too_large_or_empty_is_refused_with_a_sentence(problem: MaxCut | Qubo, because: str) -> None:
    """Before anything is computed."""
    fit = SOLVERS["classical:annealing"].fits(problem)

    assert not fit.suits
    assert because in fit.because
