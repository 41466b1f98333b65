"""The format of qbsolv: `p qubo 0 maxDiagonals nDiagonals nElements`, then `i j value`; counted from 0."""

from circuits.problem_files.coo import entry, matrix
from circuits.problem_files.lines import Found, index, numbered
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected


def read(file: ProblemFile) -> Found:
    """The matrix, both of its halves added up."""
    lines = list(numbered(file))
    if not lines or lines[0][1][:2] != ["p", "qubo"] or len(lines[0][1]) != 6:
        raise RequestRejected(
            "the qubo file begins with a line `p qubo topology maxNodes nNodes nCouplers`; a bare list of `i j value` is coo"
        )
    number, words = lines[0]
    size = index(file, number, words[3], 0)
    return matrix(file, [entry(file, at, rest) for at, rest in lines[1:]], size)
