"""Raw results of submissions, piece by piece as they are done."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, select

from qurable.contracts.executions import Piece
from store.database import insert_all
from store.schema import results


def put(connection: Connection, tag: str, pieces: Sequence[Piece]) -> None:
    """Keep pieces; the first of a range stands."""
    insert_all(
        connection,
        results,
        [
            {
                "tag": tag,
                "pub": piece.pub,
                "start": piece.start,
                "stop": piece.stop,
                "data": piece.data,
                "notes": json.dumps(piece.notes),
                "seconds": piece.seconds,
            }
            for piece in pieces
        ],
    )


def ranges(connection: Connection, tag: str) -> set[tuple[int, int, int]]:
    """(pub, start, stop) of the pieces that are there."""
    query = select(results.c.pub, results.c.start, results.c.stop).where(results.c.tag == tag)
    return {(row.pub, row.start, row.stop) for row in connection.execute(query)}


def get(connection: Connection, tag: str, pubs: range | None = None) -> list[Piece]:
    """All pieces of a submission, or of some of its pubs that follow each other, in order."""
    query = select(results).where(results.c.tag == tag)
    if pubs is not None:
        query = query.where(results.c.pub >= pubs.start, results.c.pub < pubs.stop)
    rows = connection.execute(query.order_by(results.c.pub, results.c.start))
    return [
        Piece(
            pub=row.pub,
            start=row.start,
            stop=row.stop,
            data=bytes(row.data),
            notes=json.loads(row.notes),
            seconds=row.seconds,
        )
        for row in rows
    ]
