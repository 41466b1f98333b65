"""Transpile: each distinct circuit once, by this worker, another, or an earlier job."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection
from temporalio import activity

from activities import preflight, steps, survival_gate, twins
from activities.boundary import speaks_temporal
from activities.calibrating import Calibrations
from activities.changes_made import changes_on
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import CompiledCircuit, CompiledDocument, ValidatedDocument
from activities.folding import Folding
from activities.levels import is_noiseless, usual_level
from activities.preflight import Preflights
from activities.twins import Twins
from backends.registry import Registry
from fallback.changes import as_changed
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.changes import Change
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import Method, TranspileOptions, read_request
from qurable.contracts.reports import State
from qurable.contracts.routes import Route, Rung
from qurable.contracts.stages import Compiled, StageCall
from qurable.errors import InternalError, OutOfTime, StoreUnavailable
from qurable.names import Activity
from store import artifacts, transpiles
from store.artifacts import ArtifactKind
from store.database import now
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=480.0)
_PATIENCE = timedelta(seconds=30)
_LOOK_AGAIN_SECONDS = 0.05
_WORTH_STORING = 100
"""Operations below which compiling for a simulator is cheaper than looking it up in the store."""

_REMEMBERED = 1024


class Transpile:
    """Compiles, through a cache.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends, for their targets.
        pool: Children that transpile.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, registry: Registry, pool: ChildPool
    ) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._registry = registry
        self._pool = pool
        self._preflights = Preflights(checkpoints.database, shelf, pool)
        self._twins = Twins(shelf, pool)
        self._folding = Folding(shelf, pool)
        self._calibrations = Calibrations(checkpoints.database, shelf, pool)
        self._targets: dict[str, tuple[str, bytes]] = {}
        self._remembered: OrderedDict[str, tuple[CompiledCircuit, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[CompiledCircuit]] = {}

    @activity.defn(name=Activity.TRANSPILE)
    @speaks_temporal
    async def transpile(self, call: StageCall) -> Compiled:
        """Compile the job's circuits for the rung's target.

        Raises:
            UnsupportedCircuit: The target cannot run one of them.
            SurvivalTooLow: One of them would answer with noise there, and another rung is left.
            PreflightRefused: One of them says nothing, and the job asks to be refused then.
        """

        def kept(documents: Documents) -> Compiled | None:
            document = documents.find(steps.transpile(call.rung, call.changes), CompiledDocument)
            return None if document is None else brief(document)

        async def work(documents: Documents) -> Outcome[Compiled]:
            route = documents.need(steps.PLAN_ROUTE, Route)
            validated = documents.need(steps.VALIDATE, ValidatedDocument)
            changes = changes_on(documents, call.rung, call.changes)
            outcome = await self.work(call, validated, route, changes)
            return Outcome(brief(outcome.answer), outcome.rows, outcome.events, outcome.writes)

        return await self._checkpoints.once(call, kept, work)

    async def work(
        self, call: StageCall, validated: ValidatedDocument, route: Route, changes: Sequence[Change] = ()
    ) -> Outcome[CompiledDocument]:
        """The stage itself, for its own activity and for the merged one.

        Args:
            call: The stage.
            validated: What validation found.
            route: As planned.
            changes: Of the rung so far.

        Raises:
            UnsupportedCircuit: The target cannot run one of the circuits.
            SurvivalTooLow: One of them would answer with noise there, and another rung is left.
            PreflightRefused: One of them says nothing, and the job asks to be refused then.
        """
        began = now()
        rung = route.rungs[call.rung]
        request = as_changed(read_request(await self._shelf.artifact(validated.request)), changes)
        circuits = validated.circuits if rung.target.reads_circuits else ()
        compiled = await asyncio.gather(
            *(self._one(circuit, rung, request.transpile) for circuit in circuits)
        )
        if compiled:
            survival_gate.check(route, call.rung, validated, compiled, request.fallback)
        found = (
            await self._preflights.look(call.job_id, request, validated, rung.name)
            if rung.target.paid
            else ()
        )
        made = await self._twins.make(request, validated, rung, compiled)
        folded, unfolded = await self._folding.make(request, validated, rung, compiled)
        document = CompiledDocument(
            circuits=tuple(compiled),
            preflight=found,
            twins=made,
            folded=folded,
            unfolded=unfolded,
            calibrating=await self._calibrations.plan(call.job_id, request, rung, compiled),
        )
        isas = {circuit.isa for circuit in compiled} | {circuit.isa for circuit in folded}
        isas |= {twin.isa for twin in twins.riding(document)}
        isas.update(document.calibrating.circuits if document.calibrating else ())
        bodies = [await self._shelf.artifact(isa) for isa in isas]

        def keep(connection: Connection) -> None:
            # Again for those from memory: whoever compiled them may not have come to write them down.
            artifacts.put(connection, ArtifactKind.ISA, bodies)

        summary = brief(document)
        survivals = [circuit.survival.value for circuit in compiled if circuit.survival is not None]
        survival = f", survival {min(survivals):.2g}" if survivals else ""
        detail = (
            f"depth {summary.depth}, {summary.two_qubit_gates} two-qubit gates{survival}{preflight.in_words(found)}, "
            f"{summary.hits} of {summary.circuits} from the cache"
        )
        row = timed(steps.transpile(call.rung, call.changes), Activity.TRANSPILE, began, document)
        return Outcome(document, [row], [(State.COMPILED, now(), detail)], [keep])

    async def _one(self, circuit: ParsedCircuit, rung: Rung, options: TranspileOptions) -> CompiledCircuit:
        noiseless = is_noiseless(rung.target)
        level = usual_level(rung.target) if options.level is None else options.level
        choice = rung.methods.get(circuit.canonical)
        target_hash, target = await self._target(rung, Method.AUTOMATIC if choice is None else choice.method)
        if not circuit.cacheable:
            return (await self._compile(circuit, target_hash, target, level, options))[0].model_copy(
                update={"cache": "off"}
            )
        key = cache_key(circuit.canonical, target_hash, level, options)
        began = asyncio.get_running_loop().time()
        if key in self._remembered:
            found, seconds = self._remembered[key]
            return _as_hit(found, seconds - (asyncio.get_running_loop().time() - began))
        if key in self._under_way:
            found = await asyncio.shield(self._under_way[key])
            return _as_hit(found, 0.0)
        self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            found = await self._look_up_or_compile(
                key, circuit, target_hash, target, level, options, noiseless=noiseless
            )
        except BaseException as failure:
            self._under_way[key].set_exception(
                failure if isinstance(failure, Exception) else InternalError("transpilation stopped")
            )
            self._under_way[key].exception()  # seen, so that nobody complains when nobody waits
            raise
        else:
            self._under_way[key].set_result(found)
            return found
        finally:
            del self._under_way[key]

    async def _look_up_or_compile(
        self,
        key: str,
        circuit: ParsedCircuit,
        target_hash: str,
        target: bytes,
        level: int,
        options: TranspileOptions,
        *,
        noiseless: bool,
    ) -> CompiledCircuit:
        if noiseless and circuit.traits.size < _WORTH_STORING:
            return self._remember(key, *await self._compile(circuit, target_hash, target, level, options))
        database, holder = self._checkpoints.database, activity.info().task_token.hex()[:40]
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            found = await database.write(transpiles.claim, key, holder, _PATIENCE)
            match found:
                case transpiles.Hit():
                    hit = CompiledCircuit.read(found.compiled)
                    return _as_hit(
                        self._remember(key, hit, found.seconds), found.seconds - (loop.time() - began)
                    )
                case transpiles.Ours():
                    break
            if loop.time() - began > _LIMITS.wall_seconds:
                raise OutOfTime(f"another worker did not finish transpiling circuit {circuit.dress.name!r}")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            async with self._claimed(key, holder):
                compiled, seconds = await self._compile(circuit, target_hash, target, level, options)
        except BaseException:
            await asyncio.shield(database.write(transpiles.release, key, holder))
            raise
        body = await self._shelf.artifact(compiled.isa)
        self._checkpoints.failpoint("transpile:compiled")
        await database.write(transpiles.fill, key, body, compiled.model_dump_json(), seconds)
        return self._remember(key, compiled, seconds)

    @contextlib.asynccontextmanager
    async def _claimed(self, key: str, holder: str) -> AsyncIterator[None]:
        """Renew a claim for as long as the work on it takes, so that only a dead holder's runs out."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(_PATIENCE.total_seconds() / 3)
                with contextlib.suppress(StoreUnavailable):
                    await self._checkpoints.database.write(transpiles.claim, key, holder, _PATIENCE)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    def _remember(self, key: str, compiled: CompiledCircuit, seconds: float) -> CompiledCircuit:
        self._remembered[key] = (compiled, seconds)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return compiled

    async def _compile(
        self, circuit: ParsedCircuit, target_hash: str, target: bytes, level: int, options: TranspileOptions
    ) -> tuple[CompiledCircuit, float]:
        """The compiled circuit, whose body is on the shelf's memory alone, and the seconds it took."""
        began = asyncio.get_running_loop().time()
        payload = {
            "target": target,
            "target_hash": target_hash,
            "level": level,
            "options": options.model_dump_json(),
            "circuits": [{"qpy": await self._shelf.artifact(circuit.qpy), "name": circuit.dress.name}],
        }
        answer: dict[str, Any]
        (answer,) = await self._pool.call(
            "circuits.compilation:compile_circuits", payload, _LIMITS, what="transpiling"
        )
        self._shelf.remember(answer["isa"], answer["qpy"])
        compiled = CompiledCircuit(
            isa=answer["isa"],
            layout=answer["layout"],
            depth=answer["depth"],
            two_qubit_gates=answer["two_qubit_gates"],
            size=answer["size"],
            active=len(answer["busy"]),
            busy=answer["busy"],
            unusable=answer["unusable"],
            level=level,
            seed=options.seed or 0,
            target=target_hash,
            survival=answer["survival"],
        )
        return compiled, asyncio.get_running_loop().time() - began

    async def _target(self, rung: Rung, method: Method) -> tuple[str, bytes]:
        """The target document as JSON, with its hash."""
        if rung.target.target is not None:
            return rung.target.target, await self._shelf.artifact(rung.target.target)
        key = f"{rung.name}/{method}/{rung.target.version}"
        if key not in self._targets:
            body = (await self._registry.get(rung.name).target_document(method)).model_dump_json().encode()
            self._targets[key] = (await self._shelf.keep_artifact("target", body), body)
        return self._targets[key]


def cache_key(canonical: str, target_hash: str, level: int, options: TranspileOptions) -> str:
    """What decides the outcome of a transpilation."""
    return digest(
        "\0".join(
            (
                canonical,
                target_hash,
                str(level),
                options.model_dump_json(exclude={"level"}),
                version("qiskit"),
            )
        )
    )


def brief(document: CompiledDocument) -> Compiled:
    """What the workflow needs of it."""
    return Compiled(
        depth=max((circuit.depth for circuit in document.circuits), default=0),
        two_qubit_gates=max((circuit.two_qubit_gates for circuit in document.circuits), default=0),
        hits=sum(circuit.cache == "hit" for circuit in document.circuits),
        circuits=len(document.circuits),
    )


def _as_hit(compiled: CompiledCircuit, saved_seconds: float) -> CompiledCircuit:
    return compiled.model_copy(update={"cache": "hit", "saved_seconds": max(0.0, saved_seconds)})
