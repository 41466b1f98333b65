"""The Protocol a backend implements, here or in a package of its own.

A package registers a factory in the entry-point group `qurable.backends`; the entry's name is the backend's
name, and the factory takes a `BackendContext`. Run `qurable.testing.conformance` on what it returns.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from qurable.contracts.executions import Cancelled, JobRef, JobState, Piece, Submission, SubmissionKey
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetDocument, TargetSnapshot

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
    """

    name: str
    shelf: Shelf


BackendFactory = Callable[[BackendContext], QuantumBackend]
OnPiece = Callable[[Piece], Awaitable[None]]
