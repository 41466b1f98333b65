"""What Aer's backends share: a submission is an artifact, and running it fills in the pieces it lacks.

The handle of a simulated job is the hash of its whole `Submission`: ISA circuits, methods, noise, seeds and
Aer's version. Killing whoever runs it costs time and never changes an answer.
"""

import asyncio
import contextlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from isolation.admission import Admission, Waiting
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import Beat, Shelf, StillWaiting
from qurable.contracts.arrays import size_of
from qurable.contracts.executions import (
    Cancelled,
    IsaPub,
    JobRef,
    JobState,
    Phase,
    Piece,
    Submission,
    SubmissionKey,
)
from qurable.errors import JobLost, JobTooLarge

_PIECE_SECONDS = 1.0
"""A killed run repeats at most the pieces that were under way; each is cut to about this."""

_AMPLITUDES_PER_SECOND = 2e8
_RUN_SECONDS = 0.002
"""What one circuit costs Aer before it does anything."""

_CHILD_OVERHEAD_BYTES = 768 * MIB
_LEASE_OVERHEAD_BYTES = 48 * MIB
_ROOM_SECONDS = (0.2, 5.0)
_FLUSH_SECONDS = 0.2
_FLUSH_BYTES = MIB
_NO_LIMIT_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Engine:
    """What a simulated backend runs on.

    Attributes:
        pool: Children.
        admission: The machine's memory.
        shelf: Where submissions and pieces are kept.
        cores: Processor cores that simulations may use.
        failpoint: Called with the name of a line between two effects, for tests.
    """

    pool: ChildPool
    admission: Admission
    shelf: Shelf
    cores: int
    failpoint: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, order=True)
class _Work:
    """A range of bindings of one pub; the most expensive compares as the smallest."""

    priority: float
    pub: int
    start: int
    stop: int
    seconds: float = field(compare=False)
    memory_bytes: int = field(compare=False)


class SimulatedBackend:
    """Submit, find, run, fetch and cancel for every simulator; a subclass says what it simulates.

    Args:
        name: As registered.
        engine: What it runs on.
        options: Fixed options of `AerSimulator`, such as the device.
    """

    child_overhead_bytes = _CHILD_OVERHEAD_BYTES
    """Address space of a run beyond what it computes on."""

    def __init__(self, name: str, engine: Engine, options: dict[str, Any] | None = None) -> None:
        self.name = name
        self._engine = engine
        self._options = options or {}

    async def submit(self, submission: Submission) -> JobRef:
        """Keep the submission; refuse what can never fit.

        Raises:
            JobTooLarge: One of its runs needs more than the machine grants.
        """
        capacity = self._engine.admission.capacity_bytes
        for number, pub in enumerate(submission.pubs):
            if _lease_bytes(pub) > capacity:
                raise JobTooLarge(
                    f"pub {number} needs {_lease_bytes(pub) / MIB:,.0f} MiB; this machine grants {capacity / MIB:,.0f} MiB at most: "
                    "use fewer qubits or shots, or a worker on a larger machine (QURABLE_MEMORY_MIB)",
                    needed_bytes=_lease_bytes(pub),
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
        missing = _missing(submission, await self._engine.shelf.finished(job.key))
        return JobState(phase=Phase.QUEUED if missing else Phase.DONE)

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
        work = _missing(submission, await self._engine.shelf.finished(job.key))
        if not work:
            return
        parallel = min(self._engine.cores, len(work))
        largest = max(item.memory_bytes for item in work)
        parallel = max(1, min(parallel, self._engine.admission.capacity_bytes // largest))
        lease = await self._engine.admission.take(job.key.tag, largest * parallel)
        if isinstance(lease, Waiting):
            raise StillWaiting(
                f"waiting for {largest * parallel / MIB:,.0f} MiB of memory; {lease.used_bytes / MIB:,.0f} of "
                f"{self._engine.admission.capacity_bytes / MIB:,.0f} MiB are taken, {lease.ahead} jobs are ahead",
                again_in=timedelta(seconds=min(_ROOM_SECONDS[0] * (1 + lease.ahead), _ROOM_SECONDS[1])),
            )
        beat(f"{len(work)} pieces to run, {parallel} at a time")
        try:
            runner = _Runner(self._engine, submission, self._options, self.child_overhead_bytes, beat)
            await runner.run(work, parallel)
        finally:
            lease.release()

    def _ref(self, key: SubmissionKey, handle: str) -> JobRef:
        return JobRef(backend=self.name, key=key, handle=handle)

    async def _submission(self, job: JobRef) -> Submission:
        if not job.handle:
            raise JobLost(f"job {job.key.tag} of {self.name!r} was never submitted")
        return Submission.read(await self._engine.shelf.artifact(job.handle))


class _Runner:
    """Runs the pieces of one submission and keeps each as it is done."""

    def __init__(
        self,
        engine: Engine,
        submission: Submission,
        options: dict[str, Any],
        overhead_bytes: int,
        beat: Beat,
    ) -> None:
        self._engine = engine
        self._submission = submission
        self._options = options
        self._overhead_bytes = overhead_bytes
        self._beat = beat
        self._buffer: list[Piece] = []
        self._done = 0

    async def run(self, work: Sequence[_Work], parallel: int) -> None:
        self._total = len(work)
        batches = _batches(work, parallel, self._submission)
        threads = max(1, self._engine.cores // parallel)
        isas = {self._submission.pubs[item.pub].isa for item in work}
        circuits = {isa: await self._engine.shelf.artifact(isa) for isa in isas}
        noise = (
            None
            if self._submission.noise is None
            else await self._engine.shelf.artifact(self._submission.noise)
        )

        async def drain() -> None:
            while batches:
                await self._run_batch(batches.pop(0), circuits, noise, threads)

        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(drain()) for _ in range(min(parallel, len(batches)))]
                group.create_task(self._flush_until(over))
                await asyncio.wait(running)
                over.set()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await self._flush()

    async def _flush_until(self, over: asyncio.Event) -> None:
        """Keep what is done also while nothing more gets done: the next piece may take an hour."""
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await over.wait()
            await self._flush()

    async def _run_batch(
        self, batch: Sequence[_Work], circuits: dict[str, bytes], noise: bytes | None, threads: int
    ) -> None:
        pubs = self._submission.pubs
        needed = {pubs[item.pub].isa for item in batch}
        memory_bytes = max(item.memory_bytes for item in batch)
        first = pubs[batch[0].pub]
        payload = {
            "kind": self._submission.kind,
            "circuits": {isa: circuits[isa] for isa in needed},
            "options": self._aer_options(first, memory_bytes, threads),
            "noise": noise,
            "noise_hash": self._submission.noise,
            "work": [_piece_document(item, pubs[item.pub]) for item in batch],
        }
        limits = Limits(memory_bytes=memory_bytes + self._overhead_bytes, wall_seconds=_NO_LIMIT_SECONDS)
        await self._engine.pool.call(
            "isolation.aer:simulate", payload, limits, self._keep, what="the simulation"
        )

    def _aer_options(self, pub: IsaPub, memory_bytes: int, threads: int) -> dict[str, Any]:
        wanted = self._submission.options
        options = self._options | {
            "method": str(pub.method),
            "precision": wanted.precision,
            "max_parallel_threads": threads,
            "max_memory_mb": max(64, memory_bytes // MIB),
        }
        if wanted.max_bond is not None and pub.method == "matrix_product_state":
            options |= {"matrix_product_state_max_bond_dimension": wanted.max_bond, "mps_log_data": True}
        return options

    async def _keep(self, event: dict[str, Any]) -> None:
        self._buffer.append(Piece(**event))
        self._done += 1
        self._beat(f"{self._done} of {self._total} pieces done")
        if sum(len(piece.data) for piece in self._buffer) >= _FLUSH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        pieces, self._buffer = self._buffer, []
        await self._engine.shelf.keep_pieces(self._submission.key, pieces)
        if pieces:
            self._engine.failpoint("simulation:piece_kept")


def _missing(submission: Submission, finished: set[tuple[int, int, int]]) -> list[_Work]:
    """The pieces that are not kept yet; the division depends on the submission alone."""
    work = []
    for number, pub in enumerate(submission.pubs):
        bindings = size_of(pub.bindings.shape)
        each = _seconds_per_binding(pub, noisy=submission.noise is not None)
        length = max(1, int(_PIECE_SECONDS / each))
        for start in range(0, bindings, length):
            stop = min(start + length, bindings)
            if (number, start, stop) not in finished:
                seconds = each * (stop - start)
                work.append(_Work(-seconds, number, start, stop, seconds, _lease_bytes(pub, stop - start)))
    return work


def _seconds_per_binding(pub: IsaPub, *, noisy: bool) -> float:
    """A rough estimate, good enough to cut work into pieces."""
    qubits = min(pub.qubits, 60)
    amplitudes = 4.0**qubits if pub.method == "density_matrix" else 2.0**qubits
    if pub.method in {"stabilizer", "matrix_product_state"}:
        amplitudes = 64.0 * max(qubits, 1) ** 2
    runs = max(pub.shots, 1) if pub.dynamic or (pub.method == "statevector" and noisy) else 1
    sampling = 2e-7 * pub.shots * max(1, pub.num_clbits)
    return _RUN_SECONDS + runs * max(pub.size, 1) * amplitudes / _AMPLITUDES_PER_SECOND + sampling


def _lease_bytes(pub: IsaPub, bindings: int = 1) -> int:
    """Memory of one run and of what it hands over."""
    outcomes = pub.shots * bindings * (pub.num_clbits // 8 + 1)
    as_text = pub.shots * bindings * (pub.num_clbits // 4 + 64)
    return pub.memory_bytes + outcomes + as_text + _LEASE_OVERHEAD_BYTES


def _batches(work: Sequence[_Work], parallel: int, submission: Submission) -> list[list[_Work]]:
    """Pieces in calls of about a second, longest first; the pieces of one call share their method."""
    worth = min(_PIECE_SECONDS, max(sum(item.seconds for item in work) / (2 * parallel), _RUN_SECONDS))
    batches: list[list[_Work]] = []
    open_batch: dict[str, list[_Work]] = {}
    for item in sorted(work):
        method = submission.pubs[item.pub].method
        batch = open_batch.get(method)
        if batch is None or sum(other.seconds for other in batch) + item.seconds > worth:
            batch = open_batch[method] = []
            batches.append(batch)
        batch.append(item)
    return batches


def _piece_document(item: _Work, pub: IsaPub) -> dict[str, Any]:
    width = len(pub.bindings.parameters)
    values = array("d", pub.bindings.values[item.start * width : item.stop * width])
    return {
        "pub": item.pub,
        "isa": pub.isa,
        "layout": None if pub.layout is None else list(pub.layout),
        "shape": list(pub.bindings.shape),
        "parameters": list(pub.bindings.parameters),
        "values": values.tobytes(),
        "observables": None if pub.observables is None else pub.observables.model_dump_json(),
        "shots": pub.shots,
        "seed": pub.seed,
        "start": item.start,
        "stop": item.stop,
    }
