"""Comparisons and hedged runs: make the jobs of one, judge an answer, put it together when all have ended."""

from datetime import datetime

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from activities.boundary import speaks_temporal
from activities.checkpoint import Failpoint
from activities.leg_reports import ballot_of, judged, leg_report, with_weights
from activities.leg_requests import leg_job, paid_places
from activities.reporting import results_of
from backends.registry import Registry
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.comparisons import (
    BeginComparison,
    Comparison,
    ComparisonPlan,
    ComparisonReport,
    ComparisonState,
    Decided,
    EndComparison,
    Judged,
    Leg,
    LegEnd,
    LegReport,
    PairComparison,
    PlannedComparison,
)
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead
from qurable.contracts.problems import Sense
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.errors import (
    ChildCrashed,
    InternalError,
    JobCancelled,
    JobNotFound,
    OutOfMemory,
    OutOfTime,
    RouteExhausted,
)
from qurable.names import Activity
from store import comparisons, jobs
from store.artifacts import ArtifactKind
from store.database import Database, now
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=240.0)
_MOST_BYTES = 64 * MIB
"""Results of all places together that are compared; they are read into this process first."""

Results = dict[str, tuple[SampleResult | EstimateResult, ...]]
"""Of each place that has any, by its name."""


class Comparisons:
    """Begins and ends them.

    Args:
        database: The store.
        shelf: Where artifacts are.
        registry: The backends.
        pool: Children that compare and decide.
        failpoint: Where a test may end the process.
        search_attributes: Whether the server knows this project's.
    """

    def __init__(
        self,
        database: Database,
        shelf: StoreShelf,
        registry: Registry,
        pool: ChildPool,
        failpoint: Failpoint,
        *,
        search_attributes: bool,
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._registry = registry
        self._pool = pool
        self._failpoint = failpoint
        self._search_attributes = search_attributes

    @activity.defn(name=Activity.BEGIN_COMPARISON)
    @speaks_temporal
    async def begin_comparison(self, call: BeginComparison, body: RawValue) -> ComparisonPlan:
        """The jobs of a comparison; those that it was given first stand.

        Raises:
            RequestRejected: The decision does not fit, or a place is unknown.
            KeyReused: The key belongs to another comparison.
        """
        self._failpoint("begin_comparison:begun")
        head = call.head
        if await self._database.read(comparisons.find, head.id) is None:
            planned = await self._planned(Comparison.read(body.payload.data))
            request = await self._shelf.keep_artifact(
                ArtifactKind.REQUEST, planned.model_dump_json().encode()
            )
        else:
            request = ""  # the row has its own
        await self._database.write(comparisons.begin, head, request, call.owner)
        self._failpoint("begin_comparison:kept")
        standing, _ = await self._standing(head.id)
        return ComparisonPlan(
            legs=standing.legs,
            report=await self._database.read(comparisons.find_report, head.id),
            search_attributes=self._search_attributes,
        )

    async def _planned(self, comparison: Comparison) -> PlannedComparison:
        kinds = {comparison.job.kind} - {"solve"} | ({"problem"} if comparison.asks_problem else set())
        await self._pool.call(
            "circuits.decisions:check",
            {"rule": comparison.rule, "kinds": sorted(kinds)},
            _LIMITS,
            what="looking up the decision",
        )
        paid = await paid_places(self._registry, comparison)
        legs = []
        for place in comparison.places:
            job = leg_job(comparison, place, paid)
            request = await self._shelf.keep_artifact(ArtifactKind.REQUEST, job.model_dump_json().encode())
            legs.append(Leg(place=place, head=JobHead.of(job), request=request))
        return PlannedComparison(comparison=comparison, legs=tuple(legs))

    async def _standing(self, identity: str) -> tuple[PlannedComparison, datetime]:
        """A comparison as the store has it, and when it was taken in.

        Raises:
            JobNotFound: The store has none of that id.
        """
        found = await self._database.read(comparisons.find, identity)
        if found is None:
            raise JobNotFound(f"the store has no comparison {identity!r}")
        request, began = found
        return PlannedComparison.read(await self._shelf.artifact(request)), began

    @activity.defn(name=Activity.LEG_REQUEST)
    @speaks_temporal
    async def leg_request(self, request: str) -> RawValue:
        """The request of a leg, as its job's workflow is given it."""
        self._failpoint("leg_request:begun")
        body = await self._shelf.artifact(request)
        return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=body))

    @activity.defn(name=Activity.JUDGE_LEG)
    @speaks_temporal
    async def judge_leg(self, leg: Leg) -> Judged:
        """Whether the answer of a leg that has ended is good enough to be taken."""
        self._failpoint("judge_leg:begun")
        return judged(leg.place, await self._database.read(jobs.find_report, leg.head.id))

    @activity.defn(name=Activity.END_COMPARISON)
    @speaks_temporal
    async def end_comparison(self, call: EndComparison) -> ComparisonReport:
        """Put a comparison together and keep its report; the first one stands and is given back.

        Raises:
            JobNotFound: There is no such comparison: it was refused, or cancelled before it was taken in.
        """
        self._failpoint("end_comparison:begun")
        known = await self._database.read(comparisons.find_report, call.id)
        if known is not None:
            return known
        planned, began = await self._standing(call.id)
        report = await self._put_together(call, planned.comparison, began)
        self._failpoint("end_comparison:decided")
        report = await self._database.write(comparisons.end, report)
        self._failpoint("end_comparison:kept")
        return report

    async def _put_together(
        self, call: EndComparison, comparison: Comparison, began: datetime
    ) -> ComparisonReport:
        kept = {leg.place: await self._database.read(jobs.find_report, leg.head.id) for leg in call.legs}
        ends = {end.place: end for end in call.ends}
        legs = [
            leg_report(leg, ends.get(leg.place) or LegEnd(place=leg.place, started=False), kept[leg.place])
            for leg in call.legs
        ]
        answered = {
            leg.place: report for leg in legs if leg.answered and (report := kept[leg.place]) is not None
        }
        results, missing = await self._results(answered)
        pairs = [] if comparison.hedged else await self._pairs(call.id, results, tuple(answered), missing)
        self._failpoint("end_comparison:compared")
        error = _why_failed(call, legs)
        ballots = [
            ballot_of(leg, answered[leg.place], results.get(leg.place, ())) for leg in legs if leg.answered
        ]
        order = {end.place: number for number, end in enumerate(call.ends)}
        ballots.sort(key=lambda ballot: order[ballot.leg.place])
        decided, undecided = None, ""
        if error is None:
            decided, undecided = await self._decided(
                comparison.rule, [ballot.model_dump_json() for ballot in ballots]
            )
        return ComparisonReport(
            id=call.id,
            project=comparison.job.project,
            kind=comparison.job.kind,
            hedged=comparison.hedged,
            state=_state(call, error),
            rule=comparison.rule,
            legs=with_weights(legs, decided, _sense(answered)),
            pairs=tuple(pairs),
            decided=decided,
            undecided=undecided,
            qpu_seconds=sum(leg.qpu_seconds for leg in legs),
            prices=_prices(legs),
            began=began,
            ended=now(),
            error=error,
        )

    async def _results(self, answered: dict[str, JobReport]) -> tuple[Results, str]:
        """Results by place; why there are none where they are too large."""
        size = sum(report.results_in_store for report in answered.values())
        if size > _MOST_BYTES:
            most = _MOST_BYTES // MIB
            return {}, f"the results have {size / MIB:,.0f} MiB together, and up to {most} are compared"
        found: Results = {}
        for place, report in answered.items():
            results = await results_of(self._database, self._shelf, report.id)
            if results and all(result is not None for result in results):
                found[place] = tuple(result for result in results if result is not None)
        return found, ""

    async def _pairs(
        self, identity: str, results: Results, answered: tuple[str, ...], missing: str
    ) -> list[PairComparison]:
        """How each two places with an answer differ."""
        pairs = [(here, there) for number, here in enumerate(answered) for there in answered[number + 1 :]]
        if missing:
            return [PairComparison(places=pair, missing=missing) for pair in pairs]
        payload = {
            "answers": [
                [place, [result.model_dump_json() for result in results.get(place, ())]] for place in answered
            ],
            "seed": int(digest(f"comparison\0{identity}")[:8], 16),
        }
        try:
            found = await self._pool.call(
                "circuits.comparison:compare", payload, _LIMITS, what="comparing the places"
            )
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            return [PairComparison(places=pair, missing=failure.message) for pair in pairs]
        return [PairComparison.read(document) for document in found]

    async def _decided(self, rule: str, ballots: list[str]) -> tuple[Decided | None, str]:
        """The one answer, or why there is none."""
        try:
            found = await self._pool.call(
                "circuits.decisions:decide",
                {"rule": rule, "ballots": ballots},
                _LIMITS,
                what=f"deciding by {rule}",
            )
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            return None, failure.message
        if "undecided" in found:
            return None, str(found["undecided"])
        return Decided.read(found["decided"]), ""


def _why_failed(call: EndComparison, legs: list[LegReport]) -> ErrorDocument | None:
    """Why there is no answer at all; None where one place has one."""
    if call.cancelled:
        return JobCancelled(
            f"comparison {call.id!r} was cancelled; what its places had by then is listed"
        ).document()
    if any(leg.answered for leg in legs):
        return None
    tried = [(leg.place, leg.error) for leg in legs if leg.error is not None]
    return RouteExhausted(
        f"none of {len(legs)} places has answered: "
        + "; ".join(f"{place}: {error.message}" for place, error in tried),
        tried=[{"backend": place, "error": error.model_dump(mode="json")} for place, error in tried],
    ).document()


def _state(call: EndComparison, error: ErrorDocument | None) -> ComparisonState:
    if call.cancelled:
        return ComparisonState.CANCELLED
    return ComparisonState.COMPLETED if error is None else ComparisonState.FAILED


def _sense(answered: dict[str, JobReport]) -> Sense | None:
    """Of the problem, as the answers say it."""
    return next((report.answer.sense for report in answered.values() if report.answer is not None), None)


def _prices(legs: list[LegReport]) -> dict[str, float]:
    prices: dict[str, float] = {}
    for leg in legs:
        if leg.price is not None:
            prices[leg.currency] = prices.get(leg.currency, 0.0) + leg.price
    return prices
