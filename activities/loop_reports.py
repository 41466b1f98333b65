"""End a variational loop: the point it ends with, evaluated anew, beside what a classical solver made of it."""

from array import array
from collections.abc import Sequence

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.loop_answers import Ended, answer_read, ended_with
from activities.loop_chunks import chunk_limits, chunk_payload
from activities.loop_log import best, curve, spent, stretches
from activities.reporting import versions
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.loop_places import IN_CHUNKS
from qurable.contracts.optimisations import (
    MAX_CURVE,
    EndLoop,
    LoopState,
    OptimisationReport,
    PreparedLoop,
)
from qurable.contracts.problems import ProblemAnswer, Sense
from qurable.errors import JobNotFound
from qurable.names import Activity
from store import loop_jobs, optimisations
from store.database import Database, now
from store.optimisations import Block
from store.shelf import StoreShelf


class LoopReports:
    """Makes reports.

    Args:
        database: The store.
        shelf: Where results of jobs are.
        simulating: Children that evaluate.
    """

    def __init__(self, database: Database, shelf: StoreShelf, simulating: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._simulating = simulating

    @activity.defn(name=Activity.END_LOOP)
    @speaks_temporal
    async def end_loop(self, call: EndLoop) -> OptimisationReport:
        """Make the report and keep it; the first one stands and is given back.

        Raises:
            JobNotFound: There is no such loop: it was refused, or cancelled before it was prepared.
        """
        known = await self._database.read(optimisations.find_report, call.loop_id)
        if known is not None:
            return known
        prepared = await self._database.read(optimisations.find, call.loop_id)
        if prepared is None:
            raise JobNotFound(f"the store has no loop {call.loop_id!r}")
        # A chunk that was called off may still run: it appends no more.
        await self._database.write(optimisations.claim, call.loop_id, "ended")
        log = await self._database.read(optimisations.log, call.loop_id)
        began = await self._database.read(optimisations.began, call.loop_id)
        report = OptimisationReport(
            id=call.loop_id,
            state=call.state,
            stopped_by=call.stopped_by,
            parameters=prepared.parameters,
            sense=prepared.sense,
            reference=prepared.reference,
            best=best(log, prepared.sense),
            spent=spent(log, prepared.groups, await self._database.read(loop_jobs.cost, call.loop_id)),
            curve=curve(log, prepared.sense, 0, MAX_CURVE),
            places=stretches(log, prepared.groups, prepared.sense),
            jobs=await self._database.read(loop_jobs.of_loop, call.loop_id),
            reading=prepared.reading,
            provenance=_provenance(prepared, log),
            warnings=prepared.warnings,
            error_document=call.error,
            began=began,
            ended=now(),
        )
        if call.because and report.best is None:
            report = report.model_copy(update={"warnings": (*report.warnings, call.because)})
        if call.state is LoopState.COMPLETED and report.best is not None:
            if call.backend == IN_CHUNKS:
                report = await self._with_answer(report, prepared, log, call.shots)
            else:
                report = await self._with_jobs_answer(report, prepared, call.because)
        return await self._database.write(optimisations.end, report)

    async def _with_answer(
        self, report: OptimisationReport, prepared: PreparedLoop, log: Sequence[Block], in_force: int | None
    ) -> OptimisationReport:
        """The report with the point that the loop ends with."""
        assert report.best is not None  # noqa: S101  the caller has seen to it
        shots = None if in_force is None else prepared.loop.final_shots or in_force
        answer = await self._simulating.call(
            "isolation.loops:end_loop",
            {
                **chunk_payload(prepared, log),
                "best": array("d", report.best.x).tobytes(),
                "shots": shots,
            },
            chunk_limits(prepared),
            what="the last evaluation of the loop",
        )
        ended = Ended(
            x=tuple(array("d", answer["x"])),
            value=float(answer["value"]),
            error=answer["error"],
            seed=answer["seed"],
            shots=shots,
            evaluations=answer["evaluations"],
        )
        found = None if answer["answer"] is None else ProblemAnswer.read(answer["answer"])
        return _with_point(report, prepared, ended, found)

    async def _with_jobs_answer(
        self, report: OptimisationReport, prepared: PreparedLoop, because: str
    ) -> OptimisationReport:
        """The report with the point that jobs evaluated last; with the best as it was, where none did."""
        assert report.best is not None  # noqa: S101  the caller has seen to it
        ended = await ended_with(self._database, self._shelf, prepared)
        if ended is not None:
            found = await answer_read(self._database, prepared.loop.id)
            return _with_point(report, prepared, ended, found)
        best = report.best
        gap, ratio = _compared(report, best.value)
        warning = (
            f"the best point was not evaluated anew: {because or 'no job answered'}; its value is the best of many noisy ones, "
            "which is too good by its luck"
        )
        return report.model_copy(
            update={
                "value": best.value,
                "error": best.error,
                "x": best.x,
                "gap": gap,
                "ratio": ratio,
                "warnings": (*report.warnings, warning),
            }
        )


def _with_point(
    report: OptimisationReport, prepared: PreparedLoop, ended: Ended, answer: ProblemAnswer | None
) -> OptimisationReport:
    """The report with a point that was evaluated anew."""
    gap, ratio = _compared(report, ended.value)
    made = report.spent.model_copy(
        update={
            "evaluations": report.spent.evaluations + ended.evaluations,
            "shots": report.spent.shots + (ended.shots or 0) * prepared.groups * ended.evaluations,
        }
    )
    return report.model_copy(
        update={
            "value": ended.value,
            "error": ended.error,
            "x": ended.x,
            "answer": answer,
            "gap": gap,
            "ratio": ratio,
            "spent": made,
            "provenance": {**report.provenance, "final_seed": ended.seed, "final_shots": ended.shots},
        }
    )


def _compared(report: OptimisationReport, value: float) -> tuple[float | None, float | None]:
    """How much worse a value is than the reference, and the two's ratio where more is better."""
    if report.reference is None:
        return None, None
    found, maximises = report.reference.value, report.sense is Sense.MAXIMIZE
    gap = found - value if maximises else value - found
    return gap, value / found if maximises and found > 0 else None


def _provenance(prepared: PreparedLoop, log: Sequence[Block]) -> dict[str, object]:
    loop = prepared.loop
    changes: list[dict[str, object]] = []
    for block in log:
        if not changes or changes[-1]["shots"] != block.shots:
            changes.append({"from_iteration": block.first, "shots": block.shots})
    objective = {}
    if prepared.objective is not None and prepared.known_objective is not None:
        told = {"data": digest(prepared.objective)}
        objective = {"objective": prepared.known_objective.model_dump(mode="json") | told}
    return {
        **objective,
        "seed": loop.seed,
        "backend": loop.backend,
        "optimiser": loop.optimiser.model_dump(mode="json"),
        "ansatz": None if loop.ansatz is None else loop.ansatz.model_dump(mode="json"),
        "circuit": prepared.identity,
        "observable": digest(prepared.observable),
        "groups": prepared.groups,
        "start": list(prepared.start),
        "shots": changes,
        "versions": versions(),
    }
