"""What Temporal's failures mean to a client, as errors of this project."""

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.errors import ErrorDocument
from qurable.errors import HybridError, JobCancelled, JobFailed, JobNotFound, KeyReused, ServiceUnreachable


def document_of(failure: WorkflowFailureError) -> ErrorDocument | None:
    """The error at the root of a workflow's failure, where it is one of ours."""
    cause: BaseException | None = failure.cause
    while cause is not None:
        if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
            return ErrorDocument.model_validate(cause.details[0])
        cause = cause.__cause__
    return None


def ended(job_id: str, failure: WorkflowFailureError) -> HybridError:
    """What the end of a job without an answer means to whoever waits for it."""
    if isinstance(failure.cause, CancelledError):
        return JobCancelled(f"job {job_id!r} was cancelled before it had an answer", job_id=job_id)
    error = document_of(failure) or ErrorDocument(code="JobFailed", message=f"{failure.cause or failure}")
    return from_error(job_id, error)


def from_error(job_id: str, error: ErrorDocument) -> HybridError:
    """What a job's error means to whoever waits for its report."""
    if error.code == JobCancelled.__name__:
        return JobCancelled(error.message, job_id=job_id)
    if error.code == KeyReused.__name__:
        return KeyReused(error.message, job_id=job_id)
    return JobFailed(f"job {job_id!r} failed: {error.message}", error, job_id=job_id)


def unreachable(failure: RPCError) -> HybridError:
    """What a call means that Temporal did not answer well."""
    if failure.status is RPCStatusCode.NOT_FOUND:
        return JobNotFound(f"Temporal knows no such job: {failure.message}")
    return ServiceUnreachable(
        f"Temporal does not answer ({failure.status.name}: {failure.message}): jobs that it has go on when it is back; start it, "
        "for instance with `make up`, or set TEMPORAL_ADDRESS"
    )


def lacks_attributes(failure: RPCError) -> bool:
    """Whether a server refused a call for search attributes that nobody has registered there."""
    return failure.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" in failure.message.lower()
