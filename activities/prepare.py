"""Validate, plan the route and transpile in one activity, for circuits where the round trips would cost more."""

from temporalio import activity

from activities import steps, validate
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome
from activities.documents import CompiledDocument, ValidatedDocument
from activities.plan_route import PlanRoute
from activities.transpile import Transpile
from activities.validate import Validate
from qurable.contracts.changes import may_be_changed
from qurable.contracts.routes import Route
from qurable.contracts.stages import PrepareCall, Validated
from qurable.errors import HybridError
from qurable.names import Activity

MERGED_OPERATIONS = 2_000
"""Circuits of a job that together have more operations go through the stages one by one."""


class Prepare:
    """Args: the three stages that it merges, and where rows go."""

    def __init__(
        self, checkpoints: Checkpoints, validating: Validate, planning: PlanRoute, transpiling: Transpile
    ) -> None:
        self._checkpoints = checkpoints
        self._validate = validating
        self._plan_route = planning
        self._transpile = transpiling

    @activity.defn(name=Activity.PREPARE)
    @speaks_temporal
    async def prepare(self, call: PrepareCall) -> Validated:
        """Validate; where the circuits are small, go on to plan and transpile. All of it is one checkpoint."""

        def kept(documents: Documents) -> Validated | None:
            document = documents.find(steps.VALIDATE, ValidatedDocument)
            if document is None:
                return None
            compiled = documents.find(steps.transpile(0), CompiledDocument)
            return _answer(document, documents.find(steps.PLAN_ROUTE, Route), compiled=compiled is not None)

        return await self._checkpoints.once(call.call, kept, lambda _: self._work(call))

    async def _work(self, call: PrepareCall) -> Outcome[Validated]:
        checked = await self._validate.work(call)
        merged: Outcome[Validated] = Outcome(
            _answer(checked.answer, None, compiled=False), checked.rows, checked.events, checked.writes
        )
        if sum(circuit.traits.size for circuit in checked.answer.circuits) > MERGED_OPERATIONS:
            return merged
        planned = await self._plan_route.work(checked.answer)
        route = planned.answer
        merged.answer = _answer(checked.answer, route, compiled=False)
        merged.rows += planned.rows
        if route.rungs[0].approval is not None:
            return merged  # it may be sent only once somebody has decided
        try:
            compiled = await self._transpile.work(call.call, checked.answer, route)
        except HybridError as failure:
            goes_on = failure.next_rung and len(route.rungs) > 1
            if not (goes_on or may_be_changed(Activity.TRANSPILE, failure.code)):
                raise
            return merged  # the plan stands: the stage by itself fails again, and something else is tried
        merged.answer = _answer(checked.answer, route, compiled=True)
        merged.rows += compiled.rows
        merged.events += compiled.events
        merged.writes += compiled.writes
        return merged


def _answer(document: ValidatedDocument, route: Route | None, *, compiled: bool) -> Validated:
    return validate.brief(document).model_copy(update={"route": route, "compiled": compiled})
