"""Everything that can go wrong with a job, as one tree.

HybridError
├── RequestRejected            change the request
│   ├── CircuitRejected        the circuit text is not acceptable (line and column where known)
│   ├── UnsupportedCircuit     the target cannot run such a circuit
│   ├── UnknownBackend         no backend of that name; near names are suggested
│   ├── JobTooLarge            it can never fit; the sizes are in the message
│   └── KeyReused              the idempotency key already belongs to another request
├── TargetUnavailable          retry, then the next rung
│   ├── TargetSaturated        the target takes no more jobs for now
│   └── BackendNotInstalled    a piece it needs is missing here; next rung at once
├── ExecutionFailed            the run itself went wrong
│   ├── OutOfMemory            it needed more memory than it was granted
│   ├── OutOfTime              it ran into its time limit
│   ├── ChildCrashed           the process that ran it died
│   └── ResultRefused          what came back is not a result
├── LimitReached               one of the job's own limits passed
│   ├── QueueLimitReached
│   ├── RunLimitReached
│   └── DeadlineReached
├── JobLost                    resubmit under the next ordinal, against the retry budget
├── RouteExhausted             every rung failed; the attempts are in the details
├── StoreUnavailable           the store is down, locked or full: nothing is lost, the stage waits for it
├── WorkerOutdated             the document is newer than the worker that got it
├── InternalError              a defect of ours
├── ServiceUnreachable         (client) Temporal does not answer
├── NoWorker                   (client) nobody polls the task queue
├── JobNotFound                (client) no job of that id
├── JobFailed                  (client) the job ended without an answer; `.error` is its cause
└── JobCancelled               (client) the job was cancelled

Each class answers three questions: may the same call be tried again here, may a changed call be tried
here (fewer shots, another level), may the next rung of the route be tried?
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from qurable.contracts.errors import ErrorDocument


class HybridError(Exception):
    """Base of all errors of this project.

    Args:
        message: Names the thing, the limit and the way out, in one sentence.
        **details: JSON values that a program may want: limits, sizes, names.

    Attributes:
        retry_here: The same call may succeed later.
        retry_changed: A changed call may succeed here.
        next_rung: Another backend may answer instead.
        attempts: How often `retry_here` is worth trying; None means until the job's own limits.
    """

    retry_here: ClassVar[bool] = False
    retry_changed: ClassVar[bool] = False
    next_rung: ClassVar[bool] = False
    attempts: ClassVar[int | None] = None

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    @property
    def code(self) -> str:
        """Stable name of the class, as it appears in documents and in Temporal's failures."""
        return type(self).__name__

    def document(self) -> ErrorDocument:
        """The error as the contract that crosses Temporal, HTTP and the command line."""
        return ErrorDocument(code=self.code, message=self.message, details=dict(self.details))


class RequestRejected(HybridError):
    """The request itself cannot be served; it has to change."""


class CircuitRejected(RequestRejected):
    """The circuit cannot be read, or is larger or deeper than the limits allow."""


class UnsupportedCircuit(RequestRejected):
    """The circuit is valid, but this target cannot run it."""

    next_rung = True


class UnknownBackend(RequestRejected):
    """No backend of that name is registered."""


class JobTooLarge(RequestRejected):
    """The job can never fit into what this place has."""

    retry_changed, next_rung = True, True


class KeyReused(RequestRejected):
    """The idempotency key belongs to a job with another body."""


class TargetUnavailable(HybridError):
    """The target is offline or refuses new jobs."""

    retry_here, next_rung = True, True
    attempts = 5


class TargetSaturated(TargetUnavailable):
    """The target is up and takes no more jobs for now."""


class BackendNotInstalled(TargetUnavailable):
    """A library, device or driver that the backend needs is missing on this worker."""

    retry_here = False


class ExecutionFailed(HybridError):
    """The run was started and failed."""

    next_rung = True


class OutOfMemory(ExecutionFailed):
    """The run needed more memory than it was granted."""

    retry_changed = True


class OutOfTime(ExecutionFailed):
    """The run passed its time limit and was stopped."""

    retry_changed = True


class ChildCrashed(ExecutionFailed):
    """The process that ran the job died by itself."""

    retry_here = True
    attempts = 3


class ResultRefused(ExecutionFailed):
    """What came back is not a result of this job."""


class LimitReached(HybridError):
    """One of the limits that the job set for itself has passed."""

    next_rung = True


class QueueLimitReached(LimitReached):
    """The job waited longer than its queue limit."""


class RunLimitReached(LimitReached):
    """The job ran longer than its run limit."""


class DeadlineReached(LimitReached):
    """The job's total limit passed; there is no time for another rung."""

    next_rung = False


class JobLost(HybridError):
    """The provider no longer knows the job; it may be resubmitted under the next ordinal."""

    retry_changed, next_rung = True, True


class RouteExhausted(HybridError):
    """Every rung of the route failed; the details list the attempts."""


class StoreUnavailable(HybridError):
    """The store is down, locked or full; the stage waits for it and nothing is lost."""

    retry_here = True


class WorkerOutdated(HybridError):
    """The document was written by a newer version than this worker's."""


class InternalError(HybridError):
    """A defect of this software; the message names the exception."""

    retry_here, next_rung = True, True
    attempts = 3


class ServiceUnreachable(HybridError):
    """Temporal does not answer at the configured address."""


class NoWorker(HybridError):
    """Temporal answers, but no worker polls the task queue."""


class JobNotFound(HybridError):
    """Neither Temporal nor the store knows a job of that id."""


class JobFailed(HybridError):
    """The job ended without an answer.

    Attributes:
        error: The error that ended it.
    """

    def __init__(self, message: str, error: ErrorDocument, **details: Any) -> None:
        super().__init__(message, **details)
        self.error = error


class JobCancelled(HybridError):
    """The job was cancelled before it had an answer."""


def _tree(cls: type[HybridError]) -> list[type[HybridError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _tree(child))]


BY_CODE: Mapping[str, type[HybridError]] = {cls.__name__: cls for cls in _tree(HybridError)}
"""Every class of the tree by its code."""


def from_document(document: ErrorDocument) -> HybridError:
    """The exception that a document describes; an unknown code becomes the base class."""
    cls = BY_CODE.get(document.code, HybridError)
    if cls is JobFailed:
        return JobFailed(document.message, document)
    return cls(document.message, **document.details)
