"""What the store keeps of matrices, on both databases."""

import struct
from typing import Any

from qurable.contracts.matrices import MatrixReport, MatrixState, PreparedMatrix
from qurable.matrices import as_kernel
from store import artifacts, matrices
from store.database import Database, now
from store.matrices import Entry

PAIRS = ((0, 1), (0, 2), (1, 2))
ADDRESSES = ("a", "b", "c")


def prepared(**options: Any) -> PreparedMatrix:
    """Of three samples."""
    request = as_kernel("OPENQASM 3.0;\ninput float a;\nqubit q;\n", [[0.1], [0.2], [0.3]], **options)
    return PreparedMatrix(
        request=request,
        circuit=request.circuit,
        qubits=1,
        identity="i",
        parameters=("a",),
        left=("x",),
        right=("y",),
        rows=request.x_train,
        entries=PAIRS,
        train=(0, 1, 2),
        base=0,
    )


def entry(number: int, value: float, *, degraded: bool = False) -> Entry:
    """A value that a job has brought."""
    return Entry(
        number, struct.pack("<d", value), struct.pack("<d", 0.0), 10, "counts", "lab-1", "aer", degraded
    )


async def taken_in(database: Database, name: str, addresses: tuple[str, ...] = ADDRESSES) -> None:
    """A matrix of three entries."""
    await database.write(matrices.take_in, name, "lab", "hash", "first", prepared(), addresses)


async def report(database: Database, name: str, **changes: Any) -> MatrixReport:
    """As its end would make it."""
    status = await database.read(matrices.status, name)
    assert status is not None
    return MatrixReport(
        id=name,
        project="lab",
        kind="kernel",
        state=MatrixState.COMPLETED,
        samples=3,
        entries=3,
        kept=status.kept,
        reused=status.reused,
        accepted=now(),
        ended=now(),
        **changes,
    )


async def test_a_value_that_is_kept_stays(database: Database) -> None:
    """An activity that runs twice brings it twice; the matrix knows how far it has looked."""
    await taken_in(database, "one")
    await taken_in(database, "one", ("x", "y", "z"))
    await database.write(matrices.keep, "one", 0, [entry(0, 0.5)], 1)
    await database.write(matrices.keep, "one", 0, [entry(0, 0.9), entry(1, 0.25)], 2)
    await database.write(matrices.keep, "one", 0, [], 1)

    known = await database.read(matrices.known, "one")
    row = await database.read(matrices.find, "one")

    assert [(found.number, struct.unpack("<d", found.value)[0]) for found in known] == [(0, 0.5), (1, 0.25)]
    assert row is not None
    assert (row.seen, matrices.prepared_of(row).entries) == (2, PAIRS)
    assert await database.read(matrices.asked_in, "one", 0) == [0, 1, 2]


async def test_another_matrix_takes_over_what_it_asks_too(database: Database) -> None:
    """By address, whatever the number; not what a lower rung has answered."""
    await taken_in(database, "one")
    await database.write(matrices.keep, "one", 0, [entry(0, 0.5), entry(1, 0.25, degraded=True)], 1)

    await taken_in(database, "two", ("c", "b", "a"))

    status = await database.read(matrices.status, "two")
    assert status is not None
    assert (status.entries, status.kept, status.reused) == (3, 1, 1)
    assert await database.read(matrices.known, "two") == [entry(2, 0.5)]
    assert await database.read(matrices.asked_in, "two", 0) == [0, 1]


async def test_a_rerun_asks_for_what_is_missing_once(database: Database) -> None:
    """Each execution that asks is a round; what another matrix has meanwhile is taken over first."""
    await taken_in(database, "one")
    await database.write(matrices.keep, "one", 0, [entry(0, 0.5)], 1)
    incomplete = await report(database, "one")
    incomplete = incomplete.model_copy(update={"state": MatrixState.INCOMPLETE})
    await database.write(matrices.end, incomplete, "first", None)
    await taken_in(database, "two", ("c", "d", "e"))
    await database.write(matrices.keep, "two", 0, [entry(0, 0.75)], 1)

    await database.write(matrices.run_again, "one", "second")
    await database.write(matrices.run_again, "one", "second")

    row, status = await database.read(matrices.find, "one"), await database.read(matrices.status, "one")
    assert row is not None
    assert status is not None
    assert (row.round, row.seen, row.report, status.state) == (1, 0, None, MatrixState.RUNNING)
    assert (status.kept, status.reused) == (2, 1)
    assert await database.read(matrices.asked_in, "one", 1) == [1]
    assert await database.read(matrices.asked_in, "one", 0) == [0]


async def test_the_first_report_of_an_execution_stands(database: Database) -> None:
    """With its file; an attempt of an execution that was followed by another writes none."""
    await taken_in(database, "one")
    first = await report(database, "one", sha256="s1")
    second = await report(database, "one", sha256="s2")

    stale = await database.write(matrices.end, second, "an older one", None)
    assert await database.read(matrices.find_report, "one") is None
    kept = await database.write(matrices.end, first, "first", b"the file")
    again = await database.write(matrices.end, second, "first", None)
    await database.write(matrices.run_again, "one", "second")

    assert (stale.sha256, kept.sha256, again.sha256) == ("s2", "s1", "s1")
    (key,) = await database.write(artifacts.put, artifacts.ArtifactKind.MATRIX, [b"the file"])
    assert await database.read(artifacts.get, [key]) == {key: b"the file"}
    row = await database.read(matrices.find, "one")
    assert row is not None
    assert (row.round, row.state) == (0, MatrixState.COMPLETED)
