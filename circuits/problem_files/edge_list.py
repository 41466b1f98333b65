"""Edge lists: `u v` or `u v weight` a line; nodes are counted from 0 unless the file's owner says 1."""

from circuits.problem_files.lines import Found, index, numbered, weight, wrong
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import MaxCut
from qurable.errors import RequestRejected

Edge = tuple[int, int, float]


def read(file: ProblemFile) -> Found:
    """The graph, whose cut is to be large."""
    base = file.index_base or 0
    return cut(file, [edge(file, number, words, base) for number, words in numbered(file)])


def edge(file: ProblemFile, number: int, words: list[str], base: int) -> Edge:
    """An edge of a line; without a weight its weight is 1."""
    if len(words) not in (2, 3):
        raise wrong(file, number, f"an edge is `u v` or `u v weight`, this has {len(words)} words")
    u, v = (index(file, number, word, base) for word in words[:2])
    if u == v:
        raise wrong(file, number, "an edge from a node to itself is never cut; leave it out")
    return u, v, weight(file, number, words[2]) if len(words) == 3 else 1.0


def cut(file: ProblemFile, edges: list[Edge], nodes: int = 0) -> Found:
    """A graph of at least so many nodes; edges that come more than once are warned of."""
    if not edges:
        raise RequestRejected(f"the {file.format} file has no edges")
    again = len(edges) - len({(min(u, v), max(u, v)) for u, v, _ in edges})
    warning = f"the {file.format} file names edges again that it has named before, {again} times: their weights add up"
    return Found(
        MaxCut(num_nodes=max(nodes, 1 + max(max(u, v) for u, v, _ in edges)), edges=tuple(edges)),
        warnings=(warning,) if again else (),
    )
