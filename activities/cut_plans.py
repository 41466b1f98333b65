"""Plan a cut: its fragments, the jobs that run them, and what all that takes; once for a cut, whoever runs it."""

import dataclasses

from temporalio import activity
from temporalio.common import RawValue

from activities.boundary import speaks_temporal
from activities.checkpoint import Failpoint
from activities.preview import Preview
from backends.registry import Registry
from circuits.source import SourceLimits
from fallback.solvers.protocol import absent
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.cutting import (
    CutCall,
    CutHead,
    CutJob,
    CutPlan,
    CutPlanned,
    CutPrice,
    CutState,
    FragmentRun,
)
from qurable.contracts.executions import Seconds
from qurable.contracts.jobs import Requirements, read_request
from qurable.contracts.routes import Estimate
from qurable.errors import (
    HybridError,
    InternalError,
    JobNotFound,
    OutOfTime,
    RequestRejected,
    StoreUnavailable,
)
from qurable.names import Activity
from qurable.requests import AnyJob
from store import cuttings, jobs
from store.artifacts import ArtifactKind
from store.database import Database
from store.shelf import StoreShelf

LIBRARY = "qiskit_addon_cutting"
_MISSING = f"the library {LIBRARY!r} is not installed here: it comes with the dependency group `cutting`"
_MEMORY_BYTES = 4096 * MIB


class CutPlans:
    """Plans cuts.

    Args:
        database: The store.
        shelf: Where requests are.
        pool: Children that search.
        registry: The backends.
        limits: Of circuits.
        preview: Says what jobs are expected to take.
        failpoint: For tests.
    """

    def __init__(
        self,
        database: Database,
        shelf: StoreShelf,
        pool: ChildPool,
        registry: Registry,
        limits: SourceLimits,
        preview: Preview,
        failpoint: Failpoint,
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool
        self._registry = registry
        self._limits = limits
        self._preview = preview
        self._failpoint = failpoint

    @activity.defn(name=Activity.PLAN_CUT)
    @speaks_temporal
    async def plan_cut(self, head: CutHead, call: CutCall, body: RawValue) -> CutPlanned:
        """Make the plan and keep it, or find it; where the price alone is asked for, nothing is kept.

        Raises:
            RequestRejected: The circuit cannot be cut so.
            KeyReused: Its key belongs to a cut with another body.
            JobNotFound: It is to run again, and there is none.
        """
        held = None if head.price else await self._database.read(cuttings.find, call.id)
        if held is None:
            if head.again:
                raise JobNotFound(f"no cut {call.id!r} is in the store", job_id=call.id)
            plan, requests = await self._plan(CutJob.read(bytes(body.payload.data)))
            plan = plan.model_copy(update={"price": await self._priced(plan, requests, asked=head.price)})
            if head.price:
                return CutPlanned(price=plan.price)
            for request in requests:
                await self._shelf.keep_artifact(ArtifactKind.REQUEST, request)
            self._failpoint("cut:planned")
            await self._database.write(cuttings.begin, plan, call.owner)
        else:
            await self._database.write(
                cuttings.take_over, call.id, call.owner, head.body_hash, again=head.again
            )
        return await self._planned(call)

    async def _plan(self, job: CutJob) -> tuple[CutPlan, list[bytes]]:
        if absent([LIBRARY]):
            raise RequestRejected(f"circuits cannot be cut: {_MISSING}")
        name = job.estimate.backend
        target = (
            None if isinstance(name, Requirements) or name == "auto" else await self._registry.snapshot(name)
        )
        payload = {
            "job": job.model_dump_json(),
            "limits": dataclasses.asdict(self._limits),
            "width": None if target is None else target.num_qubits,
            "max_shots": 1_000_000 if target is None else target.max_shots,
        }
        limits = Limits(_MEMORY_BYTES, wall_seconds=job.cut.seconds)
        try:
            answer = await self._pool.call(
                "circuits.cut_planning:plan_cut", payload, limits, what="finding cuts"
            )
        except OutOfTime as failure:
            raise OutOfTime(
                f"{failure.message}: allow more (cut.seconds), let fragments be wider (cut.qubits), or draw fewer joint choices "
                "(cut.samples)",
                limit_seconds=job.cut.seconds,
            ) from None
        return CutPlan.read(answer["plan"]), [request.encode() for request in answer["requests"]]

    async def _priced(self, plan: CutPlan, requests: list[bytes], *, asked: bool) -> CutPrice:
        """The plan's price with what its jobs are expected to take, where that is asked for or costs money."""
        price, parts = plan.price, []
        try:
            for request in requests:
                job = read_request(request)
                route = await self._preview.route(job)
                if not route.rungs:
                    note = "no place can run its jobs as they stand"
                    return price.model_copy(update={"warnings": (*price.warnings, note)})
                if not asked and not route.rungs[0].target.paid:
                    return price
                parts.append(route.rungs[0].estimate)
        except StoreUnavailable:
            raise
        except HybridError as failure:
            note = f"what it takes cannot be estimated: {failure.message}"
            return price.model_copy(update={"warnings": (*price.warnings, note)})
        return price.model_copy(update={"estimate": summed(parts)})

    async def _planned(self, call: CutCall) -> CutPlanned:
        """What stands in the store; fragments that failed before carry on with the next ordinal."""
        held = await self._database.read(cuttings.find, call.id)
        if held is None:
            raise InternalError(f"cut {call.id!r} was never kept")
        if held.state is not CutState.RUNNING and held.report is not None:
            return CutPlanned(price=held.plan.price, report=held.report)
        return CutPlanned(
            price=held.plan.price, runs=tuple([await self._current(run) for run in held.plan.runs])
        )

    async def _current(self, run: FragmentRun) -> FragmentRun:
        """The run whose job has not ended without an answer."""
        request = read_request(await self._shelf.artifact(run.request))
        while True:
            report = await self._database.read(jobs.find_report, job_of(request, run).job_id)
            if report is None or report.error is None:
                return run
            run = run.model_copy(update={"ordinal": run.ordinal + 1})


def job_of(request: AnyJob, run: FragmentRun) -> AnyJob:
    """The job of a run: a fragment that is run again is another job with the same seed."""
    if not run.ordinal:
        return request
    return request.model_copy(update={"key": f"{request.key}/{run.ordinal}"})


def summed(parts: list[Estimate]) -> Estimate:
    """What jobs side by side take together; a part is None where one of them is not known."""
    if not parts:
        return Estimate()
    seconds = [part.qpu_seconds for part in parts]
    prices = [part.price for part in parts]
    runs = [part.run_seconds for part in parts]
    waits = [part.wait_seconds for part in parts]
    known = [span for span in seconds if span is not None]
    return Estimate(
        qpu_seconds=Seconds(low=sum(span.low for span in known), high=sum(span.high for span in known))
        if len(known) == len(seconds)
        else None,
        price=None if None in prices else sum(price or 0.0 for price in prices),
        currency=parts[0].currency,
        run_seconds=None if None in runs else sum(run or 0.0 for run in runs),
        wait_seconds=None if None in waits else max(wait or 0.0 for wait in waits),
        method=parts[0].method,
    )
