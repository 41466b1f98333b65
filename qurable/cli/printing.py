"""Where the commands print: a document on standard output, or something for people."""

import json
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 10_000


def _console(stream: TextIO, *, stderr: bool) -> Console:
    """For a terminal as wide as it is; a pipe gets its lines whole."""
    return Console(
        stderr=stderr, highlight=False, markup=False, width=None if stream.isatty() else _PIPE_WIDTH
    )


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)


def print_json(document: Any) -> None:
    """One document, on one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """With a first column that is never cut off: it is what the next command is given."""
    first = table.columns[0]
    first.min_width = max((len(str(cell)) for cell in first.cells), default=0)
    out.print(table)
