"""What simulators share: a submission is an artifact, and running it fills in the pieces it lacks.

The handle of a simulated job is the hash of its whole `Submission`: ISA circuit, methods, noise, seeds and
the simulator's version. Killing whoever runs it costs time and never changes an answer.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from isolation.admission import Waiting
from isolation.limits import MIB
from isolation.runs import Engine, Program, Runner, lease_bytes, missing
from qurable.backend import Beat, StillWaiting
from qurable.contracts.executions import (
    Cancelled,
    JobRef,
    JobState,
    Phase,
    Piece,
    Submission,
    SubmissionKey,
)
from qurable.errors import JobLost, JobTooLarge

_ROOM_SECONDS = (0.2, 5.0)


class SimulatedBackend:
    """Submit, find, run, fetch and cancel for every simulator; a subclass says what it simulates.

    Args:
        name: As registered.
        engine: What it runs on.
        program: What children run for it.
    """

    def __init__(self, name: str, engine: Engine, program: Program | None = None) -> None:
        self.name = name
        self._engine = engine
        self._program = program or Program()

    async def submit(self, submission: Submission) -> JobRef:
        """Keep the submission; refuse what can never fit.

        Raises:
            JobTooLarge: One of its runs needs more than the machine grants.
        """
        capacity = self._engine.admission.capacity_bytes
        for number, pub in enumerate(submission.pubs):
            if lease_bytes(pub) > capacity:
                raise JobTooLarge(
                    f"pub {number} needs {lease_bytes(pub) / MIB:,.0f} MiB; this machine grants {capacity / MIB:,.0f} MiB at most: "
                    "use fewer qubits or shots, or a worker on a larger machine (QURABLE_MEMORY_MIB)",
                    needed_bytes=lease_bytes(pub),
                    limit_bytes=capacity,
                )
        return self._ref(submission.key, await self._engine.shelf.keep_submission(submission))

    async def find(self, key: SubmissionKey) -> JobRef | None:
        """The job of this key, if it was submitted."""
        handle = await self._engine.shelf.handle(key)
        return None if handle is None else self._ref(key, handle)

    async def state(self, job: JobRef) -> JobState:
        """Done when every piece is kept; simulated jobs are never in between of their own accord."""
        if await self._engine.shelf.withdrawn(job.key):
            return JobState(phase=Phase.CANCELLED)
        submission = await self._submission(job)
        left = missing(submission, await self._engine.shelf.finished(job.key), self._program)
        return JobState(phase=Phase.QUEUED if left else Phase.DONE)

    async def result(self, job: JobRef) -> Sequence[Piece]:
        """Every piece that was kept."""
        return await self._engine.shelf.pieces(job.key)

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        """Mark it withdrawn; what runs is stopped by cancelling `run`."""
        job = await self.find(key)
        if job is None:
            return Cancelled(found=False, final=Phase.LOST)
        state = await self.state(job)
        if state.phase is Phase.DONE:
            return Cancelled(found=True, final=Phase.DONE)
        await self._engine.shelf.withdraw(key)
        self._engine.admission.forget(key.tag)
        return Cancelled(found=True, final=Phase.CANCELLED)

    async def run(self, job: JobRef, beat: Beat) -> None:
        """Compute the pieces that are not kept yet, in as many children as memory and cores allow.

        Raises:
            StillWaiting: The machine has no room for the largest of them yet.
        """
        submission = await self._submission(job)
        work = missing(submission, await self._engine.shelf.finished(job.key), self._program)
        if not work:
            return
        parallel = min(self._engine.cores, len(work))
        largest = max(item.memory_bytes for item in work)
        parallel = max(1, min(parallel, self._engine.admission.capacity_bytes // largest))
        async with self._room(job, largest * parallel):
            beat(f"{len(work)} pieces to run, {parallel} at a time")
            await Runner(self._engine, submission, self._program, beat).run(work, parallel)

    @contextlib.asynccontextmanager
    async def _room(self, job: JobRef, size_bytes: int) -> AsyncIterator[None]:
        """Hold memory of the machine while a job runs.

        Raises:
            StillWaiting: Others hold it.
        """
        admission = self._engine.admission
        lease = await admission.take(job.key.tag, size_bytes)
        if isinstance(lease, Waiting):
            raise StillWaiting(
                f"waiting for {size_bytes / MIB:,.0f} MiB of memory; {lease.used_bytes / MIB:,.0f} of "
                f"{admission.capacity_bytes / MIB:,.0f} MiB are taken, {lease.ahead} jobs are ahead",
                again_in=timedelta(seconds=min(_ROOM_SECONDS[0] * (1 + lease.ahead), _ROOM_SECONDS[1])),
            )
        try:
            yield
        finally:
            lease.release()

    def _ref(self, key: SubmissionKey, handle: str) -> JobRef:
        return JobRef(backend=self.name, key=key, handle=handle)

    async def _submission(self, job: JobRef) -> Submission:
        if not job.handle:
            raise JobLost(f"job {job.key.tag} of {self.name!r} was never submitted")
        return Submission.read(await self._engine.shelf.artifact(job.handle))
