"""Why a stage failed, in this project's terms, and how a job ends by it."""

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    RetryState,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as TemporalTimeout

from qurable.contracts.errors import ErrorDocument
from qurable.errors import BY_CODE, HybridError, InternalError, OutOfTime, QueueLimitReached, StageForgotten
from qurable.names import Activity


def document_of(failure: ActivityError) -> ErrorDocument:
    """Why an activity failed."""
    cause = failure.cause
    if failure.retry_state is RetryState.TIMEOUT and failure.activity_type == Activity.SUBMIT:
        return QueueLimitReached(
            f"the place did not take the job within its queue limit; the last answer was: {_last_words(cause)}"
        ).document()
    if isinstance(cause, ApplicationError):
        if cause.details and isinstance(cause.details[0], dict) and cause.type in BY_CODE:
            return ErrorDocument.model_validate(cause.details[0])
        return InternalError(f"{failure.activity_type} failed: {cause.message}").document()
    if isinstance(cause, TemporalTimeout):
        if cause.type is TimeoutType.SCHEDULE_TO_START:
            return QueueLimitReached(
                f"no worker took up {failure.activity_type} within the job's queue limit: start one for its task queue, or "
                "allow more with limits.queue"
            ).document()
        return OutOfTime(
            f"{failure.activity_type} did not end within its timeout, over all attempts"
        ).document()
    return InternalError(f"{failure.activity_type} failed: {cause or failure}").document()


def _last_words(cause: BaseException | None) -> str:
    return cause.message if isinstance(cause, ApplicationError) else "nothing"


def is_forgotten(failure: BaseException) -> bool:
    """Whether the store has forgotten a stage: what was started is not withdrawn then, but found again."""
    return (
        isinstance(failure, ActivityError)
        and not is_cancelled_exception(failure)
        and document_of(failure).code == StageForgotten.__name__
    )


def may_go_on(error: ErrorDocument) -> bool:
    """Whether another rung may answer."""
    return BY_CODE.get(error.code, InternalError).next_rung


def as_failure(error: ErrorDocument) -> ApplicationError:
    """The end of a job without an answer; its document travels in the details."""
    return ApplicationError(error.message, error, type=error.code, non_retryable=True)


def final(error: HybridError) -> ApplicationError:
    """The end of a job by an error of this project."""
    return as_failure(error.document())


class RungGivenUp(Exception):
    """A rung is left, for a reason that no stage of it has given.

    Args:
        error: Why.
    """

    def __init__(self, error: ErrorDocument) -> None:
        super().__init__(error.message)
        self.error = error
