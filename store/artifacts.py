"""Circuits, ISA circuits, targets, requests, mitigated counts, calibrations and matrices, kept under the SHA-256 of their bytes."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sqlalchemy import Connection, select

from qurable.contracts.base import digest
from qurable.errors import InternalError
from store.database import insert_all, now
from store.schema import artifacts


class ArtifactKind(StrEnum):
    """What an artifact is."""

    REQUEST = "request"
    CIRCUIT = "circuit"
    ISA = "isa"
    TARGET = "target"
    SUBMISSION = "submission"
    MITIGATED = "mitigated"
    CALIBRATION = "calibration"
    MATRIX = "matrix"


def put(connection: Connection, kind: ArtifactKind, bodies: Iterable[bytes]) -> list[str]:
    """Keep bodies; each is kept once. Gives back their hashes in order."""
    created = now()
    hashed = [(digest(body), body) for body in bodies]
    insert_all(
        connection,
        artifacts,
        [
            {"hash": key, "kind": kind, "size": len(body), "body": body, "created_at": created}
            for key, body in dict(hashed).items()
        ],
    )
    return [key for key, _ in hashed]


def get(connection: Connection, keys: Iterable[str]) -> Mapping[str, bytes]:
    """Bodies by their hashes.

    Raises:
        InternalError: One is not there.
    """
    wanted = set(keys)
    rows = connection.execute(select(artifacts.c.hash, artifacts.c.body).where(artifacts.c.hash.in_(wanted)))
    found = {row.hash: bytes(row.body) for row in rows}
    if missing := wanted - set(found):
        raise InternalError(f"the store does not have the artifacts {sorted(missing)}")
    return found
