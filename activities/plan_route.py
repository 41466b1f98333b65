"""Plan the route: which backend runs the job, decided once and recorded."""

from collections.abc import Sequence

from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import ValidatedDocument
from backends.registry import Registry
from circuits.runnable import pubs_of
from fallback.planner import plan
from qurable.contracts.jobs import AUTO, Requirements, read_request
from qurable.contracts.pubs import EstimatePub, shots_for
from qurable.contracts.routes import Route
from qurable.contracts.stages import StageCall
from qurable.contracts.targets import TargetSnapshot
from qurable.names import Activity
from store.database import now
from store.shelf import StoreShelf


class PlanRoute:
    """Plans.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends.
        capacity_bytes: Memory that this machine can ever grant.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, registry: Registry, capacity_bytes: int
    ) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._registry = registry
        self._capacity_bytes = capacity_bytes

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
        """The stage itself, for its own activity and for the merged one."""
        began = now()
        request = read_request(await self._shelf.artifact(validated.request))
        _, pubs = pubs_of(request)
        exact = any(isinstance(pub, EstimatePub) and not shots_for(pub) for pub in pubs)
        candidates = await self._candidates(request.backend)
        route = plan(
            request.backend,
            validated.circuits,
            candidates,
            request.simulator,
            self._capacity_bytes,
            exact=exact,
        )
        route = await self._described_in_full(route)
        return Outcome(route, [timed(steps.PLAN_ROUTE, Activity.PLAN_ROUTE, began, route)])

    async def _described_in_full(self, route: Route) -> Route:
        """The route with the whole snapshot of each rung: a list of many leaves their targets out."""
        rungs = [
            rung.model_copy(update={"target": await self._registry.snapshot(rung.name)})
            for rung in route.rungs
        ]
        return route.model_copy(update={"rungs": tuple(rungs)})

    async def _candidates(self, asked: str | Requirements) -> Sequence[TargetSnapshot]:
        if isinstance(asked, Requirements):
            return sorted(filter(_is_available, await self._registry.describe()), key=_narrowest_first)
        names = self._registry.simulators() if asked == AUTO else (asked,)
        return [await self._registry.snapshot(name) for name in names]


def _is_available(snapshot: TargetSnapshot) -> bool:
    return snapshot.available


def _narrowest_first(snapshot: TargetSnapshot) -> tuple[bool, int, str]:
    """The smallest that fits; one without a width of its own before all others."""
    return snapshot.num_qubits is not None, snapshot.num_qubits or 0, snapshot.name
