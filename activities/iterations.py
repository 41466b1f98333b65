"""A variational loop: prepare it, go on with it for about a second at a time, and make its report.

Iterations run in a child that answers with blocks of the log as they are done; each is in the store before the chunk
that made it is. Whoever goes on, after whatever, starts from the log.
"""

from datetime import timedelta

from temporalio import activity

from activities.boundary import beat, speaks_temporal
from activities.loop_chunks import chunk_limits, chunk_payload, state_bytes
from activities.loop_log import best, curve, spent
from activities.loop_references import LoopReferences
from backends.registry import Registry
from circuits.source import SourceLimits
from isolation.admission import Admission, Waiting
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import StillWaiting
from qurable.contracts.loop_places import IN_CHUNKS
from qurable.contracts.optimisations import (
    BeginLoop,
    Chunk,
    ChunkCall,
    LoopPlan,
    Optimisation,
    PreparedLoop,
    StopReason,
)
from qurable.errors import InternalError, JobNotFound, JobTooLarge
from qurable.names import Activity
from store import loop_jobs, optimisations
from store.database import Database
from store.optimisations import Block

CHUNK_SECONDS = 1.0
"""A change of a loop takes effect after as long as this, and Temporal has one activity for each."""

_CURVE_PER_CHUNK = 10

_PREPARE_LIMITS = Limits(memory_bytes=1024 * MIB, wall_seconds=120.0)

_AGAIN = timedelta(seconds=0.5)


class Iterations:
    """Prepares loops and runs their chunks.

    Args:
        database: The store.
        compiling: Children that read what strangers wrote.
        simulating: Children that evaluate.
        admission: The machine's memory.
        limits: Of circuits.
        references: Asks classical solvers.
        heartbeat: A chunk whose worker is silent for this long is given to another.
        registry: The backends.
    """

    def __init__(
        self,
        database: Database,
        compiling: ChildPool,
        simulating: ChildPool,
        admission: Admission,
        limits: SourceLimits,
        references: LoopReferences,
        heartbeat: timedelta,
        registry: Registry,
    ) -> None:
        self._registry = registry
        self._database = database
        self._compiling = compiling
        self._simulating = simulating
        self._admission = admission
        self._limits = limits
        self._references = references
        self._heartbeat = heartbeat

    @activity.defn(name=Activity.BEGIN_LOOP)
    @speaks_temporal
    async def begin_loop(self, call: BeginLoop) -> LoopPlan:
        """Read the problem, build the ansatz, ask a classical solver, and keep all of it.

        Raises:
            RequestRejected: Something about the loop is not acceptable.
            UnknownBackend: There is no such place.
            KeyReused: The key belongs to a loop with another body.
        """
        loop = call.loop
        prepared = await self._database.read(optimisations.find, loop.loop_id)
        if prepared is None:
            prepared = await self._prepare(loop)
        await self._database.write(optimisations.begin, prepared, loop.body_hash, call.owner)
        return LoopPlan(
            parameters=len(prepared.parameters),
            qubits=prepared.qubits,
            sense=prepared.sense,
            reference=prepared.reference,
            heartbeat=self._heartbeat,
            reading=prepared.reading,
            report=await self._database.read(optimisations.find_report, loop.loop_id),
        )

    async def _prepare(self, loop: Optimisation) -> PreparedLoop:
        for place in places_of(loop):
            self._registry.get(place)
        document: str = await self._compiling.call(
            "circuits.loop_preparation:prepare_loop",
            {"loop": loop.model_dump_json(), "limits": vars(self._limits)},
            _PREPARE_LIMITS,
            what="the preparation of the loop",
        )
        prepared = PreparedLoop.read(document)
        if IN_CHUNKS in places_of(loop):
            self._check_room(prepared)
        if loop.reference is None or loop.objective is not None:  # no solver knows somebody's function
            return prepared
        reference, warnings = await self._references.find(
            prepared.problem, prepared.terms, loop.seed, loop.reference.total_seconds()
        )
        return prepared.model_copy(
            update={"reference": reference, "warnings": (*prepared.warnings, *warnings)}
        )

    def _check_room(self, prepared: PreparedLoop) -> None:
        """Refuse what would wait for memory for ever.

        Raises:
            JobTooLarge: This machine never grants as much.
        """
        needed, capacity = state_bytes(prepared), self._admission.capacity_bytes
        if needed > capacity:
            raise JobTooLarge(
                f"the ansatz has {prepared.qubits} qubits and needs {needed / MIB:,.0f} MiB; this machine grants "
                f"{capacity / MIB:,.0f} MiB at most: use fewer qubits, or a worker on a larger machine (QURABLE_MEMORY_MIB)",
                needed_bytes=needed,
                limit_bytes=capacity,
            )

    @activity.defn(name=Activity.ITERATE)
    @speaks_temporal
    async def iterate(self, call: ChunkCall) -> Chunk:
        """Go on from where the store has the loop, for about a second or one iteration; keep all of it.

        Raises:
            OptimisationFailed: The objective is no number, or the optimiser has diverged.
            JobTooLarge: The loop was switched to this machine, which has never room for it.
            StillWaiting: The machine has no room for it yet.
        """
        prepared = await self._prepared(call.loop_id)
        self._check_room(prepared)
        info = activity.info()
        holder = f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}"
        await self._database.write(optimisations.claim, call.loop_id, holder)
        log = await self._database.read(optimisations.log, call.loop_id)
        before = log[-1].stop if log else 0

        async def keep(event: dict[str, object]) -> None:
            block = Block(**event)  # type: ignore[arg-type]
            if not block.sizes:
                return
            if not await self._database.write(optimisations.append, call.loop_id, holder, block):
                raise InternalError(f"another attempt goes on with loop {call.loop_id!r}")
            log.append(block)
            beat(f"iteration {block.stop}")

        lease = await self._admission.take(call.loop_id, state_bytes(prepared))
        if isinstance(lease, Waiting):
            raise StillWaiting(
                f"waiting for {state_bytes(prepared) / MIB:,.0f} MiB of memory, {lease.ahead} are ahead",
                again_in=_AGAIN,
            )
        try:
            answer = await self._simulating.call(
                "isolation.loops:run_chunk",
                {
                    **chunk_payload(prepared, log),
                    "shots": call.shots,
                    "seconds": CHUNK_SECONDS,
                    "finishing": call.finishing,
                },
                chunk_limits(prepared),
                keep,
                what="the iteration",
            )
        finally:
            lease.release()
        stopped = answer["stopped_by"]
        return Chunk(
            spent=spent(log, prepared.groups, await self._database.read(loop_jobs.cost, call.loop_id)),
            best=best(log, prepared.sense),
            curve=curve(log, prepared.sense, before, _CURVE_PER_CHUNK),
            stopped_by=None if stopped is None else StopReason(stopped),
            finishing=answer["finishing"],
        )

    async def _prepared(self, loop_id: str) -> PreparedLoop:
        prepared = await self._database.read(optimisations.find, loop_id)
        if prepared is None:
            raise JobNotFound(f"the store has no loop {loop_id!r}")
        return prepared


def places_of(loop: Optimisation) -> set[str]:
    """Where a loop is to evaluate."""
    return {loop.backend} if loop.finish is None else {loop.backend, loop.finish.backend}
