"""QUBO matrices: `i j value` a line, upper triangle or not; counted from 0 unless the file's owner says 1."""

from circuits.problem_files.lines import Found, index, numbered, weight, wrong
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import Qubo
from qurable.errors import RequestRejected

Entry = tuple[int, int, float]


def read(file: ProblemFile) -> Found:
    """The matrix, both of its halves added up."""
    return matrix(file, [entry(file, number, words) for number, words in numbered(file)])


def entry(file: ProblemFile, number: int, words: list[str]) -> Entry:
    """An entry of a line."""
    if len(words) != 3:
        raise wrong(file, number, f"an entry is `i j value`, this has {len(words)} words")
    i, j = (index(file, number, word, file.index_base or 0) for word in words[:2])
    return i, j, weight(file, number, words[2])


def matrix(file: ProblemFile, entries: list[Entry], size: int = 0) -> Found:
    """A QUBO of at least so many variables; entries of one place add up."""
    linear: dict[int, float] = {}
    quadratic: dict[tuple[int, int], float] = {}
    for i, j, value in entries:
        if i == j:
            linear[i] = linear.get(i, 0.0) + value
        else:
            pair = (min(i, j), max(i, j))
            quadratic[pair] = quadratic.get(pair, 0.0) + value
    if not entries:
        raise RequestRejected(f"the {file.format} file has no entries")
    count = max(size, 1 + max([*linear, *(j for _, j in quadratic)]))
    return Found(
        Qubo(
            linear=tuple(linear.get(i, 0.0) for i in range(count)),
            quadratic=tuple((i, j, value) for (i, j), value in sorted(quadratic.items())),
        )
    )
