"""A loop whose iterations are jobs: tell the optimiser what a job found, and make the job of the next iteration.

Which job that is stands in the store before it is started. Its key follows from the loop, the iteration and how often that
has failed, so that whoever takes the loop up finds the job that is already there, and pays for no iteration twice.
"""

from array import array
from typing import Literal

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.loop_answers import ended_with, estimated
from activities.loop_chunks import chunk_payload, turn_limits
from activities.loop_log import best, curve, spent
from activities.loop_questions import ANSWER_SHOTS, answer_job, budget_left, estimate_job, job_key
from isolation.pool import ChildPool
from qurable.contracts.budgets import JobBudget
from qurable.contracts.jobs import job_id
from qurable.contracts.loop_places import LoopJob
from qurable.contracts.loop_turns import LastCall, LastJob, Turn, TurnCall
from qurable.contracts.optimisations import Chunk, PreparedLoop, StopReason
from qurable.contracts.problems import Ising, MaxCut, Qubo
from qurable.errors import InternalError, JobNotFound
from qurable.names import Activity
from store import loop_jobs, optimisations
from store.database import Database
from store.loop_jobs import Meant
from store.optimisations import Block
from store.shelf import StoreShelf

_CURVE_PER_TURN = 10


class LoopTurns:
    """Goes on with loops, an iteration at a time.

    Args:
        database: The store.
        shelf: Where results are.
        simulating: Children that keep optimisers.
    """

    def __init__(self, database: Database, shelf: StoreShelf, simulating: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._simulating = simulating

    @activity.defn(name=Activity.LOOP_TURN)
    @speaks_temporal
    async def turn(self, call: TurnCall) -> Turn:
        """Keep what the last job found, and make the next one; a turn that is made again changes nothing.

        Raises:
            OptimisationFailed: The objective is no number, or the optimiser has diverged.
        """
        prepared = await self._prepared(call.loop_id)
        holder = f"{activity.info().workflow_run_id}/{activity.info().activity_id}/{activity.info().attempt}"
        await self._database.write(optimisations.claim, call.loop_id, holder)
        log = await self._database.read(optimisations.log, call.loop_id)
        before = log[-1].stop if log else 0
        if call.ended:
            log = await self._kept(prepared, call.ended, holder, log)
            before = log[-1].first
        answer = await self._simulating.call(
            "isolation.loop_turns:next_points",
            {**chunk_payload(prepared, log), "finishing": call.finishing},
            turn_limits(),
            what="the next points of the loop",
        )
        cost = await self._database.read(loop_jobs.cost, call.loop_id)
        left = budget_left(prepared.loop.budget, cost)
        stopped = None if answer["stopped_by"] is None else StopReason(answer["stopped_by"])
        if stopped is None and left is None:
            stopped = StopReason.BUDGET
        end = log[-1].stop if log else 0
        chunk = Chunk(
            spent=spent(log, prepared.groups, cost),
            best=best(log, prepared.sense),
            curve=curve(log, prepared.sense, before, _CURVE_PER_TURN),
            stopped_by=stopped,
            finishing=answer["finishing"],
        )
        if stopped is not None or left is None or answer["points"] is None or not call.backend:
            return Turn(chunk=chunk, iteration=end)
        meant = await self._meant(prepared, "iteration", end, call.ordinal, call.backend, call.shots, left)
        return Turn(
            chunk=chunk,
            iteration=end,
            job=estimate_job(prepared, meant, array("d", answer["points"]), answer["seed"]),
        )

    @activity.defn(name=Activity.LOOP_LAST)
    @speaks_temporal
    async def last(self, call: LastCall) -> LastJob:
        """Make the job that evaluates the point that the loop ends with, or the one that reads assignments there."""
        prepared = await self._prepared(call.loop_id)
        loop = prepared.loop
        if call.purpose == "answer" and not isinstance(prepared.problem, Qubo | Ising | MaxCut):
            return LastJob()
        log = await self._database.read(optimisations.log, call.loop_id)
        chosen = best(log, prepared.sense)
        left = budget_left(loop.budget, await self._database.read(loop_jobs.cost, call.loop_id))
        if chosen is None or left is None:
            return LastJob()
        found = await self._simulating.call(
            "isolation.loop_turns:last_points",
            {**chunk_payload(prepared, log), "best": array("d", chosen.x).tobytes()},
            turn_limits(),
            what="the last point of the loop",
        )
        points, end = array("d", found["points"]), log[-1].stop
        if call.purpose == "value":
            shots = loop.final_shots or call.shots
            meant = await self._meant(prepared, "value", end, 0, call.backend, shots, left)
            return LastJob(job=estimate_job(prepared, meant, points, found["seed"]))
        ended = await ended_with(self._database, self._shelf, prepared)
        if ended is None:
            return LastJob()
        meant = await self._meant(prepared, "answer", end, 0, call.backend, ANSWER_SHOTS, left)
        return LastJob(job=answer_job(prepared, meant, found["measured"], ended.x, found["answer_seed"]))

    async def _prepared(self, loop_id: str) -> PreparedLoop:
        prepared = await self._database.read(optimisations.find, loop_id)
        if prepared is None:
            raise JobNotFound(f"the store has no loop {loop_id!r}")
        return prepared

    async def _kept(self, prepared: PreparedLoop, ended: str, holder: str, log: list[Block]) -> list[Block]:
        """The log, with what a job found at its end; one that holds it already stays."""
        meant = await self._database.read(loop_jobs.find, ended)
        if meant is None:
            raise JobNotFound(f"the store does not know what job {ended!r} evaluated")
        if log and log[-1].stop > meant.job.iteration:
            return log
        found = await estimated(self._database, self._shelf, ended)
        block = Block(
            first=meant.job.iteration,
            sizes=(len(found.values),),
            x=array("d", found.x).tobytes(),
            values=array("d", found.values).tobytes(),
            errors=array("d", found.errors).tobytes(),
            shots=meant.shots,
            seconds=found.seconds,
            backend=meant.job.backend,
            job_id=ended,
        )
        if not await self._database.write(optimisations.append, prepared.loop.id, holder, block):
            raise InternalError(f"another attempt goes on with loop {prepared.loop.id!r}")
        return [*log, block]

    async def _meant(
        self,
        prepared: PreparedLoop,
        purpose: Literal["iteration", "value", "answer"],
        iteration: int,
        ordinal: int,
        backend: str,
        shots: int | None,
        left: JobBudget,
    ) -> Meant:
        loop = prepared.loop
        job = LoopJob(
            id=job_id(loop.project, job_key(loop.id, purpose, iteration, ordinal)),
            backend=backend,
            purpose=purpose,
            iteration=iteration,
            ordinal=ordinal,
        )
        return await self._database.write(loop_jobs.intend, Meant(job, loop.id, shots, left))
