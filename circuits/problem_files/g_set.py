"""G-set (https://web.stanford.edu/~yyye/yyye/Gset): `nodes edges`, then `u v weight`; nodes are counted from 1."""

from circuits.problem_files.edge_list import cut, edge
from circuits.problem_files.lines import Found, index, numbered, wrong
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected


def read(file: ProblemFile) -> Found:
    """The graph, whose cut is to be large."""
    lines = list(numbered(file))
    if not lines or len(lines[0][1]) != 2:
        raise RequestRejected("the g_set file begins with a line `nodes edges`")
    number, words = lines[0]
    nodes, count = index(file, number, words[0], 0), _count(file, number, words[1])
    base = 1 if file.index_base is None else file.index_base
    edges = [edge(file, at, entry, base) for at, entry in lines[1:]]
    if len(edges) != count:
        raise wrong(file, number, f"it says {count} edges, and {len(edges)} follow")
    if any(max(u, v) >= nodes for u, v, _ in edges):
        raise wrong(
            file, number, f"it says {nodes} nodes, and an edge names a node beyond: count from {base}"
        )
    return cut(file, edges, nodes)


def _count(file: ProblemFile, number: int, word: str) -> int:
    if not word.isdecimal() or len(word) > 9:
        raise wrong(file, number, f"{word[:40]!r} is no number of edges")
    return int(word)
