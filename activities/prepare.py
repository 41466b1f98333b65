"""Validate, plan the route and transpile in one activity, for circuits where the round trips would cost more."""

from sqlalchemy import Connection
from temporalio import activity

from activities import transpile, validate
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Outcome, load
from activities.documents import CompiledDocument, ValidatedDocument
from activities.plan_route import STEP as PLAN_STEP
from activities.plan_route import PlanRoute
from activities.transpile import Transpile
from activities.validate import Validate
from qurable.contracts.routes import Route
from qurable.contracts.stages import StageCall, Validated
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
    async def prepare(self, call: StageCall) -> Validated:
        """Validate; where the circuits are small, go on to plan and transpile. All of it is one checkpoint."""

        def kept(connection: Connection) -> Validated | None:
            document = load(connection, call.head.id, validate.STEP, ValidatedDocument)
            if document is None:
                return None
            route = load(connection, call.head.id, PLAN_STEP, Route)
            compiled = load(connection, call.head.id, transpile.step_of(0), CompiledDocument)
            return _answer(document, route, compiled=compiled is not None)

        return await self._checkpoints.once(call, kept, lambda: self._work(call))

    async def _work(self, call: StageCall) -> Outcome[Validated]:
        checked = await self._validate.work(call, None)
        merged: Outcome[Validated] = Outcome(
            _answer(checked.answer, None, compiled=False), checked.rows, checked.events, checked.writes
        )
        if sum(circuit.traits.size for circuit in checked.answer.circuits) > MERGED_OPERATIONS:
            return merged
        planned = await self._plan_route.work(checked.answer)
        rung = planned.answer.rungs[0]
        compiled = await self._transpile.work(call.model_copy(update={"on": rung}), checked.answer, rung)
        merged.answer = _answer(checked.answer, planned.answer, compiled=True)
        merged.rows += [*planned.rows, *compiled.rows]
        merged.events += compiled.events
        merged.writes += compiled.writes
        return merged


def _answer(document: ValidatedDocument, route: Route | None, *, compiled: bool) -> Validated:
    return validate.brief(document).model_copy(update={"route": route, "compiled": compiled})
