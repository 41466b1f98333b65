"""The solvers of problems, in the order in which they are tried, and the task that runs one in a child."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fallback.solvers.annealing import Annealing
from fallback.solvers.dmrg import Dmrg
from fallback.solvers.exact import Exact
from fallback.solvers.ground_state import GroundState
from fallback.solvers.kernel import Kernel
from fallback.solvers.protocol import Fit, ProblemPayload, ProblemSolver, absent
from qurable.contracts.problems import Problem
from qurable.errors import BackendNotInstalled, JobTooLarge, UnsupportedCircuit
from qurable.names import CLASSICAL_PREFIX

_IN_ORDER: tuple[ProblemSolver, ...] = (Annealing(), Exact(), GroundState(), Dmrg(), Kernel())

SOLVERS: Mapping[str, ProblemSolver] = {CLASSICAL_PREFIX + solver.name: solver for solver in _IN_ORDER}
"""By their backend's name."""


def fit(backend: str, problem: Problem | None, capacity_bytes: int) -> Fit:
    """How a solver suits a problem.

    Raises:
        UnsupportedCircuit: There is no problem, or it is not this solver's.
        JobTooLarge: It takes more memory than this machine grants.
    """
    if problem is None:
        raise UnsupportedCircuit(
            f"backend {backend!r} answers problems and reads no circuits, and the job carries no problem: give one as `problem`"
        )
    found = SOLVERS[backend].fits(problem)
    if not found.suits:
        raise UnsupportedCircuit(f"backend {backend!r} does not suit: {found.because}")
    if found.memory_bytes > capacity_bytes:
        raise JobTooLarge(
            f"backend {backend!r} takes {found.memory_bytes / 2**20:,.0f} MiB for this problem; this machine grants "
            f"{capacity_bytes / 2**20:,.0f} MiB at most: use a worker on a larger machine (QURABLE_MEMORY_MIB)",
            needed_bytes=found.memory_bytes,
            limit_bytes=capacity_bytes,
        )
    return found


def best_first(names: Sequence[str], problem: Problem | None) -> list[str]:
    """Backends that suit a problem with a proof before those that suit it without, and these before all others.

    Among equals, and where there is no problem, the order stays.
    """

    def rank(name: str) -> tuple[bool, bool]:
        found = SOLVERS[name].fits(problem) if problem is not None and name in SOLVERS else None
        return (found is None or not found.suits, found is None or not found.certain)

    return sorted(names, key=rank)


def check_installed(backend: str) -> None:
    """Make sure that a solver's packages are there.

    Raises:
        BackendNotInstalled: Naming those that are not.
    """
    missing = absent(SOLVERS[backend].needs)
    if missing:
        raise BackendNotInstalled(
            f"backend {backend!r} needs {', '.join(missing)}, which is not installed on this worker: install the dependency "
            "group 'solvers'",
            missing=missing,
        )


def solve_problem(payload: Any, _emit: Callable[[Any], None]) -> str:
    """Task: the `Solution` of one solver, as JSON.

    Raises:
        HybridError: There is none.
    """
    check_installed(payload["backend"])
    return SOLVERS[payload["backend"]].solve(ProblemPayload.unpack(payload)).model_dump_json()
