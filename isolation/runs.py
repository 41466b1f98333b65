"""How a simulated job is divided into pieces, and how children run them.

The division depends on the submission alone, so that a run that was stopped goes on where another left off.
"""

import asyncio
import contextlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from circuits.seeds import base_at, stretches
from circuits.simulation_time import RUN_SECONDS, Load, simulation_seconds
from isolation.admission import Admission
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import Beat, Shelf
from qurable.contracts.arrays import size_of
from qurable.contracts.executions import IsaPub, Piece, Submission

_PIECE_SECONDS = 1.0
"""A killed run repeats at most the pieces that were under way; each is cut to about this."""

CHILD_OVERHEAD_BYTES = 768 * MIB
_LEASE_OVERHEAD_BYTES = 48 * MIB
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


def aer_seconds(pub: IsaPub, noisy: bool) -> float:
    """Seconds of one binding on Aer: a rough estimate, good enough to cut work into pieces."""
    load = Load(
        qubits=pub.qubits,
        operations=pub.size,
        shots=pub.shots,
        clbits=pub.num_clbits,
        every_shot_anew=pub.dynamic or (pub.method == "statevector" and noisy),
    )
    return simulation_seconds(pub.method, load)


@dataclass(frozen=True)
class Program:
    """What children run for a backend.

    Attributes:
        task: `module:function`, which takes and emits what `isolation.aer:simulate` does.
        options: Fixed options of the task, such as the device.
        overhead_bytes: Address space of a run beyond what it computes on.
        fresh: Whether every call gets a child of its own, which dies with it.
        seconds: Rough seconds of one binding of a pub, with or without a device's noise; only how the work is cut
            depends on it.
    """

    task: str = "isolation.aer:simulate"
    options: Mapping[str, Any] = field(default_factory=dict)
    overhead_bytes: int = CHILD_OVERHEAD_BYTES
    fresh: bool = False
    seconds: Callable[[IsaPub, bool], float] = aer_seconds


@dataclass(frozen=True, order=True)
class Work:
    """A range of bindings of one pub; the most expensive compares as the smallest."""

    priority: float
    pub: int
    start: int
    stop: int
    seconds: float = field(compare=False)
    memory_bytes: int = field(compare=False)


class Runner:
    """Runs the pieces of one submission and keeps each as it is done.

    Args:
        engine: What it runs on.
        submission: Whose pieces they are.
        program: What children run.
        beat: Told how far it is.
    """

    def __init__(self, engine: Engine, submission: Submission, program: Program, beat: Beat) -> None:
        self._engine = engine
        self._submission = submission
        self._program = program
        self._beat = beat
        self._buffer: list[Piece] = []
        self._done = 0

    async def run(self, work: Sequence[Work], parallel: int) -> None:
        """Run pieces in so many children at a time."""
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
        self, batch: Sequence[Work], circuits: dict[str, bytes], noise: bytes | None, threads: int
    ) -> None:
        pubs = self._submission.pubs
        needed = {pubs[item.pub].isa for item in batch}
        memory_bytes = max(item.memory_bytes for item in batch)
        options = self._aer_options([pubs[item.pub] for item in batch], memory_bytes, threads)
        payload = {
            "kind": self._submission.kind,
            "circuits": {isa: circuits[isa] for isa in needed},
            "options": options,
            "noise": noise,
            "noise_hash": self._submission.noise,
            "work": [_piece_document(item, pubs[item.pub]) for item in batch],
        }
        limits = Limits(
            memory_bytes=memory_bytes + self._program.overhead_bytes, wall_seconds=_NO_LIMIT_SECONDS
        )
        await self._engine.pool.call(
            self._program.task,
            payload,
            limits,
            self._keep,
            what="the simulation",
            fresh=self._program.fresh or "mps_log_data" in options,
        )

    def _aer_options(self, pubs: Sequence[IsaPub], memory_bytes: int, threads: int) -> dict[str, Any]:
        pub, wanted = pubs[0], self._submission.options
        options: dict[str, Any] = {
            **self._program.options,
            "method": str(pub.method),
            "precision": wanted.precision,
            "max_parallel_threads": threads,
            "max_memory_mb": max(64, memory_bytes // MIB),
        }
        state_mb = max(pub.memory_bytes for pub in pubs) // MIB + 1
        if options["max_memory_mb"] < 2 * state_mb:
            # Aer divides its memory by twice a state's to find how many shots run side by side: here by none, and it
            # would say that all went well without having run any.
            options["max_parallel_shots"] = 1
        max_bond = wanted.max_bond if pub.max_bond is None else pub.max_bond
        if max_bond is not None and pub.method == "matrix_product_state":
            options |= {"matrix_product_state_max_bond_dimension": max_bond, "mps_log_data": True}
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


def missing(submission: Submission, finished: set[tuple[int, int, int]], program: Program) -> list[Work]:
    """The pieces that are not kept yet; the division depends on the submission alone."""
    work = []
    for number, pub in enumerate(submission.pubs):
        bindings = size_of(pub.bindings.shape)
        each = program.seconds(pub, submission.noise is not None)
        length = max(1, int(_PIECE_SECONDS / each))
        for first, last in stretches(pub.seeds, bindings):
            for start in range(first, last, length):
                stop = min(start + length, last)
                if (number, start, stop) not in finished:
                    seconds = each * (stop - start)
                    work.append(Work(-seconds, number, start, stop, seconds, lease_bytes(pub, stop - start)))
    return work


def lease_bytes(pub: IsaPub, bindings: int = 1) -> int:
    """Memory of one run and of what it hands over."""
    outcomes = pub.shots * bindings * (pub.num_clbits // 8 + 1)
    as_text = pub.shots * bindings * (pub.num_clbits // 4 + 64)
    return pub.memory_bytes + outcomes + as_text + _LEASE_OVERHEAD_BYTES


def _batches(work: Sequence[Work], parallel: int, submission: Submission) -> list[list[Work]]:
    """Pieces in calls of about a second, longest first; the pieces of one call share their options."""
    worth = min(_PIECE_SECONDS, max(sum(item.seconds for item in work) / (2 * parallel), RUN_SECONDS))
    batches: list[list[Work]] = []
    open_batch: dict[tuple[str, int | None], list[Work]] = {}
    for item in sorted(work):
        pub = submission.pubs[item.pub]
        batch = open_batch.get((pub.method, pub.max_bond))
        if batch is None or sum(other.seconds for other in batch) + item.seconds > worth:
            batch = open_batch[pub.method, pub.max_bond] = []
            batches.append(batch)
        batch.append(item)
    return batches


def _piece_document(item: Work, pub: IsaPub) -> dict[str, Any]:
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
        "dynamic": pub.dynamic,
        "seed": base_at(pub.seed, pub.seeds, item.start),
        "start": item.start,
        "stop": item.stop,
    }
