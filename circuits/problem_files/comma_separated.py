"""CSV: a table whose cells are divided by commas, semicolons or tabs, whichever its first line has most of."""

import csv
import io
from collections.abc import Iterator

from circuits.problem_files.lines import Found
from circuits.problem_files.table import MAX_CELLS, Row, read_table
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected


def read(file: ProblemFile) -> Found:
    """What the table holds."""
    rows = _rows(file)
    try:
        where, first = next(rows)
    except StopIteration:
        raise RequestRejected("the csv file is empty") from None
    if all(map(_is_number, first)):
        return read_table(file, None, _before((where, first), rows))
    return read_table(file, [str(cell) for cell in first], rows)


def _rows(file: ProblemFile) -> Iterator[Row]:
    text = file.text.removeprefix("\ufeff")
    begins = next((line for line in text.splitlines() if line.strip()), "")
    divider = max(",;\t", key=begins.count)
    reader = csv.reader(io.StringIO(text), delimiter=divider, strict=True)
    cells_read = 0
    try:
        for cells in reader:
            cells_read += len(cells)
            if cells_read > MAX_CELLS:
                raise RequestRejected(f"the csv file has more than {MAX_CELLS:,} cells")
            if any(cell.strip() for cell in cells):
                yield f"line {reader.line_num}", cells
    except csv.Error as failure:
        raise RequestRejected(f"the csv file, line {reader.line_num}: {failure}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _before(row: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield row
    yield from rows
