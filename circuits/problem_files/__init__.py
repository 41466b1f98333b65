"""Problems from the files that people keep them in, one module per format; runs in a child.

Each reader says in which line something is wrong. `read_problem` is what others call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from circuits.problem_files import (
    comma_separated,
    coo,
    dimod,
    edge_list,
    fcidump,
    g_set,
    parquet,
    program,
    qubo,
    sparse_pauli_op,
    tsplib,
)
from circuits.problem_files.lines import Found
from qurable.contracts.base import explain
from qurable.contracts.optimisations import ProblemFile, ProblemFormat
from qurable.errors import RequestRejected


@dataclass(frozen=True)
class Format:
    """How a format is read.

    Attributes:
        read: Its reader.
        base: What it calls its first node, variable or city by itself; None where they have names, or a number that nothing
            changes.
        table: Whether its owner may say what its numbers are.
    """

    read: Callable[[ProblemFile], Found]
    base: int | None = None
    table: bool = False


FORMATS: Mapping[ProblemFormat, Format] = {
    ProblemFormat.EDGE_LIST: Format(edge_list.read, 0),
    ProblemFormat.G_SET: Format(g_set.read, 1),
    ProblemFormat.QUBO: Format(qubo.read, 0),
    ProblemFormat.COO: Format(coo.read, 0),
    ProblemFormat.DIMOD: Format(dimod.read),
    ProblemFormat.SPARSE_PAULI_OP: Format(sparse_pauli_op.read),
    ProblemFormat.FCIDUMP: Format(fcidump.read),
    ProblemFormat.TSPLIB: Format(tsplib.read, 1),
    ProblemFormat.LP: Format(program.read),
    ProblemFormat.MPS: Format(program.read),
    ProblemFormat.CSV: Format(comma_separated.read, 0, table=True),
    ProblemFormat.PARQUET: Format(parquet.read, 0, table=True),
}


def read_problem(file: ProblemFile) -> Found:
    """The problem that a file holds.

    Raises:
        RequestRejected: Naming the line, or the row and column of a table.
        BackendNotInstalled: The format's library is not here.
    """
    form = FORMATS[file.format]
    if file.index_base is not None and form.base is None:
        raise RequestRejected(f"index_base says nothing of a {file.format} file: leave it out")
    if file.table is not None and not form.table:
        raise RequestRejected(f"table says nothing of a {file.format} file: leave it out")
    if file.mapping != "jordan_wigner" and file.format is not ProblemFormat.FCIDUMP:
        raise RequestRejected(f"mapping says nothing of a {file.format} file: leave it out")
    try:
        return form.read(file)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"the {file.format} file")) from None
    except (ValueError, ArithmeticError) as failure:
        raise RequestRejected(f"the {file.format} file is not acceptable: {failure}") from None
    except RecursionError:
        raise RequestRejected(f"the {file.format} file is nested too deeply") from None


def index_base(file: ProblemFile) -> int | None:
    """What a file calls its first node, variable or city; None where they have names."""
    base = FORMATS[file.format].base
    return base if file.index_base is None else file.index_base
