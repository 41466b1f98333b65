"""Validate: circuits are parsed in a child, and everything that can be refused is refused before it costs."""

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection
from temporalio import activity

from activities import mitigating, steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import ValidatedDocument
from activities.references import refuse_unknown_jobs
from activities.request import read_unchecked
from circuits.askable import refuse_impossible
from circuits.problems import is_diagonal
from circuits.runnable import bit_of_variable, check_pub, pubs_of
from circuits.source import SourceLimits
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.circuits import Circuit, ParsedCircuit
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.problems import LinearProgram
from qurable.contracts.reports import State
from qurable.contracts.stages import PrepareCall, Validated
from qurable.names import Activity
from store import artifacts
from store.artifacts import ArtifactKind
from store.database import now
from store.shelf import StoreShelf

_PARSE_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0, cpu_seconds=120.0)
_REMEMBERED = 512
_SEEDS = 2**31


class Validate:
    """Parses and checks.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        pool: Children that parse.
        limits: What a circuit may be.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, pool: ChildPool, limits: SourceLimits
    ) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._pool = pool
        self._limits = limits
        self._remembered: OrderedDict[str, tuple[ParsedCircuit, bytes]] = OrderedDict()

    @activity.defn(name=Activity.VALIDATE)
    @speaks_temporal
    async def validate(self, call: PrepareCall, body: Any) -> Validated:
        """Check a request that the caller's own stage rewrote; `body` is what it made of it.

        Raises:
            RequestRejected: Naming the thing, the limit and the way out.
        """

        def kept(documents: Documents) -> Validated | None:
            document = documents.find(steps.VALIDATE, ValidatedDocument)
            return None if document is None else brief(document)

        async def work(_: Documents) -> Outcome[Validated]:
            outcome = await self.work(call, to_json(body))
            return Outcome(brief(outcome.answer), outcome.rows, outcome.events, outcome.writes)

        return await self._checkpoints.once(call.call, kept, work)

    async def work(self, call: PrepareCall, body: bytes | None = None) -> Outcome[ValidatedDocument]:
        """The stage itself, for its own activity and for the merged one.

        Args:
            call: The stage, and the stored request.
            body: What runs in its place.
        """
        began = now()
        if body is None:
            body = await self._shelf.artifact(call.request)
        request = read_unchecked(body)
        kind, pubs = pubs_of(request)
        sources = {pub.circuit.source_hash: pub.circuit for pub in pubs}
        parsed = await self._parse(list(sources.values()))
        order = {source: number for number, source in enumerate(sources)}
        circuit_of = tuple(order[pub.circuit.source_hash] for pub in pubs)
        circuits = tuple(circuit for circuit, _ in parsed)
        warnings = [
            warning
            for number, pub in enumerate(pubs)
            for warning in check_pub(number, pub, circuits[circuit_of[number]])
        ]
        problem = None if isinstance(request, EstimateJob) else request.problem
        dresses = [circuits[at].dress for at in circuit_of]
        refuse_impossible(request.checks, pubs, dresses, problem)
        await refuse_unknown_jobs(self._checkpoints.database, request)
        mitigating.refuse_impossible(request, circuits, circuit_of)
        document = ValidatedDocument(
            request=digest(body),
            circuits=circuits,
            circuit_of=circuit_of,
            seed=_base_seed(call.call.job_id, request),
            seed_minted=request.seed is None and not request.seeds,
            bit_of_variable=await self._bits(request, circuits),
            warnings=tuple(dict.fromkeys(warnings)),
        )
        artifact = body

        def keep(connection: Connection) -> None:
            if document.request != call.request:
                artifacts.put(connection, ArtifactKind.REQUEST, [artifact])
            artifacts.put(connection, ArtifactKind.CIRCUIT, [qpy for _, qpy in parsed])

        for circuit, qpy in parsed:
            self._shelf.remember(circuit.qpy, qpy)
        self._shelf.remember(document.request, artifact)
        detail = (
            f"{len(pubs)} pubs to {kind}, {len(circuits)} circuits" if pubs else "a problem without a circuit"
        )
        row = timed(steps.VALIDATE, Activity.VALIDATE, began, document)
        return Outcome(document, [row], [(State.VALIDATED, now(), detail)], [keep])

    async def _parse(self, circuits: Sequence[Circuit]) -> list[tuple[ParsedCircuit, bytes]]:
        """Parsed circuits in order; those that this worker has parsed before come from memory."""
        unknown = [circuit for circuit in circuits if _memory_key(circuit) not in self._remembered]
        if unknown:
            payload = {
                "limits": dataclasses.asdict(self._limits),
                "circuits": [_entry(circuit) for circuit in unknown],
            }
            answers = await self._pool.call(
                "circuits.parse:parse_circuits", payload, _PARSE_LIMITS, what="parsing"
            )
            for circuit, (document, qpy) in zip(unknown, answers, strict=True):
                self._remembered[_memory_key(circuit)] = (ParsedCircuit.read(document), qpy)
        parsed = [self._remembered[_memory_key(circuit)] for circuit in circuits]
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return parsed

    async def _bits(
        self, request: SampleJob | EstimateJob | SolveJob, circuits: Sequence[ParsedCircuit]
    ) -> tuple[int, ...]:
        problem = None if isinstance(request, EstimateJob) else request.problem
        if problem is None or not circuits or not is_diagonal(problem):
            return ()
        if isinstance(problem, LinearProgram):
            payload = {"format": problem.format, "text": problem.text, "variables": problem.variables}
            names = await self._pool.call(
                "circuits.programs:read_variables", payload, _PARSE_LIMITS, what="reading the program"
            )
            problem = problem.model_copy(update={"variables": tuple(names)})
        return await asyncio.to_thread(bit_of_variable, problem, circuits[0])


def brief(document: ValidatedDocument) -> Validated:
    """What the workflow needs of it."""
    return Validated(
        qubits=max((circuit.traits.num_qubits for circuit in document.circuits), default=0),
        circuit=document.circuits[0].canonical[:16] if document.circuits else "",
    )


def _base_seed(job_id: str, request: SampleJob | EstimateJob | SolveJob) -> int:
    given = request.seeds[0] if request.seeds else request.seed
    return minted_seed(job_id) if given is None else given


def minted_seed(job_id: str) -> int:
    """A base seed for a job that gave none: the same for the same job, different from its siblings'."""
    seed: int = int(digest(f"seed\0{job_id}")[:8], 16) % _SEEDS
    return seed


def _memory_key(circuit: Circuit) -> str:
    return digest("\0".join((circuit.source_hash, circuit.name, repr(sorted(circuit.metadata.items())))))


def _entry(circuit: Circuit) -> dict[str, Any]:
    return {
        "format": str(circuit.format),
        "source": circuit.source,
        "source_hash": circuit.source_hash,
        "name": circuit.name,
        "metadata": circuit.metadata,
    }
