"""Simulated annealing of QUBO, Ising and MaxCut problems, by dwave-samplers.

Good assignments of large problems in seconds, without a proof: its bound is the trivial one, every term at its
best by itself, which is reached where nothing is frustrated.
"""

import time
from collections.abc import Sequence

import numpy as np

from fallback.solvers.protocol import Fit, ProblemPayload, Solution, versions_of
from fallback.solvers.spins import (
    MAX_COUPLINGS,
    MAX_VARIABLES,
    SpinProblem,
    Spins,
    answer,
    as_spins,
    gap_record,
    sizes,
    too_large,
)
from isolation.limits import MIB
from qurable.contracts.problems import Ising, MaxCut, Problem, Qubo

_SWEEPS = 1000
_READS = (10, 100)
_UPDATES = 4e8
"""Spin updates that are spent where a hundred reads would take more; about ten seconds."""

_UPDATES_PER_SECOND = 4e7
_BYTES_PER_COUPLING = 200
_LARGEST_SEED = 2**31


class Annealing:
    """The solver."""

    name = "annealing"
    needs: Sequence[str] = ("dimod", "dwave")
    distributions: Sequence[str] = ("dwave-samplers", "dimod")
    description = "simulated annealing: QUBO, Ising and MaxCut up to 20,000 variables, without a proof"

    def fits(self, problem: Problem) -> Fit:
        """Any QUBO, Ising or MaxCut problem of up to 20,000 variables and 500,000 couplings."""
        refused = too_large(problem, "simulated annealing", MAX_VARIABLES, MAX_COUPLINGS)
        if refused is not None:
            return refused
        variables, couplings = sizes(problem)  # type: ignore[arg-type]
        reads = _reads(variables)
        return Fit(
            suits=True,
            because=f"{reads} anneals of {variables:,} variables, a heuristic without a proof",
            memory_bytes=256 * MIB + couplings * _BYTES_PER_COUPLING + 2 * reads * variables,
            seconds=1.0 + reads * _SWEEPS * (variables + couplings) / _UPDATES_PER_SECOND,
        )

    def solve(self, task: ProblemPayload) -> Solution:
        """The best assignment of all anneals."""
        assert isinstance(task.problem, Qubo | Ising | MaxCut)  # noqa: S101  `fits` has seen to it
        problem = as_spins(task.problem)
        reads = _reads(len(problem.fields))
        samples, stopped = anneal(problem, task.seed, reads, task.seconds)
        bound = problem.sign * problem.trivial_bound
        found = answer(task.problem, best_of(problem, samples), bound, len(np.unique(samples, axis=0)))
        cut_short = (
            f"the clock stopped it after {len(samples)} of {reads} anneals: another run may find another answer",
        )
        return Solution(
            answer=found,
            confidence=gap_record(found, "the bound is trivial: every term at its best by itself"),
            method="simulated annealing",
            because=f"{len(samples)} anneals of {_SWEEPS} sweeps, the best of them",
            warnings=cut_short if stopped else (),
            versions=versions_of(self.distributions),
        )


def _reads(variables: int) -> int:
    fewest, most = _READS
    return max(fewest, min(most, int(_UPDATES / (_SWEEPS * max(variables, 1)))))


def anneal(problem: SpinProblem, seed: int, reads: int, seconds: float) -> tuple[Spins, bool]:
    """Spins of every anneal, shape (reads, variables), and whether the clock ended it early; one always comes to its end.

    Flips are accepted by Gibbs's rule. Metropolis's, the sampler's default, takes every flip that costs nothing, and
    as variables are visited in turn the walls between domains of a chain then march in step and never meet.
    """
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    if not len(problem.weights):  # every spin by itself: there is nothing to anneal
        return np.where(problem.fields > 0, -1, 1).astype(np.int8)[np.newaxis], False
    model = dimod.BinaryQuadraticModel.from_numpy_vectors(
        problem.fields, (problem.first, problem.second, problem.weights), 0.0, dimod.SPIN
    )
    end = time.monotonic() + seconds
    found = SimulatedAnnealingSampler().sample(
        model,
        num_reads=reads,
        num_sweeps=_SWEEPS,
        seed=seed % _LARGEST_SEED,
        proposal_acceptance_criteria="Gibbs",
        interrupt_function=lambda: time.monotonic() > end,
    )
    order = np.argsort(np.asarray(found.variables))
    return found.record.sample[:, order].astype(np.int8), len(found) < reads


def best_of(problem: SpinProblem, samples: Spins) -> Spins:
    """The sample of the lowest sum; the first of several."""
    spins = samples.astype(np.float64)
    sums = spins @ problem.fields
    for row in range(len(spins)):
        sums[row] += (spins[row, problem.first] * spins[row, problem.second]) @ problem.weights
    best: Spins = samples[int(np.argmin(sums))]
    return best
