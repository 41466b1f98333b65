"""A short workflow, run by a schedule, that looks after what paid places have of this house."""

from datetime import timedelta

from temporalio import workflow

from qurable.contracts.stages import ReconcileCall, Reconciled
from qurable.errors import HybridError
from qurable.names import RECONCILE, Activity, Queue
from workflows.calling import PATIENT

_PASS = timedelta(hours=1)
"""Then it is given up, and a later one made: the schedule starts none beside it."""


@workflow.defn(name=RECONCILE, failure_exception_types=[HybridError])
class Reconciler:
    """Make one pass, and show what it found."""

    @workflow.run
    async def run(self, call: ReconcileCall) -> Reconciled:
        """What was found and done."""
        workflow.set_current_details("a pass is under way")
        report: Reconciled = await workflow.execute_activity(
            Activity.RECONCILE,
            result_type=Reconciled,
            task_queue=Queue.HARDWARE,
            activity_id="reconcile",
            summary="look after what nobody looks after",
            schedule_to_close_timeout=_PASS,
            heartbeat_timeout=call.heartbeat,
            retry_policy=PATIENT,
        )
        workflow.set_current_details(_shown(report))
        return report


def _shown(report: Reconciled) -> str:
    """The report as the web UI's current details."""
    counts = report.model_dump(exclude={"incidents"})
    lines = [f"looked at {report.looked} submissions", "", "| what | number |", "| :--- | ---: |"]
    lines += [f"| {name} | {number} |" for name, number in counts.items() if number]
    if report.incidents:
        lines += ["", "| incident | job at the provider | ended | billed |", "| :--- | :--- | :--- | ---: |"]
    for incident in report.incidents:
        billed = "not known yet" if incident.billed_seconds is None else f"{incident.billed_seconds:g} s"
        lines.append(
            f"| {incident.kind} | `{incident.id}` at `{incident.backend}` | {incident.final} | {billed} |"
        )
    return "\n".join(lines)
