"""Bring what an answer is compared with: a simulation, an earlier job's results, a solver's answer.

Simulations and solvers run in children, and only as large as takes seconds. What cannot be brought is said, and
fails no job: a check that was not run speaks neither for nor against an answer.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from activities.baseline import MEMORY_BYTES, NotBrought, Plan, seed_beside
from activities.questions import canonical_bindings
from activities.reporting import Kept, assemble_results, read_kept
from circuits.asked_checks import Reference
from circuits.assembly import assemble
from circuits.runnable import pubs_of
from fallback.solvers.problems import SOLVERS, best_first
from fallback.solvers.protocol import ProblemPayload, Solution, absent
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from isolation.runs import CHILD_OVERHEAD_BYTES
from qurable.contracts.checks import Baseline, Checks, ClassicalAnswer
from qurable.contracts.executions import Piece
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.problems import Problem
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.reports import State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.targets import AnswerKind
from qurable.errors import HybridError, RequestRejected, StoreUnavailable
from store import answers, jobs
from store.database import Database
from store.shelf import StoreShelf

_SECONDS = 20.0
"""Most that a simulation is expected to take."""

_WALL_SECONDS = 60.0
_SOLVER_SECONDS = 30.0
_CHEAP_SOLVER_SECONDS = 2.0
"""Up to here a solver that proves its answer is asked although the job asks for no comparison."""

_SOLVER_MEMORY_BYTES = 3072 * MIB
_NOISY = frozenset({AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR})

Request = SampleJob | EstimateJob | SolveJob
Results = Sequence[SampleResult | EstimateResult]


class References:
    """Brings them.

    Args:
        database: The store.
        shelf: Where artifacts are.
        pool: Children that compute.
    """

    def __init__(self, database: Database, shelf: StoreShelf, pool: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool

    async def bring(self, request: Request, checks: Checks, held: Kept) -> dict[int, Reference]:
        """What each baseline and solver brings, by the position of its check; all of them within a time."""
        until = asyncio.get_running_loop().time() + _WALL_SECONDS
        return {
            number: await self._by(until, self._reference(request, check, held))
            for number, check in enumerate(checks.items)
            if isinstance(check, Baseline | ClassicalAnswer)
        }

    async def cheap_answer(self, request: Request, held: Kept) -> Reference:
        """A solver's answer to a problem that a circuit answered, where it costs next to nothing."""
        if not isinstance(request, SolveJob) or held.rung.target.solves_problems:
            return Reference(missing="")
        until = asyncio.get_running_loop().time() + _SOLVER_SECONDS
        return await self._by(until, self._solved(request, _CHEAP_SOLVER_SECONDS, proven=True))

    async def _by(self, until: float, bringing: Coroutine[Any, Any, Reference]) -> Reference:
        try:
            async with asyncio.timeout_at(until):
                reference = await bringing
        except NotBrought as reason:
            return Reference(missing=str(reason))
        except StoreUnavailable:
            raise  # the stage waits for the store, as all do
        except HybridError as failure:
            return Reference(missing=f"what it is compared with failed: {failure.message}")
        except TimeoutError:
            return Reference(
                missing=f"what the answer is compared with took longer than {_WALL_SECONDS:g} s and was stopped"
            )
        return reference

    async def _reference(self, request: Request, check: Baseline | ClassicalAnswer, held: Kept) -> Reference:
        if isinstance(check, ClassicalAnswer):
            if held.rung.target.solves_problems:
                raise NotBrought(f"the answer is that of the solver {held.rung.name!r} itself")
            return await self._solved(request, _SOLVER_SECONDS, proven=False)
        if held.rung.target.solves_problems:
            raise NotBrought(f"{held.rung.name!r} answered without running a circuit")
        if check.against == "earlier":
            return await self._earlier(request, check.job, held)
        return await self._simulated(request, held, noisy=check.against == "noisy_simulator")

    async def _earlier(self, request: Request, job_id: str, held: Kept) -> Reference:
        """Results of an earlier job of the project that asked the same."""
        _, pubs = pubs_of(request)
        if not job_id:
            job_id = await self._last(request, held)
        row = await self._database.read(jobs.find, job_id)
        if row is None or row.project != request.project:
            raise NotBrought(f"no job {job_id!r} of project {request.project!r} is in the store")
        earlier = await self._database.read(read_kept, job_id, None)
        if earlier is None or not earlier.rung.target.reads_circuits:
            raise NotBrought(f"job {job_id!r} has no results of circuits")
        _, asked = pubs_of(await earlier.request(self._shelf))
        here, there = _questions(pubs, held), _questions(asked, earlier)
        if here != there:
            raise NotBrought(f"job {job_id!r} ran other circuits, bindings or observables")
        found = await assemble_results(self._shelf, earlier)
        results = [result for result in found if result is not None]
        if len(results) != len(pubs):
            raise NotBrought(f"job {job_id!r} has not all of its results")
        return Reference(results=results, name=f"job {job_id!r} on {earlier.rung.name!r}")

    async def _last(self, request: Request, held: Kept) -> str:
        key = held.submitted.job.key
        beginning = datetime.fromtimestamp(0, UTC)
        found = await self._database.read(answers.to_question, key.digest, request.project, beginning)
        for answered in found:
            if answered.key.backend == key.backend and answered.key.job_id != key.job_id:
                return answered.key.job_id
        raise NotBrought(
            f"no earlier job of project {request.project!r} was answered by {key.backend!r} with the same circuits and shots"
        )

    async def _simulated(self, request: Request, held: Kept, *, noisy: bool) -> Reference:
        """The same ISA circuits on Aer, with more shots and seeds of their own; estimates exactly where that goes."""
        if noisy and held.rung.target.answer_kind not in _NOISY:
            raise NotBrought(f"{held.rung.name!r} has no noise: compare with 'simulator'")
        if not held.compiled.circuits:
            raise NotBrought(f"{held.rung.name!r} ran no circuit for this job")
        kind, pubs = pubs_of(request)
        plans = [Plan(number, pub, held, noisy=noisy) for number, pub in enumerate(pubs)]
        expected = sum(plan.seconds for plan in plans)
        if expected > _SECONDS:
            raise NotBrought(
                f"its simulation is expected to take {expected:,.0f} s, and {_SECONDS:g} s are spent on one"
            )
        noise = held.compiled.circuits[0].target if noisy else None
        body = None if noise is None else await self._shelf.artifact(noise)
        results = []
        for plan in plans:
            payload = {
                "kind": kind,
                "circuits": {plan.isa: await self._shelf.artifact(plan.isa)},
                "options": plan.options,
                "noise": body,
                "noise_hash": noise,
                "work": [plan.piece],
            }
            results.append(await self._run(plan, payload, held))
        name = "a noisy simulation" if noisy else "a simulation without noise"
        return Reference(results=results, name=name)

    async def _run(self, plan: Plan, payload: dict[str, Any], held: Kept) -> SampleResult | EstimateResult:
        pieces: list[Piece] = []

        async def keep(event: dict[str, Any]) -> None:
            pieces.append(Piece(**event))

        limits = Limits(MEMORY_BYTES + CHILD_OVERHEAD_BYTES, wall_seconds=_WALL_SECONDS)
        await self._pool.call(
            "isolation.aer:simulate", payload, limits, keep, what="the simulation to compare with"
        )
        circuit = held.validated.circuits[held.validated.circuit_of[plan.number]]
        return await asyncio.to_thread(assemble, plan.pub, circuit.dress, circuit.traits.num_clbits, pieces)

    async def _solved(self, request: Request, seconds: float, *, proven: bool) -> Reference:
        problem = None if isinstance(request, EstimateJob) else request.problem
        name = _solver_for(problem, seconds, proven=proven)
        if name is None or problem is None:
            raise NotBrought(f"no solver here answers this problem in {seconds:g} s")
        payload = ProblemPayload(problem, seed_beside(request.job_id), _SOLVER_SECONDS).pack()
        began = asyncio.get_running_loop().time()
        answer = await self._pool.call(
            "fallback.solvers.problems:solve_problem",
            {"backend": name, **payload},
            Limits(MEMORY_BYTES + _SOLVER_MEMORY_BYTES, wall_seconds=_WALL_SECONDS),
            what=f"the solver {name!r}",
        )
        took = asyncio.get_running_loop().time() - began
        return Reference(answer=Solution.read(answer).answer, name=name, seconds=took)


def _questions(pubs: Sequence[SamplePub | EstimatePub], held: Kept) -> list[tuple[Any, ...]]:
    """What each pub asks but for its shots: circuit, registers, values and observables."""
    asked = []
    for number, pub in enumerate(pubs):
        parsed = held.validated.circuits[held.validated.circuit_of[number]]
        asked.append(
            (
                parsed.canonical,
                parsed.dress.registers if isinstance(pub, SamplePub) else (),
                canonical_bindings(pub.bindings, parsed.dress.parameters),
                pub.observables if isinstance(pub, EstimatePub) else None,
            )
        )
    return asked


def _solver_for(problem: Problem | None, seconds: float, *, proven: bool) -> str | None:
    """The best solver that is installed, fits and is expected to end in time."""
    for name in best_first(list(SOLVERS), problem):
        found = None if problem is None else SOLVERS[name].fits(problem)
        if found is None or not found.suits or absent(SOLVERS[name].needs):
            continue
        if found.seconds <= seconds and found.memory_bytes <= MEMORY_BYTES and (found.certain or not proven):
            return name
    return None


async def refuse_unknown_jobs(database: Database, request: Request) -> None:
    """See that an earlier job that is named is there, before anything is paid for.

    Raises:
        RequestRejected: It is not, or has no answer.
    """
    for number, check in enumerate(request.checks.items):
        if not isinstance(check, Baseline) or not check.job:
            continue
        row = await database.read(jobs.find, check.job)
        if row is None or row.project != request.project:
            raise RequestRejected(
                f"check {number} (baseline) names job {check.job!r}, and project {request.project!r} has no such job: take one that "
                "`qurable list` shows"
            )
        if State(row.state) not in (State.COMPLETED, State.DEGRADED):
            raise RequestRejected(
                f"check {number} (baseline) names job {check.job!r}, which has no answer (it is {row.state}): name one that has"
            )
