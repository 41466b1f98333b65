"""Preflight: before a project first pays for a circuit, look at what it would answer."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from activities.documents import CompiledDocument, Preflight, ValidatedDocument
from activities.questions import canonical_bindings
from circuits.runnable import pubs_of
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime, PreflightRefused
from store import paid_circuits, preflights
from store.database import Database
from store.shelf import StoreShelf

LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=20.0)
"""Of one circuit; what takes more is not looked at further."""

JOB_SECONDS = 60.0
"""After so long the rest of a job's circuits is not looked at."""

_EDITION = "1"
"""Of what is looked for; another one looks again."""


class Preflights:
    """Looks ahead.

    Args:
        database: The store.
        shelf: Where circuits are.
        pool: Children that simulate.
    """

    def __init__(self, database: Database, shelf: StoreShelf, pool: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool

    async def look(
        self,
        job_id: str,
        request: SampleJob | EstimateJob | SolveJob,
        validated: ValidatedDocument,
        backend: str,
    ) -> tuple[Preflight, ...]:
        """What speaks against paying for the job's circuits, of those that its project has yet to pay for.

        Estimates are left out: without noise their answer is the value that is asked for.

        Raises:
            PreflightRefused: Something does, and the job asks to be refused then.
        """
        kind, pubs = pubs_of(request)
        if request.ibm.preflight == "off" or kind == "estimate":
            return ()
        clock = asyncio.get_running_loop().time
        until = clock() + JOB_SECONDS
        pub_of = {at: number for number, at in reversed(list(enumerate(validated.circuit_of)))}
        found = []
        for at, circuit in enumerate(validated.circuits):
            if clock() > until:
                break
            if await self._database.read(
                paid_circuits.some_new, request.project, {circuit.canonical}, job_id
            ):
                preflight = await self._of(circuit, pubs[pub_of[at]].bindings)
                found.append(preflight.model_copy(update={"circuit": circuit.dress.name}))
        if request.ibm.preflight == "refuse":
            _refuse(found, backend)
        return tuple(found)

    async def _of(self, circuit: ParsedCircuit, bindings: Bindings) -> Preflight:
        rows = _first_and_last(
            canonical_bindings(bindings, circuit.dress.parameters), len(circuit.dress.parameters)
        )
        circuit_hash = circuit.canonical if circuit.cacheable else circuit.qpy
        key = digest("\0".join(("preflight", _EDITION, circuit_hash, repr(rows))))
        kept = await self._database.read(preflights.find, key)
        if kept is not None:
            return Preflight.read(kept)
        began = asyncio.get_running_loop().time()
        payload: Mapping[str, Any] = {"qpy": await self._shelf.artifact(circuit.qpy), "values": rows}
        try:
            answer = await self._pool.call(
                "circuits.preflight:look_ahead", payload, LIMITS, what="looking ahead"
            )
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            # A look ahead that fails is no reason to send nothing.
            answer = {"how": f"nothing: {failure.message}"}
        found = Preflight.model_validate(answer)
        took = asyncio.get_running_loop().time() - began
        await self._database.write(preflights.keep, key, found.model_dump_json(), took)
        return found


def _first_and_last(bindings: Bindings, width: int) -> list[list[float]]:
    if not width or not bindings.size:
        return []
    rows = [list(bindings.values[row * width : (row + 1) * width]) for row in (0, bindings.size - 1)]
    return rows if rows[0] != rows[1] else rows[:1]


def _refuse(found: Sequence[Preflight], backend: str) -> None:
    """Raises: PreflightRefused."""
    for preflight in found:
        if preflight.findings:
            raise PreflightRefused(
                f"circuit {preflight.circuit!r} is not sent to {backend!r}: {'; '.join(preflight.findings)} (simulated was "
                f"{preflight.how}); mend it, or ask for ibm.preflight 'warn'",
                findings=list(preflight.findings),
            )


def warnings(compiled: CompiledDocument) -> Iterator[str]:
    """What is to be said of circuits that were paid for all the same."""
    for preflight in compiled.preflight:
        for finding in preflight.findings:
            yield f"before circuit {preflight.circuit!r} was paid for, it was simulated ({preflight.how}): {finding}"


def in_words(found: Sequence[Preflight]) -> str:
    """For the event of the stage; empty where nobody looked."""
    findings = [finding for preflight in found for finding in preflight.findings]
    return f", preflight: {findings[0] if findings else 'nothing found'}" if found else ""
