"""Variational loops: what each evaluates, every iteration of it, and its report. A loop's log only ever grows."""

import json
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from circuits.seeds import STRIDE, iteration_base
from qurable.contracts.loop_places import IN_CHUNKS
from qurable.contracts.optimisations import (
    Evaluation,
    LoopState,
    OptimisationReport,
    PreparedLoop,
)
from qurable.errors import InternalError, KeyReused
from store.clock import moment
from store.database import insert_once, utc
from store.schema import iterations, optimisations

PAGE = 2000
"""Evaluations that are read at once."""


@dataclass(frozen=True)
class Block:
    """Iterations of a log that were kept together.

    Attributes:
        first: Number of the first.
        sizes: Points of each.
        x: Parameters of all points in turn, float64.
        values: Of the objective.
        errors: Their standard errors.
        shots: Of each measured group; None where values are exact.
        seconds: What they took.
        backend: Where they were evaluated.
        job_id: By which job; empty where it was none.
    """

    first: int
    sizes: Sequence[int]
    x: bytes
    values: bytes
    errors: bytes
    shots: int | None
    seconds: float
    backend: str = IN_CHUNKS
    job_id: str = ""

    @property
    def stop(self) -> int:
        """Number of the iteration that follows."""
        return self.first + len(self.sizes)


def begin(connection: Connection, prepared: PreparedLoop, body_hash: str, owner: str) -> None:
    """Keep a loop; one that is there stays, and another execution takes it over.

    Raises:
        KeyReused: Its key belongs to a loop with another body.
    """
    loop = prepared.loop
    row = {
        "id": loop.id,
        "project": loop.project,
        "body_hash": body_hash,
        "owner": owner,
        "state": LoopState.RUNNING,
        "prepared": zlib.compress(prepared.model_dump_json().encode()),
        "holder": "",
        "report": None,
        "began_at": moment(connection),
        "ended_at": None,
    }
    if insert_once(connection, optimisations, row):
        return
    known = connection.execute(
        select(optimisations.c.body_hash).where(optimisations.c.id == loop.id)
    ).scalar_one()
    if known != body_hash:
        raise KeyReused(
            f"the idempotency key of loop {loop.id!r} already belongs to one with another body: use a new key for a new loop",
            job_id=loop.id,
        )
    connection.execute(update(optimisations).where(optimisations.c.id == loop.id).values(owner=owner))


def find(connection: Connection, loop_id: str) -> PreparedLoop | None:
    """What a loop evaluates; None where there is no such loop."""
    body = connection.execute(select(optimisations.c.prepared).where(optimisations.c.id == loop_id)).scalar()
    return None if body is None else PreparedLoop.read(zlib.decompress(body))


def find_report(connection: Connection, loop_id: str) -> OptimisationReport | None:
    """The report of a loop that has ended."""
    body = connection.execute(select(optimisations.c.report).where(optimisations.c.id == loop_id)).scalar()
    return None if body is None else OptimisationReport.read(zlib.decompress(body))


def claim(connection: Connection, loop_id: str, holder: str) -> None:
    """Make an attempt at a chunk the only one that may append."""
    connection.execute(update(optimisations).where(optimisations.c.id == loop_id).values(holder=holder))


def append(connection: Connection, loop_id: str, holder: str, block: Block) -> bool:
    """Keep a block at the end of the log; False where another attempt has begun since whoever made it did.

    Raises:
        InternalError: It does not begin where the log ends.
    """
    held = connection.execute(
        select(optimisations.c.holder).where(optimisations.c.id == loop_id).with_for_update()
    ).scalar_one()
    if held != holder:
        return False
    end = connection.execute(
        select(func.max(iterations.c.stop)).where(iterations.c.loop_id == loop_id)
    ).scalar()
    if block.first != (end or 0):
        raise InternalError(f"iteration {block.first} of loop {loop_id!r} does not follow iteration {end}")
    row = {
        "loop_id": loop_id,
        "first": block.first,
        "stop": block.stop,
        "sizes": json.dumps(list(block.sizes)),
        "shots": block.shots,
        "x": block.x,
        "value": block.values,
        "error": block.errors,
        "seconds": block.seconds,
        "backend": block.backend,
        "job_id": block.job_id,
    }
    return insert_once(connection, iterations, row)


def log(connection: Connection, loop_id: str, start: int = 0) -> list[Block]:
    """The blocks of a loop's log, in order, from the one that holds an iteration."""
    query = (
        select(iterations)
        .where(iterations.c.loop_id == loop_id, iterations.c.stop > start)
        .order_by(iterations.c.first)
    )
    return [
        Block(
            first=row["first"],
            sizes=json.loads(row["sizes"]),
            x=bytes(row["x"]),
            values=bytes(row["value"]),
            errors=bytes(row["error"]),
            shots=row["shots"],
            seconds=row["seconds"],
            backend=row["backend"],
            job_id=row["job_id"],
        )
        for row in connection.execute(query).mappings()
    ]


def evaluations(connection: Connection, loop_id: str, start: int = 0) -> tuple[Evaluation, ...]:
    """Evaluations of a loop from an iteration on: all of about two thousand's iterations."""
    seed = connection.execute(select(optimisations.c.prepared).where(optimisations.c.id == loop_id)).scalar()
    if seed is None:
        return ()
    base = PreparedLoop.read(zlib.decompress(seed)).loop.seed
    found: list[Evaluation] = []
    for block in log(connection, loop_id, start):
        found += [entry for entry in _evaluations(block, base) if entry.iteration >= start]
        if len(found) >= PAGE:
            break
    return tuple(found)


def _evaluations(block: Block, seed: int) -> Iterator[Evaluation]:
    x, values, errors = array("d", block.x), array("d", block.values), array("d", block.errors)
    width, at = len(x) // len(values), 0
    for iteration, size in enumerate(block.sizes, start=block.first):
        base = iteration_base(seed, iteration)
        for member in range(size):
            yield Evaluation(
                iteration=iteration,
                member=member,
                x=tuple(x[at * width : (at + 1) * width]),
                value=values[at],
                error=errors[at],
                seed=base + STRIDE * member,
                shots=block.shots,
                backend=block.backend,
                job_id=block.job_id,
            )
            at += 1


def began(connection: Connection, loop_id: str) -> datetime:
    """When a loop was prepared."""
    return utc(
        connection.execute(select(optimisations.c.began_at).where(optimisations.c.id == loop_id)).scalar_one()
    )


def end(connection: Connection, report: OptimisationReport) -> OptimisationReport:
    """Give a loop its report; the first one stands and is given back."""
    given = connection.execute(
        update(optimisations)
        .where(optimisations.c.id == report.id, optimisations.c.report.is_(None))
        .values(
            state=report.state,
            report=zlib.compress(report.model_dump_json().encode()),
            ended_at=report.ended,
        )
    )
    if given.rowcount:
        return report
    return find_report(connection, report.id) or report
