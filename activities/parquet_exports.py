"""Exports as Parquet: the columns of the CSV with types; written by `pyarrow`, of the dependency group `tables`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fallback.solvers.protocol import absent
from qurable.errors import RequestRejected

SUFFIX = ".parquet"

_TYPES = {
    "position": "int64",
    "degraded": "bool",
    "feasible": "bool",
    "objective": "float64",
    "standard_error": "float64",
    "bound": "float64",
    "qpu_seconds": "float64",
    "price": "float64",
}
"""Of columns; all others are text."""


def refuse_without_library(name: str) -> None:
    """Make sure that an export can be written here.

    Raises:
        RequestRejected: It is Parquet, and what writes it is not installed.
    """
    if name.endswith(SUFFIX) and absent(["pyarrow"]):
        raise RequestRejected(
            f"the export {name!r} needs 'pyarrow', which is not installed on this worker: install the dependency group `tables`, or name "
            "a .csv"
        )


def added(path: Path, partial: Path, columns: Sequence[str], key: str, rows: Sequence[dict[str, Any]]) -> int:
    """Write what a file holds and the rows that it does not to another; gives back how many those are.

    Args:
        path: The export, which may not be there yet.
        partial: Written only where there are new rows.
        columns: In their order.
        key: The column that tells rows apart.
        rows: Values by column.

    Raises:
        RequestRejected: The file is no export, or the library is missing.
    """
    refuse_without_library(path.name)
    import pyarrow as pa
    from pyarrow import parquet

    standing = _standing(path, key)
    known = set(standing.column(key).to_pylist()) if standing is not None else set()
    new = [row for row in rows if row[key] not in known]
    if not new:
        return 0
    schema = pa.schema([(name, pa.type_for_alias(_TYPES.get(name, "string"))) for name in columns])
    table = pa.Table.from_pylist(new, schema=schema)
    if standing is not None:
        try:
            table = pa.concat_tables([standing, table], promote_options="default")
        except pa.ArrowException as failure:
            raise RequestRejected(
                f"{str(path)!r} has columns of other types than an export: {str(failure)[:200]}; name another file"
            ) from None
    with partial.open("wb") as file:
        parquet.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    return len(new)


def _standing(path: Path, key: str) -> Any:
    """What the file holds; None where there is none."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.exists():
        return None
    try:
        table = parquet.read_table(pa.BufferReader(path.read_bytes()), use_threads=False)
    except pa.ArrowException as failure:
        raise RequestRejected(f"{str(path)!r} is no Parquet file: {str(failure)[:200]}") from None
    if key not in table.column_names:
        raise RequestRejected(f"{str(path)!r} is no export: it has no column {key!r}; name another file")
    return table
