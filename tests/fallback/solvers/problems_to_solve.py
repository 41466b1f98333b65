"""Problems with known answers, and brute force."""

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

from circuits.problems import score
from fallback.solvers.problems import SOLVERS
from fallback.solvers.protocol import ProblemPayload, Solution
from qurable.contracts.observables import PauliTerm
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    LadderTerm,
    MaxCut,
    PauliHamiltonian,
    Problem,
    Qubo,
    Sense,
)


def solved(solver: str, problem: Problem, seed: int = 1, seconds: float = 60.0) -> Solution:
    """A solver's answer, computed in this process."""
    return SOLVERS[f"classical:{solver}"].solve(ProblemPayload(problem, seed, seconds))


def best_by_force(problem: Qubo | Ising | MaxCut, variables: int) -> float:
    """The optimum, from every assignment."""
    worths = (score(problem, bits).objective for bits in itertools.product((0, 1), repeat=variables))
    return max(worths) if problem.sense is Sense.MAXIMIZE else min(worths)


def cubic_graph(nodes: int) -> MaxCut:
    """A fixed graph of three edges at every node, all of weight 1: a circle with chords of changing length."""
    edges = {(at, (at + 1) % nodes) for at in range(nodes)}
    free = list(range(nodes))
    step = 5
    while free:
        first = free.pop(0)
        step = 3 + (step + 4) % 11
        second = free[min(step, len(free)) - 1]
        if len(free) > 2 and abs(second - first) in (1, nodes - 1):
            second = free[1]
        free.remove(second)
        edges.add((first, second))
    return MaxCut(num_nodes=nodes, edges=tuple((u, v, 1.0) for u, v in sorted(edges)))


def dense_qubo(variables: int, seed: int, sense: Sense = Sense.MINIMIZE) -> Qubo:
    """Normal weights on every pair."""
    draw = np.random.default_rng(seed).standard_normal
    return Qubo(
        sense=sense,
        linear=tuple(draw(variables)),
        quadratic=tuple((i, j, float(draw())) for i in range(variables) for j in range(i)),
    )


def ising_chain(qubits: int) -> PauliHamiltonian:
    """The critical transverse-field Ising chain with open ends; its lowest energy is known, `chain_energy`."""
    couplings = (PauliTerm(pauli="ZZ", qubits=(at, at + 1), coefficient=-1.0) for at in range(qubits - 1))
    fields = (PauliTerm(pauli="X", qubits=(at,), coefficient=-1.0) for at in range(qubits))
    return PauliHamiltonian(num_qubits=qubits, terms=(*couplings, *fields))


def chain_energy(qubits: int) -> float:
    """Source: Pfeuty, Ann. Phys. 57, 79 (1970), by free fermions."""
    return float(1 - 1 / np.sin(np.pi / (2 * (2 * qubits + 1))))


def hydrogen() -> FermionicHamiltonian:
    """H2 at 0.7414 angstrom in STO-3G, spin orbitals up, down, up, down; hartree.

    Source of the integrals: Whitfield, Biamonte and Aspuru-Guzik, Mol. Phys. 109, 735 (2011).
    """
    one = {0: -1.252477, 1: -0.475934}
    two = {(0, 0, 0, 0): 0.674493, (1, 1, 1, 1): 0.697397, (0, 0, 1, 1): 0.663472, (0, 1, 0, 1): 0.181287}
    whole: dict[tuple[int, int, int, int], float] = {}
    for (p, q, r, s), value in two.items():
        for key in {
            (p, q, r, s), (q, p, r, s), (p, q, s, r), (q, p, s, r),
            (r, s, p, q), (s, r, p, q), (r, s, q, p), (s, r, q, p),
        }:  # fmt: skip
            whole[key] = value
    terms = [
        LadderTerm(operators=((2 * p + spin, "+"), (2 * p + spin, "-")), coefficient=value)
        for p, value in one.items()
        for spin in (0, 1)
    ]
    for (p, q, r, s), value in whole.items():
        for first, second in itertools.product((0, 1), repeat=2):
            ladder = (
                (2 * p + first, "+"),
                (2 * r + second, "+"),
                (2 * s + second, "-"),
                (2 * q + first, "-"),
            )
            if ladder[0][0] != ladder[1][0] and ladder[2][0] != ladder[3][0]:
                terms.append(LadderTerm(operators=ladder, coefficient=value / 2))
    return FermionicHamiltonian(num_modes=4, terms=tuple(terms), offset=0.713776)


_weights = st.integers(-4, 4).map(lambda tenths: tenths / 2)


@st.composite
def spin_problems(draw: Any) -> tuple[Qubo | Ising | MaxCut, int]:
    """Small problems of all three kinds, with repeated pairs, squares and weights of 0; and their variables."""
    size = draw(st.integers(1, 6))
    node = st.integers(0, size - 1)
    pairs = draw(st.lists(st.tuples(node, node, _weights), max_size=10))
    linear = draw(st.lists(_weights, min_size=size, max_size=size))
    sense = draw(st.sampled_from(Sense))
    match draw(st.sampled_from(["qubo", "ising", "maxcut"])):
        case "qubo":
            return Qubo(sense=sense, linear=tuple(linear), quadratic=tuple(pairs), offset=0.25), size
        case "ising":
            return Ising(sense=sense, h=tuple(linear), couplings=tuple(pairs), offset=-1.5), size
    return MaxCut(num_nodes=size, edges=tuple(pair for pair in pairs if pair[0] != pair[1])), size
