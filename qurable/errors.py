"""Everything that can go wrong with a job, as one tree.

HybridError
├── RequestRejected            change the request
│   ├── CircuitRejected        the circuit text is not acceptable (line and column where known)
│   ├── UnsupportedCircuit     the target cannot run such a circuit
│   ├── UnknownBackend         no backend of that name; near names are suggested
│   ├── JobTooLarge            it can never fit; the sizes are in the message
│   ├── SurvivalTooLow         compiled for the device, the circuit would answer with noise
│   ├── CutTooDear             cuts would take more sampling than is allowed
│   ├── PreflightRefused       simulated beforehand, the circuit says nothing worth paying for
│   ├── GuardrailBroken        the project may not send such a job to a place that costs money
│   ├── ShadowRefused          a job's shadow may not run where its rule wants it
│   ├── DecisionRefused        a decision about a job does not count
│   │   └── NotAnApprover      whoever decides may not
│   ├── ScheduleRefused        the schedule can never fire, or its name belongs to another
│   └── KeyReused              the idempotency key already belongs to another request
├── TargetUnavailable          retry, then the next rung
│   ├── TargetSaturated        the target takes no more jobs for now
│   ├── TargetClosed           in maintenance, or reserved for others; next rung at once
│   ├── BreakerOpen            it failed too often of late and is left alone; next rung at once
│   ├── RetriesExhausted       what failed there is not tried again; next rung at once
│   ├── TargetUntrusted        its certificate is not trusted, nothing is sent; next rung at once
│   ├── AccountRefused         the provider refuses the token or the instance
│   ├── UsageExhausted         the account's allowance at the provider is used up
│   ├── SessionClosed          the provider's session has ended; a new one is opened
│   ├── SubmissionUnclear      whether the provider took the job is not known yet; it is looked for
│   ├── StateUnknown           the provider reports a state this version does not know
│   ├── BackendNotInstalled    a piece it needs is missing here; next rung at once
│   └── EarlierAnswerGone      the cache no longer has the answer, or it is too old by now; next rung at once
├── ExecutionFailed            the run itself went wrong
│   ├── FragmentFailed         a fragment of a cut circuit has no answer; it can be run again alone
│   ├── OptimisationFailed     a loop's objective is no number, or its optimiser diverged
│   ├── OutOfMemory            it needed more memory than it was granted
│   ├── OutOfTime              it ran into its time limit
│   ├── CancelledElsewhere     somebody else cancelled it at the provider
│   ├── ChildCrashed           the process that ran it died
│   ├── ConfidenceTooLow       the answer is less certain than the job asks for
│   └── ResultRefused          what came back is not a result
│       └── AnswerRefused      it is a result, and one of its checks refuses it; next rung at once
├── BudgetExceeded             a budget has no room for it; next rung at once
├── ApprovalRefused            somebody has refused it for this place; next rung at once
├── ApprovalTimedOut           nobody has decided in time; its rule says what stands then
├── LimitReached               one of the job's own limits passed
│   ├── QueueLimitReached
│   ├── RunLimitReached
│   ├── DeadlineAtRisk     the rest of the job's time is for the rungs below
│   └── DeadlineReached
├── JobLost                    resubmit under the next ordinal, against the retry budget
├── RouteExhausted             every rung failed; the attempts are in the details
├── StoreUnavailable           the store is down, locked or full: nothing is lost, the stage waits for it
├── StageForgotten             a restored store lacks what a stage kept: the stages run again, and find what is paid for
├── WorkerOutdated             the document is newer than the worker that got it
├── InternalError              a defect of ours
├── ServiceUnreachable         (client) Temporal does not answer
├── NoWorker                   (client) nobody polls the task queue
├── JobNotFound                (client) no job of that id
├── ScheduleNotFound           (client) no schedule of that name
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


class CutTooDear(RequestRejected):
    """The cuts that bring a circuit to the asked width have more sampling overhead than is allowed."""


class SurvivalTooLow(RequestRejected):
    """Compiled for this device, the circuit survives with too little; nothing was reserved or sent."""

    retry_changed, next_rung = True, True


class PreflightRefused(RequestRejected):
    """Simulated before it is paid for, the circuit says nothing; nothing was reserved or sent."""

    retry_changed, next_rung = True, True


class GuardrailBroken(RequestRejected):
    """The project's guardrails do not let such a job go to a place that costs money."""

    retry_changed, next_rung = True, True


class ShadowRefused(RequestRejected):
    """A shadow may not run at its rule's place: it would cost what nobody allowed, or send data away."""


class DecisionRefused(RequestRejected):
    """The decision does not count: nothing is asked, somebody was first, or it is about another plan."""


class NotAnApprover(DecisionRefused):
    """Whoever decides is none of those who may."""


class ScheduleRefused(RequestRejected):
    """The schedule names no time zone, can never fire, or its name belongs to another."""


class KeyReused(RequestRejected):
    """The idempotency key belongs to a job with another body."""


class TargetUnavailable(HybridError):
    """The target is offline or refuses new jobs."""

    retry_here, next_rung = True, True
    attempts: ClassVar[int | None] = 5


class TargetSaturated(TargetUnavailable):
    """The target is up and takes no more jobs for now."""


class TargetClosed(TargetUnavailable):
    """The target takes no jobs of ours: it is in maintenance, or reserved for others."""

    retry_here = False


class TargetUntrusted(TargetUnavailable):
    """Whoever answers in the target's place has no certificate that is trusted here; nothing is sent."""

    retry_here = False


class BreakerOpen(TargetUnavailable):
    """The target failed too often of late, and is asked again once a probe has gone well."""

    retry_here = False


class RetriesExhausted(TargetUnavailable):
    """The target failed, and the retries that a backend has in an hour, or a job has in all, are used up."""

    retry_here = False


class AccountRefused(TargetUnavailable):
    """The provider refuses the account: a wrong or expired token, or an instance it may not use."""

    retry_here = False


class UsageExhausted(TargetUnavailable):
    """The account's allowance at the provider is used up."""

    retry_here = False


class SessionClosed(TargetUnavailable):
    """The provider's session or batch has ended and takes no more jobs."""

    retry_here, retry_changed = False, True


class SubmissionUnclear(TargetUnavailable):
    """The answer to a submission was lost; whether the provider took the job will show."""

    attempts = None


class StateUnknown(TargetUnavailable):
    """The provider reports a state of the job that this version does not know."""

    attempts = None


class BackendNotInstalled(TargetUnavailable):
    """A library, device or driver that the backend needs is missing on this worker."""

    retry_here = False


class EarlierAnswerGone(TargetUnavailable):
    """The earlier answer that was to stand for this job's was deleted meanwhile, or is too old by now."""

    retry_here = False


class ExecutionFailed(HybridError):
    """The run was started and failed."""

    next_rung = True


class FragmentFailed(ExecutionFailed):
    """A fragment of a cut circuit has no answer; those that have one are kept."""

    next_rung = False


class OptimisationFailed(ExecutionFailed):
    """A variational loop cannot go on: its objective is no number, or its optimiser has diverged."""

    next_rung = False


class OutOfMemory(ExecutionFailed):
    """The run needed more memory than it was granted."""

    retry_changed = True


class OutOfTime(ExecutionFailed):
    """The run passed its time limit and was stopped."""

    retry_changed = True


class ChildCrashed(ExecutionFailed):
    """The process that compiled or ran the job died by itself."""

    retry_here, retry_changed = True, True
    attempts = 3


class CancelledElsewhere(ExecutionFailed):
    """The provider, or somebody else with its account, cancelled the job."""


class ConfidenceTooLow(ExecutionFailed):
    """The answer came, and is less certain than the job asks for."""


class ResultRefused(ExecutionFailed):
    """What came back is not a result of this job; the answer may have been spoilt on its way, so it is fetched again."""

    retry_here = True
    attempts = 5


class AnswerRefused(ResultRefused):
    """The answer is a result of this job, and a check of the trust boundary refuses it; it would be the same again."""

    retry_here = False


class BudgetExceeded(HybridError):
    """What a job may cost is more than a budget has left."""

    retry_changed, next_rung = True, True


class ApprovalRefused(HybridError):
    """The job needed somebody's word for this place, and was refused."""

    next_rung = True


class ApprovalTimedOut(HybridError):
    """The job needed somebody's word for this place, and nobody decided in time; its rule may let another answer."""

    next_rung = True


class LimitReached(HybridError):
    """One of the limits that the job set for itself has passed."""

    next_rung = True


class QueueLimitReached(LimitReached):
    """The job waited longer than its queue limit."""


class RunLimitReached(LimitReached):
    """The job ran longer than its run limit."""


class DeadlineAtRisk(LimitReached):
    """A place used up its share of the job's total limit; the rest is for the rungs below it."""


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


class StageForgotten(HybridError):
    """The store lacks what an earlier stage kept, as one does that was restored from a backup; the stages run again."""


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


class ScheduleNotFound(HybridError):
    """Temporal knows no schedule of that name that is ours."""


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
