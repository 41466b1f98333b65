"""Mixed-integer programs by HiGHS: the caller's own, and those that problems of spins become."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuits.programs import Program
from fallback.solvers.protocol import Solution, versions_of
from fallback.solvers.spins import SpinProblem, Spins, gap_record
from qurable.contracts.problems import LinearProgram, ProblemAnswer, Sense
from qurable.errors import OutOfTime, RequestRejected

LIMIT_SECONDS = 120.0
_MAX_NODES = 5_000
_TOLERANCE = 1e-6
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class SpinOutcome:
    """What HiGHS made of a problem of spins.

    Attributes:
        spins: The best that was found.
        bound: That no assignment's sum is below.
        how: How it ended, in a few words.
        warnings: What the caller should know.
    """

    spins: Spins
    bound: float
    how: str
    warnings: Sequence[str]


def solve_spins(problem: SpinProblem, hint: Spins, seed: int, seconds: float) -> SpinOutcome:
    """Minimise a sum over spins.

    Variable x is 1 where the spin is -1; y of a coupling is 1 where its spins differ, so that s s = 1 - 2 y. Only
    the sides of y's definition are written that its weight pushes against.
    """
    import highspy

    count, scale = len(problem.fields), _largest(problem)
    solver = _silent_solver(seed, seconds)
    free = [(0.0, 1.0)] * count
    if not problem.fields.any():  # turned round altogether, nothing changes
        free[int(np.bincount(problem.first, minlength=count).argmax())] = (0.0, 0.0)
    for field, (lower, upper) in zip(problem.fields, free, strict=True):
        solver.addCol(-2 * field / scale, lower, upper, 0, [], [])
    solver.changeColsIntegrality(count, np.arange(count), [highspy.HighsVarType.kInteger] * count)
    for first, second, weight in zip(problem.first, problem.second, problem.weights, strict=True):
        product = solver.getNumCol()
        solver.addCol(-2 * weight / scale, 0.0, 1.0, 0, [], [])
        columns = [int(first), int(second), product]
        if weight > 0:  # y is better large
            solver.addRow(-highspy.kHighsInf, 0.0, 3, columns, [-1.0, -1.0, 1.0])
            solver.addRow(-highspy.kHighsInf, 2.0, 3, columns, [1.0, 1.0, 1.0])
        else:
            solver.addRow(0.0, highspy.kHighsInf, 3, columns, [-1.0, 1.0, 1.0])
            solver.addRow(0.0, highspy.kHighsInf, 3, columns, [1.0, -1.0, 1.0])
    fixed = next((at for at, (_, upper) in enumerate(free) if not upper), None)
    start = -hint if fixed is not None and hint[fixed] < 0 else hint
    differs = start[problem.first] != start[problem.second]
    guess = np.concatenate([start < 0, differs]).astype(np.float64)
    solver.setSolution(len(guess), np.arange(len(guess), dtype=np.int32), guess)
    solver.run()
    info = solver.getInfo()
    constant = problem.offset + problem.fields.sum() + problem.weights.sum()
    bound = max(float(constant + scale * info.mip_dual_bound), problem.trivial_bound)
    values = np.array(solver.getSolution().col_value[:count])
    found = np.where(values > 0.5, -1, 1).astype(np.int8) if len(values) == count else start
    spins = min((found, start), key=lambda candidate: _sum(problem, candidate))
    how, warnings = _ending(solver, f"to {_TOLERANCE:g} of the largest weight")
    return SpinOutcome(spins, bound, how, warnings)


def _largest(problem: SpinProblem) -> float:
    return (
        float(max(np.abs(problem.fields).max(initial=0.0), np.abs(problem.weights).max(initial=0.0))) or 1.0
    )


def _sum(problem: SpinProblem, spins: Spins) -> float:
    wide = spins.astype(np.float64)
    return float(wide @ problem.fields + (wide[problem.first] * wide[problem.second]) @ problem.weights)


def solve_program(problem: LinearProgram, seed: int, seconds: float) -> Solution:
    """The best solution of a program.

    Raises:
        RequestRejected: It cannot be read, has no solution, or no best one.
        OutOfTime: The limit came before the first solution.
    """
    import highspy

    program = Program(problem.format, problem.text)
    names = list(problem.variables or program.names)
    program.check_names(names)
    solver = program.solver
    _set_limits(solver, seed, seconds)
    solver.run()
    status = solver.getModelStatus()
    impossible = {
        highspy.HighsModelStatus.kInfeasible: "has no solution: its constraints contradict each other",
        highspy.HighsModelStatus.kUnbounded: "has no best solution: its objective is unbounded",
        highspy.HighsModelStatus.kUnboundedOrInfeasible: "has no best solution: it is infeasible, or its objective is unbounded",
    }
    if status in impossible:
        raise RequestRejected(f"the program {impossible[status]}; HiGHS proved it")
    info = solver.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        if status in {highspy.HighsModelStatus.kTimeLimit, highspy.HighsModelStatus.kSolutionLimit}:
            raise OutOfTime(
                f"HiGHS found no solution of the program in {seconds:g} s: allow more with limits.run, or make it smaller",
                limit_seconds=seconds,
            )
        ending = solver.modelStatusToString(status)
        raise RequestRejected(
            f"HiGHS cannot solve the program, and ends with {ending!r}: it takes linear objectives"
        )
    values = dict(zip(program.names, program.rounded(solver.getSolution().col_value), strict=True))
    objective, violations = program.score(values)
    how, warnings = _ending(solver, f"to {_TOLERANCE:g}")
    mixed = any(kind != highspy.HighsVarType.kContinuous for kind in solver.getLp().integrality_)
    # A linear program's optimum is its own bound, by duality.
    bound = float(info.mip_dual_bound) if mixed else objective
    better = max if program.sense is Sense.MAXIMIZE else min
    bound = better(bound, objective)
    gap = abs(objective - bound)
    found = ProblemAnswer(
        kind=problem.kind,
        sense=program.sense,
        assignment=tuple(values[name] for name in names),
        objective=objective,
        feasible=not violations,
        violations=violations,
        bound=bound if np.isfinite(bound) else None,
        gap=gap if np.isfinite(gap) else None,
    )
    return Solution(
        answer=found,
        confidence=gap_record(found, f"the bound is HiGHS's, {how}"),
        method="mixed-integer programming" if mixed else "linear programming",
        because=f"HiGHS on {len(program.names)} variables, {how}",
        warnings=tuple(warnings),
        versions=versions_of(["highspy"]),
    )


def _silent_solver(seed: int, seconds: float) -> Any:
    import highspy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    _set_limits(solver, seed, seconds)
    return solver


def _set_limits(solver: Any, seed: int, seconds: float) -> None:
    """One thread and a number of nodes, so that only the clock, the last resort, can change an answer."""
    options = {
        "threads": 1,
        "random_seed": seed % _LARGEST_SEED,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": _TOLERANCE,
        "mip_max_nodes": _MAX_NODES,
        "time_limit": min(LIMIT_SECONDS, seconds),
    }
    for name, value in options.items():
        solver.setOptionValue(name, value)


def _ending(solver: Any, precision: str) -> tuple[str, tuple[str, ...]]:
    """How a run ended, in a few words, and what to warn of."""
    import highspy

    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kOptimal:
        return f"proven optimal {precision}", ()
    if status == highspy.HighsModelStatus.kTimeLimit:
        return "stopped by the clock", (
            "the clock stopped HiGHS before its proof: another run may find another answer",
        )
    return f"stopped after {_MAX_NODES:,} nodes", ()
