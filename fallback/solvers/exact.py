"""Small QUBO, Ising and MaxCut problems with a proof, and linear programs: by enumeration, or by HiGHS.

Up to 24 variables every assignment is looked at. Beyond that the problem becomes a mixed-integer program whose
products of spins are linearised, one variable for each coupling, and HiGHS brings an optimum with its proof or,
where its limit comes first, the best assignment with a bound. Its tolerances are absolute: 1e-6 on the objective
in units of the largest weight. HiGHS runs on one thread, so the same problem ends in the same way.

Not OR-Tools: its shared library and that of `highspy`, which reads programs, exclude each other in one process.
"""

import time
from collections.abc import Sequence

import numpy as np

from circuits.problems import score
from fallback.solvers import milp
from fallback.solvers.annealing import anneal, best_of
from fallback.solvers.protocol import Fit, ProblemPayload, Solution, versions_of
from fallback.solvers.spins import Reals, SpinProblem, Spins, answer, as_spins, gap_record, sizes, too_large
from isolation.limits import MIB
from qurable.contracts.problems import Ising, LinearProgram, MaxCut, Problem, Qubo

_ENUMERATED = 24
_MAX_VARIABLES = 400
_MAX_COUPLINGS = 4_000
_PROVEN_VARIABLES = 80
_PROVEN_DENSITY = 1.6
"""Couplings per variable up to which, for so many variables, HiGHS is expected to end with a proof."""

_LOW_BITS = 12
_HIGH_ROWS = 256
_HINT_READS = 20
_HINT_SECONDS = 10.0
_LEAST_SECONDS = 0.1
_PROGRAM_BYTES = 64
"""Memory for each byte of a program's text, HiGHS's own included."""


class Exact:
    """The solver."""

    name = "exact"
    needs: Sequence[str] = ("highspy", "dimod", "dwave")
    distributions: Sequence[str] = ("highspy", "dwave-samplers")
    description = (
        "enumeration and HiGHS: small QUBO, Ising and MaxCut with a bound, linear and integer programs"
    )

    def fits(self, problem: Problem) -> Fit:
        """Programs, and QUBO, Ising or MaxCut problems of up to 400 variables and 4,000 couplings."""
        if isinstance(problem, LinearProgram):
            return Fit(
                suits=True,
                because="HiGHS solves linear and mixed-integer programs, with a bound where its limit comes first",
                memory_bytes=512 * MIB + _PROGRAM_BYTES * len(problem.text),
                seconds=milp.LIMIT_SECONDS,
                certain=True,
            )
        refused = too_large(problem, "the exact solver", _MAX_VARIABLES, _MAX_COUPLINGS)
        if refused is not None:
            return refused
        variables, couplings = sizes(problem)  # type: ignore[arg-type]
        if variables <= _ENUMERATED:
            return Fit(
                suits=True,
                because=f"all 2^{variables} assignments are looked at",
                memory_bytes=256 * MIB,
                seconds=1.0 + 2.0 ** (variables - 24),
                certain=True,
            )
        proven = variables <= _PROVEN_VARIABLES and couplings <= _PROVEN_DENSITY * variables
        expected = "is expected to prove its optimum" if proven else "may end with a bound instead of a proof"
        return Fit(
            suits=True,
            because=f"HiGHS {expected} at {variables} variables and {couplings:,} couplings",
            memory_bytes=1024 * MIB,
            seconds=0.3 * 2 ** (variables / 15) if proven else milp.LIMIT_SECONDS,
            certain=proven,
        )

    def solve(self, task: ProblemPayload) -> Solution:
        """The optimum, or the best assignment with a bound.

        Raises:
            RequestRejected: A program cannot be read, has no solution, or no best one.
            OutOfTime: A program's limit came before its first solution.
        """
        if isinstance(task.problem, LinearProgram):
            return milp.solve_program(task.problem, task.seed, task.seconds)
        assert isinstance(task.problem, Qubo | Ising | MaxCut)  # noqa: S101  `fits` has seen to it
        problem = as_spins(task.problem)
        if len(problem.fields) <= _ENUMERATED:
            spins = enumerate_all(problem)
            bound = score(task.problem, [int(spin < 0) for spin in spins]).objective
            found = answer(task.problem, spins, bound, 2 ** len(problem.fields))
            proof = f"all 2^{len(problem.fields)} assignments were looked at"
            return Solution(
                answer=found,
                confidence=gap_record(found, proof),
                method="enumeration",
                because=proof,
                versions=versions_of(["numpy"]),
            )
        began = time.monotonic()
        hints, _ = anneal(problem, task.seed, _HINT_READS, min(_HINT_SECONDS, task.seconds / 2))
        left = max(_LEAST_SECONDS, task.seconds - (time.monotonic() - began))
        outcome = milp.solve_spins(problem, best_of(problem, hints), task.seed, left)
        found = answer(task.problem, outcome.spins, problem.sign * outcome.bound, 0)
        return Solution(
            answer=found,
            confidence=gap_record(found, f"the bound is HiGHS's, {outcome.how}"),
            method="mixed-integer programming",
            because=f"HiGHS on {len(problem.fields)} spins and {len(problem.weights):,} linearised products, {outcome.how}",
            warnings=outcome.warnings,
            versions=versions_of(self.distributions),
        )


def enumerate_all(problem: SpinProblem) -> Spins:
    """The assignment of the lowest sum among all; the first of several in binary order."""
    count = len(problem.fields)
    couplings = np.zeros((count, count))
    couplings[problem.first, problem.second] = problem.weights
    low = min(count, _LOW_BITS)
    low_spins, high_spins = _all_spins(low), _all_spins(count - low)
    low_sums = _sums(low_spins, problem.fields[:low], couplings[:low, :low])
    high_sums = _sums(high_spins, problem.fields[low:], couplings[low:, low:])
    between = low_spins @ couplings[:low, low:]
    best, place = np.inf, (0, 0)
    for start in range(0, len(high_spins), _HIGH_ROWS):
        rows = slice(start, start + _HIGH_ROWS)
        sums = high_spins[rows] @ between.T + high_sums[rows, np.newaxis] + low_sums
        at = int(np.argmin(sums))
        if sums.flat[at] < best:
            best, place = float(sums.flat[at]), (start + at // len(low_spins), at % len(low_spins))
    spins: Spins = np.concatenate([low_spins[place[1]], high_spins[place[0]]]).astype(np.int8)
    return spins


def _all_spins(count: int) -> Reals:
    """Shape (2^count, count); row k has the spin -1 where k has a 1, bit 0 first."""
    numbers = np.arange(2**count)[:, np.newaxis]
    spins: Reals = (1.0 - 2.0 * (numbers >> np.arange(count) & 1)).astype(np.float64)
    return spins


def _sums(spins: Reals, fields: Reals, couplings: Reals) -> Reals:
    """The sum of each row of spins."""
    sums: Reals = spins @ fields + ((spins @ couplings) * spins).sum(axis=1)
    return sums
