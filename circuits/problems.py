"""What an assignment is worth in a problem's own terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    KernelData,
    LinearProgram,
    MaxCut,
    PauliHamiltonian,
    Problem,
    ProblemAnswer,
    Qubo,
    Sense,
)
from qurable.errors import RequestRejected


@dataclass(frozen=True)
class Scored:
    """An assignment's worth.

    Attributes:
        objective: In the problem's sense.
        violations: Constraints it breaks.
    """

    objective: float
    violations: tuple[str, ...] = ()


def is_diagonal(problem: Problem) -> bool:
    """Whether measured bitstrings are assignments; otherwise its energy is estimated."""
    return isinstance(problem, Qubo | Ising | MaxCut | LinearProgram)


def size(problem: Problem) -> int:
    """Number of variables, or of qubits for a Hamiltonian; 0 for a program whose file is not read yet."""
    match problem:
        case Qubo():
            return len(problem.linear)
        case Ising():
            return len(problem.h)
        case MaxCut():
            return problem.num_nodes
        case PauliHamiltonian():
            return problem.num_qubits
        case FermionicHamiltonian():
            return problem.num_modes
        case LinearProgram():
            return len(problem.variables or ())
        case KernelData():
            return 0


def numbers_in_answer(problem: Problem) -> int:
    """How many numbers an answer holds, roughly: one per variable, or the entries of a kernel matrix."""
    if isinstance(problem, KernelData):
        points = problem.train.shape[0]
        return points * (points if problem.test is None else problem.test.shape[0])
    return len(problem.text) // 8 if isinstance(problem, LinearProgram) else size(problem)


def qubits_of(problem: Problem) -> tuple[int, ...]:
    """The virtual qubit of each variable.

    Raises:
        RequestRejected: The map has another length than there are variables.
    """
    count = size(problem)
    if problem.qubits is None:
        return tuple(range(count))
    if count and len(problem.qubits) != count:
        raise RequestRejected(
            f"the problem has {count} variables, its map names {len(problem.qubits)} qubits: name one per variable"
        )
    return problem.qubits


def score(problem: Qubo | Ising | MaxCut, bits: Sequence[int]) -> Scored:
    """The worth of an assignment given as bits, one per variable; a 1 is the spin -1."""
    match problem:
        case Qubo():
            linear = sum(weight * bit for weight, bit in zip(problem.linear, bits, strict=True))
            return Scored(
                problem.offset
                + linear
                + sum(weight * bits[i] * bits[j] for i, j, weight in problem.quadratic)
            )
        case Ising():
            spins = [1 - 2 * bit for bit in bits]
            field = sum(weight * spin for weight, spin in zip(problem.h, spins, strict=True))
            return Scored(
                problem.offset
                + field
                + sum(weight * spins[i] * spins[j] for i, j, weight in problem.couplings)
            )
        case MaxCut():
            return Scored(sum(weight for u, v, weight in problem.edges if bits[u] != bits[v]))


def best_answer(
    problem: Qubo | Ising | MaxCut, counts: Mapping[str, int], bit_of_variable: Sequence[int]
) -> ProblemAnswer:
    """The best among measured bitstrings.

    Args:
        problem: What is asked.
        counts: Measured bitstrings, rightmost character bit 0.
        bit_of_variable: For each variable, which bit carries it.
    """
    best: tuple[float, tuple[int, ...]] | None = None
    sign = -1.0 if problem.sense is Sense.MAXIMIZE else 1.0
    for bitstring in sorted(counts):
        bits = tuple(int(bitstring[len(bitstring) - 1 - bit]) for bit in bit_of_variable)
        value = sign * score(problem, bits).objective
        if best is None or value < best[0]:
            best = (value, bits)
    if best is None:
        return ProblemAnswer(kind=problem.kind, sense=problem.sense)
    values = tuple(float(1 - 2 * bit) if isinstance(problem, Ising) else float(bit) for bit in best[1])
    return ProblemAnswer(
        kind=problem.kind,
        sense=problem.sense,
        assignment=values,
        objective=sign * best[0],
        feasible=True,
        samples_considered=len(counts),
    )
