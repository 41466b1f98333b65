"""What a provider's words about jobs mean for the submission they belong to."""

from collections.abc import Sequence

from qurable.contracts.executions import Cancelled, JobState, Phase, ProviderFacts
from qurable.errors import CancelledElsewhere, ExecutionFailed, HybridError, JobLost, OutOfTime

FINAL = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.LOST})

_RAN_TOO_LONG = "1305"


def state_of(facts: Sequence[ProviderFacts], name: str) -> JobState:
    """Where a submission stands whose parts stand so: where one went wrong, or else where the slowest is."""
    for entry in facts:
        error = _failure(entry, name)
        if error is not None:
            return JobState(phase=entry.phase, error=error.document())
    phases = {entry.phase for entry in facts}
    if phases == {Phase.DONE}:
        return JobState(phase=Phase.DONE)
    if phases & {Phase.RUNNING, Phase.DONE}:
        return JobState(phase=Phase.RUNNING)
    positions = [entry.queue_position for entry in facts if entry.queue_position is not None]
    starts = [entry.starts_at for entry in facts if entry.starts_at is not None]
    return JobState(
        phase=Phase.QUEUED,
        queue_position=max(positions, default=None),
        starts_at=max(starts, default=None),
    )


def _failure(facts: ProviderFacts, name: str) -> HybridError | None:
    """Why a job brings no result; None while it may."""
    details = {"reason_code": facts.reason_code, "provider_job": facts.id}
    if facts.reason_code == _RAN_TOO_LONG:
        return OutOfTime(
            f"job {facts.id} on {name!r} ran into its limit of QPU time ({facts.reason or 'max_execution_time'}): allow more with "
            "ibm.max_execution_time, or ask for fewer shots",
            **details,
        )
    match facts.phase:
        case Phase.FAILED:
            code = f" (code {facts.reason_code})" if facts.reason_code else ""
            reason = facts.reason or "no reason given"
            return ExecutionFailed(f"job {facts.id} failed on {name!r}{code}: {reason}", **details)
        case Phase.CANCELLED:
            reason = f": {facts.reason}" if facts.reason else ""
            return CancelledElsewhere(
                f"job {facts.id} was cancelled at {name!r}, and not by this job{reason}", **details
            )
        case Phase.LOST:
            return JobLost(f"{name!r} no longer knows job {facts.id}", **details)
    return None


def withdrawal_of(finals: Sequence[ProviderFacts]) -> Cancelled:
    """What a cancellation has found, part by part: it was in time unless everything had ended by itself."""
    if not finals:
        return Cancelled(found=False, final=Phase.LOST)
    phases = {facts.phase for facts in finals}
    final = next(
        phase for phase in (Phase.CANCELLED, Phase.FAILED, Phase.LOST, Phase.DONE) if phase in phases
    )
    billed = sum(facts.qpu_seconds or 0.0 for facts in finals)
    return Cancelled(found=True, final=final, billed_seconds=billed)
