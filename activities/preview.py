"""A job's route without the job: validated and planned, and nothing of it kept."""

from activities.plan_route import PlanRoute
from activities.validate import Validate
from qurable.contracts.base import digest
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.routes import Route
from qurable.contracts.stages import PrepareCall, StageCall


class Preview:
    """Args: the two stages whose work it does without their rows."""

    def __init__(self, validating: Validate, planning: PlanRoute) -> None:
        self._validate = validating
        self._plan_route = planning

    async def route(self, request: SampleJob | EstimateJob | SolveJob) -> Route:
        """The plan; without rungs where no place can answer.

        Raises:
            HybridError: The job itself is not acceptable, or there is no such place.
        """
        body = request.model_dump_json().encode()
        call = PrepareCall(call=StageCall(job_id=request.job_id, step="route"), request=digest(body))
        checked = await self._validate.work(call, body)
        return (await self._plan_route.plan(checked.answer)).route
