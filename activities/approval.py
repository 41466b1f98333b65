"""Approval: questions that jobs wait on, and what was decided, are in the store before anything is sent."""

from sqlalchemy import Connection
from temporalio import activity

from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints
from qurable.contracts.approvals import Approval
from qurable.contracts.budgets import JobBudget
from qurable.contracts.reports import JobEvent, State
from qurable.contracts.routes import Route
from qurable.contracts.stages import ApprovalCall
from qurable.errors import StageForgotten
from qurable.names import Activity
from store import approvals, jobs


class Approve:
    """Writes questions and decisions down.

    Args:
        checkpoints: Where rows go.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    @activity.defn(name=Activity.APPROVAL)
    @speaks_temporal
    async def approval(self, call: ApprovalCall) -> Approval:
        """What stands: the first question about a rung of a plan, and the first decision.

        Raises:
            StageForgotten: The store does not know the job any more.
        """
        question, database = call.question, self._checkpoints.database
        kept = await database.read(approvals.find, question.job_id, question.rung, question.route)
        if kept is not None and (call.decision is None or kept.decision is not None):
            return kept
        with self._checkpoints.journaled(call.call):
            self._checkpoints.failpoint(f"{call.call.step}:begun")
            standing = await database.write(_keep, call)
        self._checkpoints.failpoint(f"{call.call.step}:kept")
        if call.decision is not None:
            activity.logger.info("approval: %s", standing.model_dump_json(exclude_none=True))
        return standing


def approved_limits(connection: Connection, job_id: str, number: int, route: Route) -> JobBudget:
    """The most that was approved for a rung of a plan; nothing is limited where nobody had to be asked.

    Raises:
        StageForgotten: The workflow was told so, and the store does not know of it.
    """
    rung = route.rungs[number]
    if rung.approval is None:
        return JobBudget()
    standing = approvals.find(connection, job_id, number, route.sha256)
    decision = None if standing is None else standing.decision
    if decision is None or not decision.approve:
        raise StageForgotten(
            f"the store has no approval of job {job_id!r} for {rung.name!r}: it was restored from a backup"
        )
    per_second = rung.approval.price_per_second
    if decision.cap is None or per_second is None:
        return JobBudget(qpu_seconds=decision.cap)
    # Where the table alone knows a price, what is reserved has none: the seconds that it buys bind all the same.
    priced = rung.target.price_per_second is not None
    return JobBudget(qpu_seconds=decision.cap / per_second, price=decision.cap if priced else None)


def _keep(connection: Connection, call: ApprovalCall) -> Approval:
    question = call.question
    if jobs.find(connection, question.job_id) is None:
        raise StageForgotten(f"the store has no job {question.job_id!r}: it was restored from a backup")
    entered = JobEvent(
        state=State.AWAITING_APPROVAL,
        at=question.asked,
        backend=question.backend,
        detail=question.terms.because,
    )
    jobs.add_events(connection, question.job_id, [entered], rung=question.rung)
    return approvals.ask(connection, question, call.decision)
