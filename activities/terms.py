"""What the rungs of a route need somebody's word for, and the hash of what is decided."""

from collections.abc import Sequence

from pydantic_core import to_json

from fallback.approval import ApprovalRule, Spending, terms_of
from qurable.contracts.base import digest
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.routes import Route, Rung


def with_terms(
    route: Route,
    rules: Sequence[ApprovalRule],
    request: SampleJob | EstimateJob | SolveJob,
    shots: int,
    document: str,
    *,
    is_new: bool,
) -> Route:
    """A route whose rungs say what they need somebody's word for.

    Args:
        route: As planned.
        rules: Of the strategy table.
        request: Of the job.
        shots: That it takes in all, those of twins that ride along included.
        document: Artifact hash of the request that runs.
        is_new: Whether a circuit of it was never sent to a place that costs money by the project.
    """
    rungs = tuple(_with_terms(rung, rules, request, shots, is_new=is_new) for rung in route.rungs)
    return route.model_copy(update={"rungs": rungs, "sha256": _sha256(rungs, document)})


def _with_terms(
    rung: Rung,
    rules: Sequence[ApprovalRule],
    request: SampleJob | EstimateJob | SolveJob,
    shots: int,
    *,
    is_new: bool,
) -> Rung:
    if not rung.target.paid:
        return rung
    spending = Spending(
        backend=rung.name,
        project=request.project,
        user=request.user,
        data_class=request.data_class,
        shots=shots,
        estimate=rung.estimate,
        limit_seconds=request.ibm.max_execution_time,
        is_new=is_new,
    )
    return rung.model_copy(update={"approval": terms_of(rules, spending)})


def _sha256(rungs: Sequence[Rung], request: str) -> str:
    """Of what is decided: waits and queues change by the minute and are left out."""
    places = [
        (rung.name, rung.estimate.qpu_seconds, rung.estimate.price, rung.estimate.currency, rung.approval)
        for rung in rungs
    ]
    return digest(to_json([request, places]))
