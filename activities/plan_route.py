"""Plan the route: which backend runs the job, decided once and recorded."""

from collections.abc import Sequence
from typing import Literal

from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import ValidatedDocument
from activities.earlier_answers import EarlierAnswers
from activities.entanglement import Probing
from activities.health import HealthWatch
from activities.offers import Offers
from activities.questions import logical_digest
from activities.terms import with_terms
from backends.registry import Registry
from circuits.runnable import pubs_of
from circuits.twin_rides import rides_of
from fallback.changes import least_share
from fallback.ladder import ladder_of
from fallback.planner import Plan, plan
from fallback.rollout import Subject, applied
from fallback.solvers.circuits import questions_of
from fallback.table import StrategyTable
from fallback.wish import Surroundings, Wish
from qurable.backend import ChecksOptions
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import AUTO, EstimateJob, read_request
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.routes import Route
from qurable.contracts.stages import StageCall
from qurable.names import CLASSICAL, Activity
from store import planning
from store.database import now
from store.shelf import StoreShelf


class PlanRoute:
    """Plans.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends.
        table: Which places answer, in which order.
        capacity_bytes: Memory that this machine can ever grant.
        watch: Knows how places have done of late.
        probing: Looks into circuits whose entanglement nobody knows.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        shelf: StoreShelf,
        registry: Registry,
        table: StrategyTable,
        capacity_bytes: int,
        watch: HealthWatch,
        probing: Probing,
    ) -> None:
        self._probing = probing
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._registry = registry
        self._table = table
        self._capacity_bytes = capacity_bytes
        self._watch = watch
        earlier = EarlierAnswers(checkpoints.database, shelf, registry)
        self._offers = Offers(registry, shelf, capacity_bytes, watch, earlier)

    @activity.defn(name=Activity.PLAN_ROUTE)
    @speaks_temporal
    async def plan_route(self, call: StageCall) -> Route:
        """The rungs to try, and what was thought of every candidate.

        Raises:
            HybridError: Nothing fits.
        """

        async def work(documents: Documents) -> Outcome[Route]:
            return await self.work(documents.need(steps.VALIDATE, ValidatedDocument))

        return await self._checkpoints.once(
            call, lambda documents: documents.find(steps.PLAN_ROUTE, Route), work
        )

    async def work(self, validated: ValidatedDocument) -> Outcome[Route]:
        """The stage itself, for its own activity and for the merged one.

        Raises:
            HybridError: Nothing fits.
        """
        began = now()
        planned = await self.plan(validated)
        if planned.refusal is not None:
            raise planned.refusal
        route = planned.route
        return Outcome(route, [timed(steps.PLAN_ROUTE, Activity.PLAN_ROUTE, began, route)])

    async def plan(self, validated: ValidatedDocument) -> Plan:
        """The route, and why it has no rungs where it has none; nothing is kept.

        Raises:
            HybridError: There is no such place, or the job's options do not go together.
        """
        request = read_request(await self._shelf.artifact(validated.request))
        kind, pubs = pubs_of(request)
        problem = None if isinstance(request, EstimateJob) else request.problem
        asked = CLASSICAL if request.backend == AUTO and not pubs else request.backend
        widest = max((circuit.traits.num_qubits for circuit in validated.circuits), default=1)
        rides = rides_of(request.checks.twin, pubs, validated.circuits, validated.circuit_of)
        factors = (1.0,) if request.mitigation.zne is None else request.mitigation.zne.factors
        health = await self._watch.look()
        offered = await self._offers.asked(
            asked,
            request.project,
            widest,
            problem,
            ladder=request.fallback.policy == "table",
            deadline=request.limits.total,
        )
        wish = Wish(
            asked=asked,
            asks_for=self._offers.asks_for(asked, offered),
            kind=request.kind,
            circuits=validated.circuits,
            questions=questions_of(
                kind,
                pubs,
                validated.circuits,
                validated.circuit_of,
                request.simulator,
                rides,
                factors,
                request.mitigation.calibration_shots if request.mitigation.readout == "measured" else 0,
            ),
            options=request.simulator,
            exact=any(isinstance(pub, EstimatePub) and not shots_for(pub) for pub in pubs),
            problem=problem,
            fallback=request.fallback,
            limits=request.limits,
            budget=request.budget,
            fractional_gates=request.ibm.use_fractional_gates,
            any_device=asked == self._registry.any_device,
            question=logical_digest(kind, pubs, validated, request.checks.twin, request.mitigation.zne)
            if pubs
            else "",
            ibm=request.ibm,
            least_share=least_share(request),
        )
        known = await self._checkpoints.database.read(
            planning.look,
            request.job_id,
            request.user,
            request.project,
            {circuit.canonical for circuit in validated.circuits} if self._table.approval else (),
        )
        subject = Subject(
            job_id=request.job_id,
            project=request.project,
            user=request.user,
            kind=request.kind,
            asks_for=wish.asks_for,
            asked=str(asked),
            qubits=wish.widest,
            labels=request.labels,
            data_class=request.data_class,
            shadow=known.is_shadow or known.is_group,
        )
        ruled = applied(known.rules, subject)
        ladder = ladder_of(wish, self._table, ruled)
        offers = await self._offers.below(ladder, self._table, wish, request.project, offered)
        errors = await self._offers.errors(offers)
        probes = await self._probing.probes(wish, offers)
        around = Surroundings(offers, self._capacity_bytes, health, errors, ruled, probes, known.room)
        planned = plan(wish, self._table, around)
        route = await self._described_in_full(planned.route)
        route = _with_gates_asked_for(route, request.ibm)
        shots = len(factors) * sum(pub.bindings.size * shots_for(pub) for pub in pubs)
        shots += sum(ride.shots for ride in rides)
        # What runs for several jobs needs nobody's word beyond those that each of them had to have.
        rules, document = () if known.is_group else self._table.approval, validated.request
        route = with_terms(route, rules, request, shots, document, is_new=known.is_new)
        await self._check_options(route, request.ibm, validated.circuits, kind, pubs)
        if route.rungs:
            route = route.model_copy(update={"shadow": ruled.shadowing(route.rungs[0].name)})
        return Plan(route, planned.refusal)

    async def _check_options(
        self,
        route: Route,
        options: IbmOptions,
        circuits: Sequence[ParsedCircuit],
        kind: Literal["sample", "estimate"],
        pubs: Sequence[SamplePub | EstimatePub],
    ) -> None:
        """Refuse options that do not go together on one of the rungs."""
        control_flow = any(circuit.traits.has_control_flow for circuit in circuits)
        for rung in route.rungs:
            backend = self._registry.get(rung.name) if rung.target.paid else None
            if isinstance(backend, ChecksOptions):
                shots = [shots_for(pub) for pub in pubs]
                await backend.check(options, kind, shots, control_flow=control_flow)

    async def _described_in_full(self, route: Route) -> Route:
        """The route with the whole snapshot of each rung: a list of many leaves their targets out."""
        rungs = [
            rung.model_copy(update={"target": await self._registry.snapshot(rung.name)})
            if rung.target.num_qubits is not None and rung.target.target is None
            else rung
            for rung in route.rungs
        ]
        return route.model_copy(update={"rungs": tuple(rungs)})


def _with_gates_asked_for(route: Route, options: IbmOptions) -> Route:
    """The route with the targets that have fractional gates, where those are asked for."""
    if not options.use_fractional_gates:
        return route
    rungs = []
    for rung in route.rungs:
        target = rung.target
        if target.fractional_target is not None:
            target = target.model_copy(update={"target": target.fractional_target, "dynamic_circuits": False})
        rungs.append(rung.model_copy(update={"target": target}))
    return route.model_copy(update={"rungs": tuple(rungs)})
