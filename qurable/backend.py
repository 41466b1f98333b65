"""The Protocol a backend implements, here or in a package of its own.

A package registers a factory in the entry-point group `qurable.backends`; the entry's name is the backend's
name, and the factory takes a `BackendContext`. Run `qurable.testing.conformance` on what it returns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

from qurable.contracts.executions import (
    Cancelled,
    JobRef,
    JobState,
    Piece,
    ProviderFacts,
    Submission,
    SubmissionKey,
)
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetDocument, TargetSnapshot
from qurable.ledger import Ledger, Sending

Beat = Callable[[str], None]
"""Says how far a run is; called whenever there is something new to say."""


class StillWaiting(Exception):
    """Not an error: there is nothing to do yet.

    Args:
        message: What it waits for, shown to operators.
        again_in: When to ask again.
    """

    def __init__(self, message: str, again_in: timedelta) -> None:
        super().__init__(message)
        self.again_in = again_in


class QuantumBackend(Protocol):
    """A place that runs pubs and hands back results.

    Every method may be called twice, by two processes at once, and again after a crash at any line.
    """

    name: str

    async def target(self) -> TargetSnapshot:
        """What it offers now.

        Raises:
            TargetUnavailable: It does not answer, or a piece it needs is missing.
        """
        ...

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:
        """What circuits are compiled for; simulators have one per method.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...

    async def submit(self, submission: Submission) -> JobRef:
        """Start the job, or adopt the one that this key already started.

        Raises:
            StillWaiting: It is not its turn, or another attempt of this key may be under way.
            HybridError: The class says whether to try again.
        """
        ...

    async def find(self, key: SubmissionKey) -> JobRef | None:
        """The job that this key started, None if there is none."""
        ...

    async def state(self, job: JobRef) -> JobState:
        """Where the job stands."""
        ...

    async def result(self, job: JobRef) -> Sequence[Piece]:
        """Raw results of a job that is done; the same on every call.

        Raises:
            ResultRefused: What the place handed over is not a result of this job.
        """
        ...

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        """Withdraw whatever this key started; repeatable, and true to what it found."""
        ...


@runtime_checkable
class Simulator(Protocol):
    """A backend whose jobs run on this house's machines: `submit` notes them down, `run` computes them."""

    async def run(self, job: JobRef, beat: Beat) -> None:
        """Compute what is still missing of the job and keep it; return at once if nothing is.

        Cancelling the call stops the computation.

        Raises:
            StillWaiting: The machine has no room for it yet.
            HybridError: It failed.
        """
        ...


@runtime_checkable
class PaidBackend(QuantumBackend, Protocol):
    """A backend whose jobs cost money and outlive this house: what the reconciler asks of it.

    It keeps its jobs in the `Ledger` of its context (`qurable/ledger.py`). `cancel` may raise `StillWaiting` where a job may be on its way.
    """

    async def look(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        """What the provider says of the submission's kept jobs now, observed into the ledger.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...

    async def duplicates(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        """Jobs at the provider with the tags of the submission's parts; kept ones may be among them.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...

    async def strays(self, since: datetime) -> Sequence[ProviderFacts]:
        """Jobs at the provider that carry this house's tag and are younger than a moment.

        All that have not ended, and the newest of those that have: one of them may be a duplicate nobody has seen.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...

    async def cancel_job(self, id: str) -> ProviderFacts:  # noqa: A002  the provider's word
        """Cancel one of the provider's jobs, and say where it stands after that; one that has ended stays as it is.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...

    async def close_session(self, id: str) -> None:  # noqa: A002
        """Close a session or batch to new jobs; one that is closed or gone is fine.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...


@runtime_checkable
class ChecksOptions(Protocol):
    """A backend with options of its own, which may not go together."""

    async def check(
        self,
        options: IbmOptions,
        kind: Literal["sample", "estimate"],
        shots: Sequence[int],
        *,
        control_flow: bool,
    ) -> None:
        """Refuse what does not go together, before anything is paid.

        Args:
            options: As asked for.
            kind: What is run.
            shots: Of every pub; 0 asks for exact values.
            control_flow: Whether some circuit branches or loops at run time.

        Raises:
            RequestRejected: Naming the options, the reason and the way out.
        """
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A backend whose account may send so often and no more."""

    async def sending(self) -> Sending:
        """The rules of sending with the account.

        Raises:
            TargetUnavailable: It does not answer.
        """
        ...


@runtime_checkable
class HasSessions(Protocol):
    """A backend with sessions or batches, which cost money while they are open."""

    @property
    def account_label(self) -> str:
        """Label of the account that pays."""
        ...

    async def open_session(self, mode: Literal["batch", "session"], max_time: timedelta | None) -> str:
        """Open a session or batch; gives back the provider's id of it.

        Raises:
            HybridError: The provider refuses.
        """
        ...

    async def close_session(self, id: str) -> None:  # noqa: A002  the provider's word
        """Close a session or batch to new jobs; one that is closed or gone is fine."""
        ...


class Shelf(Protocol):
    """Where a backend keeps and finds things that must survive it."""

    async def artifact(self, key: str) -> bytes:
        """An artifact by its SHA-256."""
        ...

    async def keep_artifact(self, kind: str, body: bytes) -> str:
        """Keep bytes; gives back their SHA-256."""
        ...

    async def handle(self, key: SubmissionKey) -> str | None:
        """The handle that a submission was given."""
        ...

    async def keep_handle(self, key: SubmissionKey, handle: str) -> str:
        """Give a submission its handle unless it has one; gives back the one that stands."""
        ...

    async def keep_submission(self, submission: Submission) -> str:
        """Keep a whole submission and give it the SHA-256 of it as its handle; gives back the one that stands."""
        ...

    async def withdrawn(self, key: SubmissionKey) -> bool:
        """Whether the submission was withdrawn."""
        ...

    async def withdraw(self, key: SubmissionKey) -> None:
        """Mark the submission as withdrawn."""
        ...

    async def finished(self, key: SubmissionKey) -> set[tuple[int, int, int]]:
        """(pub, start, stop) of every piece that is kept."""
        ...

    async def keep_pieces(self, key: SubmissionKey, pieces: Sequence[Piece]) -> None:
        """Keep pieces of the result."""
        ...

    async def pieces(self, key: SubmissionKey) -> Sequence[Piece]:
        """Every piece that is kept, in order."""
        ...


@dataclass(frozen=True)
class BackendContext:
    """What a backend's factory is given.

    Attributes:
        name: The name it is registered under.
        shelf: Where it keeps things.
        ledger: Where a paid place keeps its jobs.
    """

    name: str
    shelf: Shelf
    ledger: Ledger | None = None


BackendFactory = Callable[[BackendContext], QuantumBackend]
