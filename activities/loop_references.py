"""What a classical solver makes of a loop's problem, so that its report can be compared with it."""

import time

from fallback.solvers.problems import SOLVERS, best_first
from fallback.solvers.protocol import Fit, ProblemPayload, Solution, absent
from isolation.admission import Admission
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.optimisations import Reference
from qurable.contracts.problems import Problem, ProblemAnswer
from qurable.contracts.translations import ProgramTerms, Terms, TourTerms
from qurable.errors import HybridError

_ADDRESS_SPACE_BYTES = 3072 * MIB
"""What libraries reserve beyond what they use."""

_GRACE_SECONDS = 10.0
_TOUR_BYTES = 256 * MIB


class LoopReferences:
    """Asks the solver that suits best.

    Args:
        pool: Children.
        admission: The machine's memory.
    """

    def __init__(self, pool: ChildPool, admission: Admission) -> None:
        self._pool = pool
        self._admission = admission

    async def find(
        self, problem: Problem, terms: Terms | None, seed: int, seconds: float
    ) -> tuple[Reference | None, tuple[str, ...]]:
        """The solver's answer, or why there is none; a loop goes on without.

        Tours and programs are solved as what they are, and not by their bits.
        """
        if isinstance(terms, TourTerms):
            return await self._shortest(terms, seconds)
        if terms is not None:
            problem = terms.program
        suiting = self._suiting(problem)
        if not suiting:
            return None, ("no classical solver here suits the problem: there is nothing to compare with",)
        name, fit = suiting[0]
        began = time.monotonic()
        try:
            answer = await self._pool.call(
                "fallback.solvers.problems:solve_problem",
                {"backend": name, **ProblemPayload(problem, seed, seconds).pack()},
                Limits(fit.memory_bytes + _ADDRESS_SPACE_BYTES, wall_seconds=seconds + _GRACE_SECONDS),
                what=f"the classical reference {name!r}",
            )
        except HybridError as error:
            return None, (f"there is no classical reference: {error.message}",)
        solution = Solution.read(answer)
        if solution.answer.objective is None:
            return None, (f"{name!r} gave no objective: there is nothing to compare with",)
        reference = Reference(
            solver=name,
            method=solution.method,
            value=solution.answer.objective,
            bound=solution.answer.bound,
            certain=fit.certain,
            seconds=time.monotonic() - began,
            answer=None if terms is None else _named(solution.answer, terms),
        )
        return reference, solution.warnings

    async def _shortest(self, terms: TourTerms, seconds: float) -> tuple[Reference | None, tuple[str, ...]]:
        began = time.monotonic()
        try:
            answer = await self._pool.call(
                "circuits.tours:shortest",
                terms.model_dump_json(),
                Limits(_TOUR_BYTES, wall_seconds=seconds + _GRACE_SECONDS),
                what="the shortest tour",
            )
        except HybridError as error:
            return None, (f"there is no classical reference: {error.message}",)
        found = ProblemAnswer.read(answer)
        assert found.objective is not None  # noqa: S101  every tour has a length
        reference = Reference(
            solver="held_karp",
            method="dynamic programming over sets of cities",
            value=found.objective,
            bound=found.bound,
            certain=True,
            seconds=time.monotonic() - began,
            answer=found,
        )
        return reference, ()

    def _suiting(self, problem: Problem) -> list[tuple[str, Fit]]:
        """Solvers that are installed and may be tried, those with a proof first."""
        found = []
        for name in best_first(list(SOLVERS), problem):
            fit = SOLVERS[name].fits(problem)
            fits_here = fit.suits and fit.memory_bytes <= self._admission.capacity_bytes
            if fits_here and not absent(SOLVERS[name].needs):
                found.append((name, fit))
        return found


def _named(answer: ProblemAnswer, terms: ProgramTerms) -> ProblemAnswer:
    """A program's answer with the names of its variables."""
    return answer.model_copy(update={"names": tuple(variable.name for variable in terms.variables)})
