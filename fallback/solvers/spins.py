"""QUBO, Ising and MaxCut as one thing: a sum of fields and couplings of spins that is to be small.

A measured 1, the binary value 1 and the spin -1 are the same, as in `qurable.contracts.problems`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from circuits.problems import score
from fallback.solvers.protocol import Fit, unfit
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.problems import Ising, MaxCut, Problem, ProblemAnswer, Qubo, Sense

Reals = npt.NDArray[np.float64]
Spins = npt.NDArray[np.int8]

MAX_VARIABLES = 20_000
MAX_COUPLINGS = 500_000


@dataclass(frozen=True)
class SpinProblem:
    """Minimise offset + sum_i fields[i] s_i + sum_k weights[k] s_(first[k]) s_(second[k]), s = +1 or -1.

    Attributes:
        fields: Shape (n,).
        first: Shape (m,), each below its `second`; every pair once, none of weight 0.
        second: Shape (m,).
        weights: Shape (m,).
        offset: Constant.
        sign: -1 where the problem is to be maximised: its objective is sign times this sum.
    """

    fields: Reals
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    weights: Reals
    offset: float
    sign: float

    @property
    def trivial_bound(self) -> float:
        """The sum with every term at its best by itself: nothing is below it."""
        return float(self.offset - np.abs(self.fields).sum() - np.abs(self.weights).sum())


def as_spins(problem: Qubo | Ising | MaxCut) -> SpinProblem:
    """The same problem over spins, each pair of variables once."""
    match problem:
        case Qubo():
            linear = np.array(problem.linear, dtype=np.float64)
            first, second, weights = _columns(problem.quadratic)
            squares = first == second  # x x = x
            np.add.at(linear, first[squares], weights[squares])
            first, second, weights = first[~squares], second[~squares], weights[~squares]
            fields = -linear / 2
            np.add.at(fields, first, -weights / 4)
            np.add.at(fields, second, -weights / 4)
            couplings = weights / 4
            offset = problem.offset + linear.sum() / 2 + couplings.sum()
        case Ising():
            fields = np.array(problem.h, dtype=np.float64)
            first, second, weights = _columns(problem.couplings)
            squares = first == second  # s s = 1
            offset = problem.offset + weights[squares].sum()
            first, second, couplings = first[~squares], second[~squares], weights[~squares]
        case MaxCut():
            fields = np.zeros(problem.num_nodes)
            first, second, weights = _columns(problem.edges)
            couplings, offset = -weights / 2, weights.sum() / 2
    sign = -1.0 if problem.sense is Sense.MAXIMIZE else 1.0
    pairs = np.minimum(first, second) * len(fields) + np.maximum(first, second)
    distinct, place = np.unique(pairs, return_inverse=True)
    total = np.bincount(place, couplings, len(distinct)) if len(distinct) else np.zeros(0)
    kept = total != 0
    first, second = np.divmod(distinct[kept], max(len(fields), 1))
    return SpinProblem(sign * fields, first, second, sign * total[kept], sign * float(offset), sign)


def _columns(
    terms: tuple[tuple[int, int, float], ...],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Reals]:
    first = np.fromiter((term[0] for term in terms), dtype=np.int64, count=len(terms))
    second = np.fromiter((term[1] for term in terms), dtype=np.int64, count=len(terms))
    weights = np.fromiter((term[2] for term in terms), dtype=np.float64, count=len(terms))
    return first, second, weights


def sizes(problem: Qubo | Ising | MaxCut) -> tuple[int, int]:
    """Variables, and terms of two variables as they are written."""
    match problem:
        case Qubo():
            return len(problem.linear), len(problem.quadratic)
        case Ising():
            return len(problem.h), len(problem.couplings)
        case MaxCut():
            return problem.num_nodes, len(problem.edges)


def too_large(problem: Problem, solver: str, variables: int, couplings: int) -> Fit | None:
    """A refusal where the problem is of another kind, empty, or larger than the solver takes."""
    if not isinstance(problem, Qubo | Ising | MaxCut):
        return unfit(f"{solver} takes QUBO, Ising and MaxCut problems, and this is a {problem.kind}")
    for what, size, limit in zip(
        ("variables", "couplings"), sizes(problem), (variables, couplings), strict=True
    ):
        if size > limit:
            return unfit(
                f"the {problem.kind} problem has {size:,} {what}, {solver} takes {limit:,} at most: "
                "fix variables or split the problem"
            )
    return None if sizes(problem)[0] else unfit(f"the {problem.kind} problem has no variables")


def answer(problem: Qubo | Ising | MaxCut, spins: Spins, bound: float, considered: int) -> ProblemAnswer:
    """An assignment in the problem's terms.

    Args:
        problem: What was asked.
        spins: One per variable.
        bound: That no assignment passes, in the problem's own sense.
        considered: Distinct assignments that were compared.
    """
    bits = [int(spin < 0) for spin in spins]
    objective = score(problem, bits).objective
    values = tuple(float(spin) if isinstance(problem, Ising) else float(spin < 0) for spin in spins)
    better = max if problem.sense is Sense.MAXIMIZE else min
    bound = better(bound, objective)  # rounding must not put an answer beyond its bound
    return ProblemAnswer(
        kind=problem.kind,
        sense=problem.sense,
        assignment=values,
        objective=objective,
        feasible=True,
        bound=bound,
        gap=abs(objective - bound),
        samples_considered=considered,
    )


def gap_record(found: ProblemAnswer, basis: str) -> Confidence | None:
    """The relative optimality gap of an answer, and where the optimum is; None where the answer has no bound.

    Args:
        found: With objective and bound.
        basis: Whose bound it is.
    """
    if found.bound is None or found.objective is None:
        return None
    ends = (found.objective, found.bound)
    gap = abs(found.objective - found.bound)
    return Confidence(
        kind=ConfidenceKind.OPTIMALITY_GAP,
        value=gap / max(map(abs, ends)) if gap else 0.0,
        interval=(min(ends), max(ends)),
        basis=f"distance of objective and bound, relative to the larger of them; {basis}",
    )
