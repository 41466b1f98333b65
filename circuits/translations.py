"""Problems that were put into bits: the best of measured bitstrings in the terms in which it was asked, and in words."""

from collections.abc import Mapping

from circuits.problems import score
from circuits.tours import answer_of as tour_of
from circuits.whole_programs import answer_of as values_of
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    MaxCut,
    PauliHamiltonian,
    Problem,
    ProblemAnswer,
    Qubo,
    Sense,
)
from qurable.contracts.translations import Terms, TourTerms


def best_translated(terms: Terms, problem: Qubo, counts: Mapping[str, int]) -> ProblemAnswer:
    """The best of measured bitstrings, rightmost character variable 0; one that breaks no rule beats all that do."""
    best: tuple[tuple[bool, float], ProblemAnswer] | None = None
    sign = -1.0 if problem.sense is Sense.MAXIMIZE else 1.0
    for word in sorted(counts):
        bits = tuple(int(character) for character in reversed(word))[: len(problem.linear)]
        answer = tour_of(terms, bits) if isinstance(terms, TourTerms) else values_of(terms, bits)
        value = answer.objective if answer.feasible else score(problem, bits).objective
        rank = (not answer.feasible, sign * (value or 0.0))
        if best is None or rank < best[0]:
            best = (rank, answer)
    if best is None:
        return ProblemAnswer(kind=terms.kind, sense=problem.sense)
    return best[1].model_copy(update={"samples_considered": len(counts)})


def in_words(problem: Problem, terms: Terms | None) -> str:
    """What a problem is, and what was made of it."""
    if terms is not None:
        assert isinstance(problem, Qubo)  # noqa: S101  what is translated becomes one
        bits = len(problem.linear)
        if isinstance(terms, TourTerms):
            return f"a tour of {len(terms.cities)} cities on {bits} qubits, penalty {terms.penalty:g}"
        return (
            f"a program of {len(terms.variables)} whole numbers and {len(terms.rows)} constraints on {bits} qubits, {terms.slack_bits} of "
            f"them for slacks, penalty {terms.penalty:g}"
        )
    match problem:
        case MaxCut():
            return f"a graph of {problem.num_nodes:,} nodes and {len(problem.edges):,} edges, whose cut is to be large"
        case Qubo():
            return f"a QUBO of {len(problem.linear):,} variables and {len(problem.quadratic):,} products"
        case Ising():
            return f"an Ising problem of {len(problem.h):,} spins and {len(problem.couplings):,} couplings"
        case PauliHamiltonian():
            return f"a Hamiltonian of {len(problem.terms):,} terms on {problem.num_qubits:,} qubits"
        case FermionicHamiltonian():
            return f"a Hamiltonian of {problem.num_modes:,} modes, mapped by {problem.mapping}"
        case _:
            return problem.kind
