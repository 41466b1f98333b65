"""What may be changed about a job that failed at a place, as a table. Pure: everything it looks at is an argument.

A change holds for one rung. What the job does not allow is never changed: shots and precisions only down to what
`fallback` says, a seed or level of the caller's own not at all, or only so far.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from circuits.runnable import pubs_of
from qurable.contracts.base import digest
from qurable.contracts.changes import Altered, Change
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import MAX_SEED, EstimateJob, SampleJob, SolveJob
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.errors import (
    BudgetExceeded,
    ChildCrashed,
    GuardrailBroken,
    JobLost,
    JobTooLarge,
    OutOfMemory,
    OutOfTime,
    SessionClosed,
    SurvivalTooLow,
)

Request = SampleJob | EstimateJob | SolveJob
Pub = SamplePub | EstimatePub

SEEDS = 3
"""Other seeds that are tried on a rung; each takes a compilation."""

CUTS = 4
"""Times that the shots are cut on a rung; a run that ended in between may have cost something."""

DIVISIONS = 3
"""Times that a submission is divided further on a rung: up to eight times as many jobs of the provider's."""

RESUBMISSIONS = 1
"""Times that a rung's job is sent once more as it is, because its provider lost it or ended its session."""

_TOO_LARGE = 413
"""HTTP status of a request whose body is larger than is taken."""

_ONCE_MORE = frozenset({Altered.SESSION, Altered.SUBMISSION})
_FEWER = frozenset({Altered.SHOTS, Altered.PRECISION})


@dataclass(frozen=True)
class Failed:
    """A try on a rung that failed.

    Attributes:
        compiling: Whether it was being compiled, and not sent or run.
        error: How.
        rung: Position on the route.
        backend: Of the rung.
        request: As it was asked.
        seed: Base seed of the job.
        level: Optimisation level there where the job names none.
        sent: The provider's id of the session that ended, or of the job that is lost, as far as one is known.
        changes: Of the rung so far, in order.
    """

    compiling: bool
    error: ErrorDocument
    rung: int
    backend: str
    request: Request
    seed: int
    level: int
    sent: str = ""
    changes: Sequence[Change] = ()

    @property
    def tried(self) -> Request:
        """The request as it was tried."""
        return as_changed(self.request, self.changes)

    def times(self, *what: Altered) -> int:
        """How often one of these was changed."""
        return sum(change.what in what for change in self.changes)

    def to(self, what: Altered, before: float | str, after: float | str) -> Change:
        """The next change."""
        return Change(
            rung=self.rung,
            number=len(self.changes) + 1,
            backend=self.backend,
            what=what,
            before=before,
            after=after,
            because=self.error.code,
            message=self.error.message,
        )


def next_change(failed: Failed) -> Change | None:
    """What to change before the rung is tried again; None where nothing may be changed, or enough was."""
    way = TABLE.get((failed.compiling, failed.error.code))
    return None if way is None else way(failed)


def as_changed(request: Request, changes: Sequence[Change]) -> Request:
    """A request with some changes made to it."""
    for change in changes:
        match change.what:
            case Altered.SEED | Altered.LEVEL:
                field = change.what.removeprefix("transpile.")
                options = request.transpile.model_copy(update={field: change.after})
                request = request.model_copy(update={"transpile": options})
            case Altered.SHOTS:
                request = _at_most(request, int(change.after))
            case Altered.PRECISION:
                request = _at_most(request, _shots_of(float(change.after)))
    return request


def divided(changes: Sequence[Change]) -> int:
    """Into how many times as many of the provider's jobs a submission is divided as it has to be."""
    return max((int(change.after) for change in changes if change.what is Altered.PROVIDER_JOBS), default=1)


def least_share(request: Request) -> float:
    """To which share of its shots a job may be cut at most: 1 where it may not be."""
    most = _most_shots(request)
    return min(1.0, least_shots(request) / most) if most else 1.0


def least_shots(request: Request) -> int:
    """The fewest shots that all of a job's pubs may be cut to, where they ask for more."""
    _, pubs = pubs_of(request)
    return max((_least(pub, request) for pub in pubs), default=0)


def _least(pub: Pub, request: Request) -> int:
    asked, allowed = shots_for(pub), request.fallback
    if isinstance(pub, EstimatePub) and pub.shots is None:
        coarsest = allowed.coarsest_precision
        return asked if coarsest is None else min(asked, _shots_of(coarsest))
    return asked if allowed.least_shots is None else min(asked, allowed.least_shots)


def _shots_of(precision: float) -> int:
    """Shots that a precision takes, as `shots_for` counts them."""
    return max(1, round(precision**-2))


def _most_shots(request: Request) -> int:
    _, pubs = pubs_of(request)
    return max((shots_for(pub) for pub in pubs), default=0)


def _at_most(request: Request, shots: int) -> Request:
    if isinstance(request, SolveJob):
        pub = None if request.pub is None else _pub_at_most(request.pub, shots)
        return request.model_copy(update={"pub": pub})
    return request.model_copy(update={"pubs": tuple(_pub_at_most(pub, shots) for pub in request.pubs)})


def _pub_at_most(pub: Pub, shots: int) -> Pub:
    if shots_for(pub) <= shots:
        return pub
    if isinstance(pub, EstimatePub) and pub.shots is None:
        return pub.model_copy(update={"precision": shots**-0.5})
    return pub.model_copy(update={"shots": shots})


def _another_seed(failed: Failed) -> Change | None:
    """A seed of the transpiler's that nobody has tried; the same for the same job and try."""
    if failed.request.transpile.seed is not None or failed.times(Altered.SEED) >= SEEDS:
        return None
    number = failed.times(Altered.SEED) + 1
    seed = 1 + int(digest(f"transpile\0{failed.seed}\0{number}")[:8], 16) % MAX_SEED
    return failed.to(Altered.SEED, failed.tried.transpile.seed or 0, seed)


def _lower_level(failed: Failed) -> Change | None:
    named = failed.request.transpile.level
    least = 0 if named is None else failed.request.fallback.least_level
    tried = failed.tried.transpile.level
    level = failed.level if tried is None else tried
    return None if least is None or level <= least else failed.to(Altered.LEVEL, level, level - 1)


def _fewer_shots(failed: Failed) -> Change | None:
    """As many as fit, where the error says so; else half of them."""
    most, least = _most_shots(failed.tried), least_shots(failed.request)
    fits = failed.error.details.get("shots_that_fit")
    after = max(least, most // 2) if fits is None else int(fits)
    if not max(1, least) <= after < most or failed.times(*_FEWER) >= CUTS:
        return None
    _, pubs = pubs_of(failed.request)
    if any(shots_for(pub) and not (isinstance(pub, EstimatePub) and pub.shots is None) for pub in pubs):
        return failed.to(Altered.SHOTS, most, after)
    return failed.to(Altered.PRECISION, most**-0.5, after**-0.5)


def _as_many_as_fit(failed: Failed) -> Change | None:
    """Fewer shots where the error says how many there is room for; half of them may be as far beyond it."""
    return _fewer_shots(failed) if failed.error.details.get("shots_that_fit") else None


def _within_budget(failed: Failed) -> Change | None:
    """Fewer shots, but for a submission whose cost nobody can say."""
    return None if failed.error.details.get("asked") is None else _fewer_shots(failed)


def _smaller(failed: Failed) -> Change | None:
    """More of the provider's jobs where a request was too large, else fewer shots; these make no circuit smaller."""
    if "needed_bytes" in failed.error.details:
        return None
    if failed.error.details.get("status") != _TOO_LARGE:
        return _fewer_shots(failed)
    parts = divided(failed.changes)
    bindings = sum(pub.bindings.size for pub in pubs_of(failed.request)[1])
    if parts >= bindings or failed.times(Altered.PROVIDER_JOBS) >= DIVISIONS:
        return None
    return failed.to(Altered.PROVIDER_JOBS, parts, min(2 * parts, bindings))


def _in_a_new_session(failed: Failed) -> Change | None:
    return _once_more(failed, Altered.SESSION, "a new one")


def _submitted_again(failed: Failed) -> Change | None:
    return _once_more(failed, Altered.SUBMISSION, "sent again")


def _once_more(failed: Failed, what: Altered, after: str) -> Change | None:
    return None if failed.times(*_ONCE_MORE) >= RESUBMISSIONS else failed.to(what, failed.sent, after)


TABLE: Mapping[tuple[bool, str], Callable[[Failed], Change | None]] = {
    (True, SurvivalTooLow.__name__): _another_seed,
    **{(True, error.__name__): _lower_level for error in (OutOfTime, OutOfMemory, ChildCrashed)},
    **{(False, error.__name__): _fewer_shots for error in (OutOfTime, OutOfMemory)},
    (False, BudgetExceeded.__name__): _within_budget,
    (False, GuardrailBroken.__name__): _as_many_as_fit,
    (False, JobTooLarge.__name__): _smaller,
    (False, SessionClosed.__name__): _in_a_new_session,
    (False, JobLost.__name__): _submitted_again,
}
"""What is changed, by whether the job was being compiled and by the code of the error."""
