"""Shadows: what runs at a second place for a job that has its answer, and how the two differ."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, read_documents
from activities.documents import ValidatedDocument
from activities.reporting import results_of
from backends.registry import Registry
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import StillWaiting
from qurable.contracts.base import digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import EstimateJob, Hooks, SampleJob, SolveJob, read_request
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.shadows import PubDifference, ShadowCall, ShadowJob, ShadowRun, ShadowSide
from qurable.errors import (
    ChildCrashed,
    HybridError,
    InternalError,
    JobNotFound,
    OutOfMemory,
    OutOfTime,
    ShadowRefused,
    StageForgotten,
    StoreUnavailable,
)
from qurable.names import Activity
from store import jobs, shadows
from store.database import now
from store.shelf import StoreShelf

LAST = 5
"""Priority of shadows: nobody waits for one."""

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)
_MOST_BYTES = 64 * MIB
"""Results of both jobs together that are compared; they are read into this process first."""

_AGAIN_IN = timedelta(seconds=5)

Request = SampleJob | EstimateJob | SolveJob
Results = Sequence[SampleResult | EstimateResult | None]


class Shadows:
    """Plans and compares them.

    Args:
        checkpoints: Where the store is.
        shelf: Where artifacts are.
        registry: The backends.
        pool: Children that compare.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, registry: Registry, pool: ChildPool
    ) -> None:
        self._checkpoints = checkpoints
        self._database = checkpoints.database
        self._shelf = shelf
        self._registry = registry
        self._pool = pool

    @activity.defn(name=Activity.PLAN_SHADOW)
    @speaks_temporal
    async def plan_shadow(self, call: ShadowCall) -> ShadowJob:
        """The job that runs in the shadow of another; none where it may not, or the place cannot be asked.

        Raises:
            StageForgotten: The store does not know the job any more.
        """
        self._checkpoints.failpoint("plan_shadow:begun")
        documents = await self._database.read(read_documents, call.job_id)
        validated = documents.need(steps.VALIDATE, ValidatedDocument)
        request = read_request(await self._shelf.artifact(validated.request))
        await self._database.write(shadows.begin, call)
        try:
            planned = ShadowJob(request=shadow_of(request, call))
            await self._refuse_to_pay(request, call)
        except StoreUnavailable:
            raise
        except HybridError as failure:
            run = ShadowRun(
                rule=call.shadowing.rule,
                backend=call.shadowing.backend,
                answer=_side(await self._answer(call)),
                error=failure.document(),
                ended=now(),
            )
            await self._database.write(shadows.keep, call, run)
            planned = ShadowJob()
        self._checkpoints.failpoint("plan_shadow:kept")
        return planned

    async def _refuse_to_pay(self, request: Request, call: ShadowCall) -> None:
        """See that the shadow costs nothing its rule does not allow, and sends nothing away that the job does not.

        Raises:
            ShadowRefused: It would.
            HybridError: The place does not say what it is.
        """
        target = await self._registry.snapshot(call.shadowing.backend)
        if target.paid and not call.shadowing.paid:
            raise ShadowRefused(
                f"{target.name!r} costs money, and rule {call.shadowing.rule!r} does not say that its shadows may: set it again with "
                "--paid"
            )
        if (target.paid or not target.simulator) and not request.fallback.leave_house:
            raise ShadowRefused(
                f"{target.name!r} is not on this house's machines, and fallback.leave_house lets the job's data go nowhere else"
            )

    @activity.defn(name=Activity.COMPARE_SHADOW)
    @speaks_temporal
    async def compare_shadow(self, call: ShadowCall, ended: bool) -> ShadowRun:
        """Write down how the shadow differs from the answer, or why it has none; what is written down stands.

        Args:
            call: The shadow.
            ended: Whether its job is known to have ended.

        Raises:
            StillWaiting: Its job runs.
            StageForgotten: The store does not know the job that was answered any more.
        """
        self._checkpoints.failpoint("compare_shadow:begun")
        kept = await self._database.read(shadows.find, call)
        if kept is not None:
            return kept
        answer = await self._answer(call)
        shadow = await self._database.read(jobs.find_report, call.shadow_id)
        if shadow is None and not ended:
            raise StillWaiting(f"job {call.shadow_id!r} runs", again_in=_AGAIN_IN)
        run = await self._compared(call, answer, shadow)
        await self._database.write(shadows.keep, call, run)
        self._checkpoints.failpoint("compare_shadow:kept")
        return run

    async def _answer(self, call: ShadowCall) -> JobReport:
        report = await self._database.read(jobs.find_report, call.job_id)
        if report is None:
            raise StageForgotten(
                f"the store has no answer of job {call.job_id!r}: it was restored from a backup"
            )
        return report

    async def _compared(self, call: ShadowCall, answer: JobReport, shadow: JobReport | None) -> ShadowRun:
        run = ShadowRun(
            rule=call.shadowing.rule,
            backend=call.shadowing.backend,
            answer=_side(answer),
            shadow=ShadowSide(job_id=call.shadow_id) if shadow is None else _side(shadow),
            ended=now(),
        )
        if shadow is None:
            unknown = JobNotFound(f"job {call.shadow_id!r} ended without a report")
            return run.model_copy(update={"error": unknown.document()})
        if shadow.error is not None:
            return run.model_copy(update={"error": shadow.error})
        return run.model_copy(
            update={"objectives": _objectives(answer, shadow), **await self._differences(answer, shadow)}
        )

    async def _differences(self, answer: JobReport, shadow: JobReport) -> dict[str, object]:
        """Fields of the run: what each pub differs by, or why nothing was compared."""
        size = answer.results_in_store + shadow.results_in_store
        if size > _MOST_BYTES:
            return {
                "missing": f"the results have {size / MIB:,.0f} MiB, and up to {_MOST_BYTES // MIB} are compared"
            }
        here = await results_of(self._database, self._shelf, answer.id)
        there = await results_of(self._database, self._shelf, shadow.id)
        if not here or len(here) != len(there):
            return {"missing": "one of the two answered without running the circuits"}
        payload = {"answer": _documents(here), "shadow": _documents(there), "seed": _seed(shadow.id)}
        try:
            found = await self._pool.call(
                "circuits.shadow_comparison:compare", payload, _LIMITS, what="comparing with the shadow"
            )
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            return {"missing": failure.message}
        pubs = tuple(PubDifference.read(document) for document in found["pubs"])
        missing = "" if pubs else "there is nothing to compare"
        return {**found, "pubs": pubs, "missing": missing}


def shadow_of(request: Request, call: ShadowCall) -> Request:
    """The same question to one other place, as a job of its own.

    Its seed is its own, so that the two runs are independent; the caller's own stages, which may do anything, do not
    run again. What the caller asks of an answer holds for it too.

    Raises:
        ShadowRefused: What it may cost cannot be said.
    """
    fallback = Fallback(policy="none", leave_house=request.fallback.leave_house, floor=request.fallback.floor)
    return request.model_copy(
        update={
            "key": call.key,
            "backend": call.shadowing.backend,
            "fallback": fallback,
            "budget": tighter(request.budget, call.shadowing.budget),
            "seed": None,
            "seeds": (),
            "hooks": Hooks(),
            "priority": LAST,
        }
    )


def tighter(own: JobBudget, cap: JobBudget) -> JobBudget:
    """What holds where two budgets do.

    Raises:
        ShadowRefused: They are in different currencies.
    """
    if own.price is not None and cap.price is not None and own.currency != cap.currency:
        raise ShadowRefused(
            f"the job's budget is in {own.currency or 'the currency of its account'}, the rule's in "
            f"{cap.currency or 'that of the account'}: give the rule one in the currency of its jobs"
        )
    return JobBudget(
        qpu_seconds=_least(own.qpu_seconds, cap.qpu_seconds),
        price=_least(own.price, cap.price),
        currency=own.currency or cap.currency,
    )


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _side(report: JobReport) -> ShadowSide:
    return ShadowSide(
        job_id=report.id,
        served_by=report.served_by,
        seconds=report.durations.total,
        qpu_seconds=report.qpu_seconds,
        price=report.price,
        currency=report.currency,
    )


def _objectives(answer: JobReport, shadow: JobReport) -> tuple[float, float] | None:
    if answer.answer is None or shadow.answer is None:
        return None
    here, there = answer.answer.objective, shadow.answer.objective
    return None if here is None or there is None else (here, there)


def _documents(results: Results) -> list[str]:
    return [result.model_dump_json() for result in results if result is not None]


def _seed(shadow_id: str) -> int:
    """Of dealings: the same for the same shadow, so that an activity that runs again finds the same."""
    return int(digest(f"shadow\0{shadow_id}")[:8], 16)
