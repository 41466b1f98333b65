"""End a cut: put the values together from what the fragments read, and keep the report."""

from collections.abc import Sequence
from typing import Any

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Failpoint
from activities.cut_plans import job_of
from activities.reporting import results_of, versions
from circuits.marginals import marginals_of
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.arrays import FloatArray
from qurable.contracts.cutting import (
    CutPlan,
    CutReport,
    CutState,
    EndCut,
    FragmentRun,
)
from qurable.contracts.jobs import read_request
from qurable.contracts.reports import State
from qurable.contracts.results import ErrorOrigin, EstimateResult, SampleResult
from qurable.errors import JobCancelled, JobNotFound, StageForgotten
from qurable.names import Activity
from store import cuttings
from store.cuttings import Held
from store.database import Database, now
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=540.0)


class CutReports:
    """Makes reports.

    Args:
        database: The store.
        shelf: Where requests are.
        pool: Children that compute.
        failpoint: For tests.
    """

    def __init__(self, database: Database, shelf: StoreShelf, pool: ChildPool, failpoint: Failpoint) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool
        self._failpoint = failpoint

    @activity.defn(name=Activity.END_CUT)
    @speaks_temporal
    async def end_cut(self, call: EndCut) -> CutReport:
        """Make the report and keep it; the first one of an execution stands and is given back.

        Raises:
            JobNotFound: There is no such cut: it was refused, or cancelled before it was planned.
            StageForgotten: The store has lost what a fragment read.
        """
        held = await self._database.read(cuttings.find, call.cut.id)
        if held is None:
            raise JobNotFound(f"the store has no cut {call.cut.id!r}")
        fields = await self._values(held.plan, call.runs) if call.error is None else {}
        self._failpoint("cut:reconstructed")
        report = await self._database.write(
            cuttings.end, _report(call, held).model_copy(update=fields), call.cut.owner
        )
        self._failpoint("cut:kept")
        return report

    async def _values(self, plan: CutPlan, runs: Sequence[FragmentRun]) -> dict[str, Any]:
        """Fields of the report."""
        if plan.price.whole:
            (result,) = await self._read(runs[0])
            if not isinstance(result, EstimateResult):
                raise StageForgotten(f"job of {runs[0].name!r} has no estimates")
            values, errors = list(result.evs.values), list(result.stds.values)
            origin = result.error_origin
        else:
            read: list[list[str]] = [[] for _ in plan.fragments]
            for run in sorted(runs, key=lambda run: (run.fragment, run.first)):
                read[run.fragment] += [result.model_dump_json() for result in await self._read(run)]
            answer = await self._pool.call(
                "circuits.cut_values:reconstruct",
                {"plan": plan.model_dump_json(), "results": read},
                _LIMITS,
                what="putting the fragments together",
            )
            values, errors, origin = answer["values"], answer["errors"], ErrorOrigin.BOOTSTRAP
        asked = plan.job.estimate.pubs[0].observables
        number = len(asked.items)
        return {
            "shape": asked.shape,
            "evs": FloatArray(shape=asked.shape, values=tuple(values[:number])),
            "stds": FloatArray(shape=asked.shape, values=tuple(errors[:number])),
            "error_origin": origin,
            "marginals": marginals_of(plan.job, values, errors),
        }

    async def _read(self, run: FragmentRun) -> list[SampleResult | EstimateResult]:
        """What a run's job read, every pub of it."""
        job = job_of(read_request(await self._shelf.artifact(run.request)), run)
        found = [
            result
            for result in await results_of(self._database, self._shelf, job.job_id)
            if result is not None
        ]
        if len(found) != len(getattr(job, "pubs", ())):
            raise StageForgotten(
                f"the store has not all results of job {job.job_id!r}, which has ended: it was restored from a backup"
            )
        return found


def _report(call: EndCut, held: Held) -> CutReport:
    """The report without values."""
    plan, known = held.plan, held.report
    before = () if known is None else known.fragments
    # A rerun finds the ends of answered fragments again, with what a provider has said of their cost since.
    found = {end.job_id: end for end in (*before, *call.ended)}
    fragments = tuple(sorted(found.values(), key=lambda end: (end.name, end.ordinal)))
    prices = [end.price for end in fragments]
    asked = plan.job.estimate
    return CutReport(
        id=call.cut.id,
        project=asked.project,
        state=_state(call),
        asked=asked.asked,
        price=plan.price,
        fragments=fragments,
        qpu_seconds=sum(end.qpu_seconds for end in fragments),
        cost=None if None in prices else sum(price or 0.0 for price in prices),
        currency=next((end.currency for end in fragments if end.currency), ""),
        seed=plan.seed,
        accepted=held.began,
        ended=now(),
        versions={**versions(), **plan.versions},
        warnings=plan.warnings,
        labels=asked.labels,
        error=call.error,
    )


def _state(call: EndCut) -> CutState:
    if call.error is not None:
        return CutState.CANCELLED if call.error.code == JobCancelled.__name__ else CutState.FAILED
    current = {(run.name, run.ordinal) for run in call.runs}
    degraded = any(end.state is State.DEGRADED and (end.name, end.ordinal) in current for end in call.ended)
    return CutState.DEGRADED if degraded else CutState.COMPLETED
