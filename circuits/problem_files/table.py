"""Tables of numbers: a list of edges or entries by the names of its columns, or a square matrix.

Columns `u,v` or `u,v,weight` (also `source,target`) are a graph, `i,j,value` a QUBO, in any order and in capitals or
not. A table without such names is a matrix: of a QUBO, whose halves add up, or where the file's owner says so of the
weights of a graph, which is symmetric. Nodes and variables count from 0 unless the file's owner says 1.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from circuits.problem_files import coo, edge_list
from circuits.problem_files.lines import MAX_VARIABLES, Found
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected

MAX_COLUMNS = 2_000
MAX_CELLS = 4_000_000

Row = tuple[str, Sequence[Any]]
"""Where it stands, as in `line 3`, and its cells."""

_GRAPHS = (("u", "v"), ("source", "target"))
_WEIGHT = "weight"
_QUBO = ("i", "j", "value")
_SHOWN = 40


def read_table(file: ProblemFile, header: Sequence[str] | None, rows: Iterable[Row]) -> Found:
    """What a table holds.

    Raises:
        RequestRejected: Naming the row and the column.
    """
    names = [name.strip().lower() for name in header or ()]
    for pair in _GRAPHS:
        if set(pair) <= set(names):
            return _listed(file, names, [*pair, _WEIGHT], rows, file.table or "maxcut")
    if set(_QUBO) <= set(names):
        return _listed(file, names, _QUBO, rows, file.table or "qubo")
    return _square(file, list(header or ()), list(rows))


def _listed(
    file: ProblemFile, names: Sequence[str], wanted: Sequence[str], rows: Iterable[Row], meaning: str
) -> Found:
    """A table of edges or entries."""
    _check_columns(file, names, wanted)
    entries = []
    for where, cells in rows:
        _check_width(file, where, cells, len(names))
        by_name = dict(zip(names, cells, strict=True))
        one, other = (_index(file, where, name, by_name[name]) for name in wanted[:2])
        weight = _number(file, where, wanted[2], by_name[wanted[2]]) if wanted[2] in by_name else 1.0
        if meaning == "maxcut" and one == other:
            raise _wrong(file, where, wanted[1], "an edge from a node to itself is never cut; leave it out")
        entries.append((one, other, weight))
    return edge_list.cut(file, entries) if meaning == "maxcut" else coo.matrix(file, entries)


def _check_columns(file: ProblemFile, names: Sequence[str], wanted: Sequence[str]) -> None:
    strange = [name for name in names if name not in wanted]
    if strange or len(set(names)) != len(names):
        raise RequestRejected(
            f"the {file.format} file has columns {list(names)[:10]}; {', '.join(wanted)} are read, each once: leave out "
            f"{strange[:5] or 'what is there twice'}"
        )


def _square(file: ProblemFile, header: list[str], rows: list[Row]) -> Found:
    """A matrix; a column without a name before the others names its rows, and is not read."""
    if header and not header[0].strip():
        header, rows = header[1:], [(where, cells[1:]) for where, cells in rows]
    width = len(header) if header else len(rows[0][1]) if rows else 0
    if not width or len(rows) != width:
        raise RequestRejected(
            f"the {file.format} file has {len(rows):,} rows and {width:,} columns, and a matrix is square; a list begins with the names "
            "u,v,weight of a graph's columns or i,j,value of a QUBO's"
        )
    if width > MAX_COLUMNS:
        raise RequestRejected(
            f"the {file.format} file has {width:,} columns, at most {MAX_COLUMNS:,} are read"
        )
    numbers = []
    for where, cells in rows:
        _check_width(file, where, cells, width)
        numbers.append(
            [
                _number(file, where, header[at] if header else str(at + 1), cell)
                for at, cell in enumerate(cells)
            ]
        )
    if file.table == "maxcut":
        return _adjacency(file, [where for where, _ in rows], numbers)
    entries = [
        (i, j, value) for i, row in enumerate(numbers) for j, value in enumerate(row) if value or i == j
    ]
    return coo.matrix(file, entries)


def _adjacency(file: ProblemFile, places: Sequence[str], numbers: Sequence[Sequence[float]]) -> Found:
    edges = []
    for u, row in enumerate(numbers):
        for v in range(u + 1):
            if row[v] != numbers[v][u]:
                raise _wrong(
                    file,
                    places[u],
                    str(v + 1),
                    f"{row[v]:g} there and {numbers[v][u]:g} on the other side of the diagonal: a graph's matrix is symmetric",
                )
            if row[v] and u == v:
                raise _wrong(file, places[u], str(v + 1), "an edge from a node to itself is never cut")
            if row[v]:
                edges.append((v, u, row[v]))
    return edge_list.cut(file, edges, len(numbers))


def _check_width(file: ProblemFile, where: str, cells: Sequence[Any], width: int) -> None:
    if len(cells) != width:
        raise RequestRejected(
            f"the {file.format} file, {where}: {len(cells)} cells, the table has {width} columns"
        )


def _wrong(file: ProblemFile, where: str, column: str, what: str) -> RequestRejected:
    return RequestRejected(f"the {file.format} file, {where}, column {column[:_SHOWN]!r}: {what}")


def _number(file: ProblemFile, where: str, column: str, cell: Any) -> float:
    try:
        found = math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise _wrong(file, where, column, f"{str(cell)[:_SHOWN]!r} is no finite number")
    return found


def _index(file: ProblemFile, where: str, column: str, cell: Any) -> int:
    base, number = file.index_base or 0, _number(file, where, column, cell)
    if not number.is_integer():
        raise _wrong(file, where, column, f"{str(cell)[:_SHOWN]!r} is no index")
    if not 0 <= number - base < MAX_VARIABLES:
        raise _wrong(
            file,
            where,
            column,
            f"index {number:g} is out of range: counted from {base}, {MAX_VARIABLES:,} at most",
        )
    return int(number) - base
