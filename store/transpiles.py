"""The transpile cache: content-addressed, shared by all workers, each circuit compiled once."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, select, update

from store import artifacts
from store.artifacts import ArtifactKind
from store.database import insert_once, now, utc
from store.schema import transpiles


@dataclass(frozen=True)
class Hit:
    """A compiled circuit.

    Attributes:
        compiled: `CompiledCircuit` as JSON.
        seconds: What the first transpilation took.
    """

    compiled: str
    seconds: float


class Busy:
    """Another worker is compiling it."""


class Ours:
    """Nobody has it: compile it, then `fill`."""


def claim(connection: Connection, key: str, holder: str, patience: timedelta) -> Hit | Busy | Ours:
    """Look a key up, and claim it where nobody compiles it.

    Args:
        connection: As everywhere.
        key: Of circuit, target, options and versions.
        holder: Who asks; one holder may claim again.
        patience: After it, a claim that brought nothing is taken over.
    """
    moment = now()
    claim = {
        "key": key,
        "holder": holder,
        "held_until": moment + patience,
        "created_at": moment,
        "seconds": 0.0,
    }
    if insert_once(connection, transpiles, claim):
        return Ours()
    row = connection.execute(select(transpiles).where(transpiles.c.key == key)).one()
    if row.compiled is not None:
        return Hit(row.compiled, row.seconds)
    if row.holder != holder and utc(row.held_until) > moment:
        return Busy()
    connection.execute(
        update(transpiles)
        .where(transpiles.c.key == key, transpiles.c.compiled.is_(None))
        .values(holder=holder, held_until=moment + patience)
    )
    return Ours()


def fill(connection: Connection, key: str, isa: bytes, compiled: str, seconds: float) -> None:
    """Give a claimed key its circuit, and keep the circuit."""
    artifacts.put(connection, ArtifactKind.ISA, [isa])
    connection.execute(
        update(transpiles)
        .where(transpiles.c.key == key, transpiles.c.compiled.is_(None))
        .values(compiled=compiled, seconds=seconds)
    )


def release(connection: Connection, key: str, holder: str) -> None:
    """Let go of a claim that failed, so that the next to come does not wait for it."""
    connection.execute(
        update(transpiles)
        .where(transpiles.c.key == key, transpiles.c.holder == holder, transpiles.c.compiled.is_(None))
        .values(held_until=now())
    )
