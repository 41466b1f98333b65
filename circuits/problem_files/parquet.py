"""Parquet: a table whose columns are numbers; needs `pyarrow`, which the dependency group `tables` brings."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from circuits.problem_files.lines import Found
from circuits.problem_files.table import MAX_CELLS, Row, read_table
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import BackendNotInstalled, RequestRejected

_LARGEST_BYTES = 256 * 2**20


def read(file: ProblemFile) -> Found:
    """What the table holds."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise BackendNotInstalled(
            "Parquet files are read with pyarrow, which is not installed on this worker: install the dependency group 'tables', or "
            "send the table as CSV",
            missing="pyarrow",
        ) from None
    # The pools that it would take by itself reserve more address space than this process may have.
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        content = base64.b64decode(file.text, validate=True)
    except binascii.Error:
        raise RequestRejected("the parquet file is to come in base64, and is something else") from None
    try:
        found = parquet.ParquetFile(pa.BufferReader(content))
        _check_size(found.metadata)
        _check_types(pa, found.schema_arrow)
        table = found.read(use_threads=False)
    except (pa.ArrowException, OSError) as failure:
        raise RequestRejected(f"the parquet file cannot be read: {str(failure)[:200]}") from None
    return read_table(file, [str(name) for name in table.column_names], _rows(table))


def _check_size(metadata: Any) -> None:
    cells = metadata.num_rows * metadata.num_columns
    unpacked = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    if cells > MAX_CELLS or unpacked > _LARGEST_BYTES:
        raise RequestRejected(
            f"the parquet file has {cells:,} cells and {unpacked:,} bytes unpacked; {MAX_CELLS:,} and {_LARGEST_BYTES:,} are read at most"
        )


def _check_types(pa: Any, schema: Any) -> None:
    for column in schema:
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise RequestRejected(
                f"the parquet file's column {column.name[:40]!r} holds {str(column.type)[:60]}, and numbers are read: leave it out"
            )


def _rows(table: Any) -> Iterator[Row]:
    columns = [column.to_pylist() for column in table.columns]
    for at in range(table.num_rows):
        yield f"row {at + 1}", [column[at] for column in columns]
