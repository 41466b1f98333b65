"""Problems from the files that people keep them in, one reader per format; runs in a child.

Each reader says in which line something is wrong. Formats: edge list (`u v [weight]` a line), G-set
(https://web.stanford.edu/~yyye/yyye/Gset), qubo (the format of qbsolv), coo (`i j value` a line, upper triangle or not),
dimod's JSON, SparsePauliOp as JSON, and FCIDUMP (Knowles and Handy, Comput. Phys. Commun. 54, 75 (1989)).
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from qurable.contracts.base import explain
from qurable.contracts.observables import PauliTerm
from qurable.contracts.optimisations import ProblemFile, ProblemFormat
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    LadderTerm,
    MaxCut,
    PauliHamiltonian,
    Problem,
    Qubo,
)
from qurable.errors import RequestRejected

_MAX_VARIABLES = 20_000
_MAX_ORBITALS = 32
_NEGLIGIBLE = 1e-14


def read_problem(file: ProblemFile) -> Problem:
    """The problem that a file holds.

    Raises:
        RequestRejected: Naming the line.
    """
    try:
        return _READERS[file.format](file)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"the {file.format} file")) from None
    except ValueError as failure:
        raise RequestRejected(f"the {file.format} file is not acceptable: {failure}") from None
    except RecursionError:
        raise RequestRejected(f"the {file.format} file is nested too deeply") from None


def _lines(file: ProblemFile, comments: str = "#c%") -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that is neither empty nor a comment."""
    for number, line in enumerate(file.text.splitlines(), start=1):
        words = line.split()
        if words and words[0][0] not in comments:
            yield number, words


def _wrong(file: ProblemFile, number: int, what: str) -> RequestRejected:
    return RequestRejected(f"the {file.format} file, line {number}: {what}", line=number)


def _index(file: ProblemFile, number: int, word: str, base: int) -> int:
    """A variable counted from 0."""
    try:
        index = int(word) - base
    except ValueError:
        raise _wrong(file, number, f"{word[:40]!r} is no index") from None
    if not 0 <= index < _MAX_VARIABLES:
        raise _wrong(
            file,
            number,
            f"index {word[:40]} is out of range: counted from {base}, {_MAX_VARIABLES:,} at most",
        )
    return index


def _weight(file: ProblemFile, number: int, word: str) -> float:
    try:
        weight = float(word.replace("D", "E").replace("d", "e"))
    except ValueError:
        raise _wrong(file, number, f"{word[:40]!r} is no number") from None
    if not math.isfinite(weight):
        raise _wrong(file, number, f"{word[:40]!r} is no finite number")
    return weight


def _edge_list(file: ProblemFile) -> MaxCut:
    """`u v` or `u v weight`; nodes are counted from 0 unless the file's owner says 1."""
    base = file.index_base or 0
    edges = [_edge(file, number, words, base) for number, words in _lines(file)]
    return _cut(file, edges)


def _edge(file: ProblemFile, number: int, words: list[str], base: int) -> tuple[int, int, float]:
    if len(words) not in (2, 3):
        raise _wrong(file, number, f"an edge is `u v` or `u v weight`, this has {len(words)} words")
    u, v = (_index(file, number, word, base) for word in words[:2])
    return u, v, _weight(file, number, words[2]) if len(words) == 3 else 1.0


def _cut(file: ProblemFile, edges: list[tuple[int, int, float]], nodes: int = 0) -> MaxCut:
    if not edges:
        raise RequestRejected(f"the {file.format} file has no edges")
    return MaxCut(num_nodes=max(nodes, 1 + max(max(u, v) for u, v, _ in edges)), edges=tuple(edges))


def _g_set(file: ProblemFile) -> MaxCut:
    """`nodes edges`, then `u v weight`; nodes are counted from 1."""
    lines = list(_lines(file))
    if not lines or len(lines[0][1]) != 2:
        raise RequestRejected("the g_set file begins with a line `nodes edges`")
    number, words = lines[0]
    nodes, count = (_index(file, number, word, 0) for word in words)
    base = 1 if file.index_base is None else file.index_base
    edges = [_edge(file, at, entry, base) for at, entry in lines[1:]]
    if len(edges) != count:
        raise _wrong(file, number, f"it says {count} edges, and {len(edges)} follow")
    found = _cut(file, edges, nodes)
    if found.num_nodes > nodes:
        raise _wrong(
            file, number, f"it says {nodes} nodes, and an edge names a node beyond: count from {base}"
        )
    return found


def _qubo(file: ProblemFile) -> Qubo:
    """`p qubo 0 maxDiagonals nDiagonals nElements`, then `i j value`; counted from 0."""
    lines = list(_lines(file))
    if not lines or lines[0][1][:2] != ["p", "qubo"] or len(lines[0][1]) != 6:
        raise RequestRejected(
            "the qubo file begins with a line `p qubo topology maxNodes nNodes nCouplers`; a bare list of `i j value` is coo"
        )
    number, words = lines[0]
    size = _index(file, number, words[3], 0)
    return _matrix(file, lines[1:], file.index_base or 0, size)


def _coo(file: ProblemFile) -> Qubo:
    """`i j value` a line; counted from 0 unless the file's owner says 1."""
    return _matrix(file, list(_lines(file)), file.index_base or 0)


def _matrix(file: ProblemFile, lines: list[tuple[int, list[str]]], base: int, size: int = 0) -> Qubo:
    linear: dict[int, float] = {}
    quadratic: dict[tuple[int, int], float] = {}
    for number, words in lines:
        if len(words) != 3:
            raise _wrong(file, number, f"an entry is `i j value`, this has {len(words)} words")
        i, j = (_index(file, number, word, base) for word in words[:2])
        weight = _weight(file, number, words[2])
        if i == j:
            linear[i] = linear.get(i, 0.0) + weight
        else:
            pair = (min(i, j), max(i, j))
            quadratic[pair] = quadratic.get(pair, 0.0) + weight
    if not linear and not quadratic:
        raise RequestRejected(f"the {file.format} file has no entries")
    count = max(size, 1 + max([*linear, *(j for _, j in quadratic)]))
    return Qubo(
        linear=tuple(linear.get(i, 0.0) for i in range(count)),
        quadratic=tuple((i, j, weight) for (i, j), weight in sorted(quadratic.items())),
    )


def _document(file: ProblemFile) -> Mapping[str, Any]:
    try:
        document = json.loads(file.text)
    except ValueError as error:
        raise RequestRejected(f"the {file.format} file is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestRejected(f"the {file.format} file holds no JSON object")
    return document


def _dimod(file: ProblemFile) -> Qubo | Ising:
    """A binary quadratic model, as dimod's `to_serializable()` writes it without packing into bytes."""
    document = _document(file)
    if document.get("type") != "BinaryQuadraticModel" or document.get("use_bytes"):
        raise RequestRejected(
            "the dimod file is no BinaryQuadraticModel as `to_serializable(use_bytes=False)` writes it"
        )
    labels = document.get("variable_labels")
    linear = document.get("linear_biases")
    columns = [document.get(name) for name in ("quadratic_head", "quadratic_tail", "quadratic_biases")]
    if not isinstance(linear, list) or not isinstance(labels, list) or len(labels) != len(linear):
        raise RequestRejected("the dimod file has not one label and one linear bias per variable")
    if not all(isinstance(column, list) for column in columns) or len({len(c) for c in columns if c}) > 1:
        raise RequestRejected("the dimod file's quadratic columns differ in length")
    pairs = tuple(zip(*(column or [] for column in columns), strict=True))
    offset = document.get("offset", 0.0)
    if document.get("variable_type") == "SPIN":
        return Ising.model_validate({"h": linear, "couplings": pairs, "offset": offset})
    return Qubo.model_validate({"linear": linear, "quadratic": pairs, "offset": offset})


def _sparse_pauli_op(file: ProblemFile) -> PauliHamiltonian:
    """`{"paulis": [label, ...], "coeffs": [number or [real, imaginary], ...]}` or `[[label, coefficient], ...]` as `terms`.

    The rightmost letter of a label acts on qubit 0, as in Qiskit.
    """
    document = _document(file)
    paulis, coefficients = document.get("paulis"), document.get("coeffs")
    if not isinstance(paulis, list) or not isinstance(coefficients, list) or len(paulis) != len(coefficients):
        raise RequestRejected(
            'the sparse_pauli_op file is {"paulis": [label, ...], "coeffs": [number, ...]}, one coefficient per label'
        )
    if not paulis or not all(isinstance(label, str) for label in paulis):
        raise RequestRejected("the sparse_pauli_op file has no labels, or some that are no text")
    widths = {len(label) for label in paulis}
    if len(widths) != 1:
        raise RequestRejected(
            f"the sparse_pauli_op file has labels of different widths: {sorted(widths)[:5]}"
        )
    terms = tuple(
        PauliTerm.dense(label, _real(label, coefficient))
        for label, coefficient in zip(paulis, coefficients, strict=True)
    )
    return PauliHamiltonian(num_qubits=widths.pop(), terms=terms)


def _real(label: str, coefficient: Any) -> float:
    """A coefficient without an imaginary part: with one, the operator would not be Hermitian."""
    real, imaginary = (
        coefficient if isinstance(coefficient, list) and len(coefficient) == 2 else (coefficient, 0)
    )
    if isinstance(coefficient, dict):
        real, imaginary = coefficient.get("real"), coefficient.get("imag", 0)
    if isinstance(real, bool) or not isinstance(real, int | float) or not isinstance(imaginary, int | float):
        raise RequestRejected(f"the sparse_pauli_op file: the coefficient of {label!r} is no number")
    if abs(imaginary) > 1e-12 or not math.isfinite(imaginary):
        raise RequestRejected(
            f"the sparse_pauli_op file: the coefficient of {label!r} has an imaginary part of {imaginary:g}; a Hamiltonian is "
            "Hermitian, so leave it out or add the conjugate"
        )
    return float(real)


def _fcidump(file: ProblemFile) -> FermionicHamiltonian:
    """Integrals of a molecule over real spatial orbitals, (ij|kl) in chemists' notation.

    Mode p is the orbital p with spin up, mode n + p that with spin down, as blocks.
    """
    header, end, body = file.text.partition("/") if "/" in file.text else file.text.partition("&END")
    norb = re.search(r"NORB\s*=\s*(\d+)", header, re.IGNORECASE)
    if not end or norb is None or "&FCI" not in header.upper():
        raise RequestRejected("the fcidump file has no header `&FCI NORB=..., ... &END`")
    if re.search(r"(UHF|IUHF)\s*=\s*(\.TRUE\.|1)", header, re.IGNORECASE):
        raise RequestRejected("the fcidump file is unrestricted (UHF), and restricted ones are read")
    orbitals = int(norb.group(1))
    if not 1 <= orbitals <= _MAX_ORBITALS:
        raise RequestRejected(f"the fcidump file has {orbitals} orbitals, 1 to {_MAX_ORBITALS} are read")
    first = header.count("\n")
    one: dict[tuple[int, int], float] = {}
    two: dict[tuple[int, int, int, int], float] = {}
    offset = 0.0
    for at, line in enumerate(body.splitlines(), start=first + 1):
        words = line.split()
        if not words or words[0].upper().startswith("&END"):
            continue
        if len(words) != 5:
            raise _wrong(file, at, f"an integral is `value i j k l`, this has {len(words)} words")
        value = _weight(file, at, words[0])
        i, j, k, l = (_index(file, at, word, 0) for word in words[1:])  # noqa: E741  the format's letters
        if max(i, j, k, l) > orbitals:
            raise _wrong(file, at, f"an orbital beyond {orbitals}")
        if k and l and i and j:
            for a, b, c, d in {
                *((i, j, k, l), (j, i, k, l), (i, j, l, k), (j, i, l, k)),
                *((k, l, i, j), (l, k, i, j), (k, l, j, i), (l, k, j, i)),
            }:
                two[a - 1, b - 1, c - 1, d - 1] = value
        elif i and j:
            one[i - 1, j - 1] = one[j - 1, i - 1] = value
        elif not i and not j:
            offset += value
        # `value i 0 0 0` is an orbital's energy, which no Hamiltonian holds
    return FermionicHamiltonian(
        num_modes=2 * orbitals,
        terms=tuple(_ladder_terms(orbitals, one, two)),
        mapping=file.mapping,
        offset=offset,
    )


def _ladder_terms(
    orbitals: int, one: dict[tuple[int, int], float], two: dict[tuple[int, int, int, int], float]
) -> Iterator[LadderTerm]:
    """The sum of h_pq a+_p a_q + 1/2 sum (pq|rs) a+_p a+_r a_s a_q, over spins."""
    for (p, q), value in sorted(one.items()):
        if abs(value) > _NEGLIGIBLE:
            for spin in (0, orbitals):
                yield LadderTerm(operators=((p + spin, "+"), (q + spin, "-")), coefficient=value)
    for (p, q, r, s), value in sorted(two.items()):
        if abs(value) <= _NEGLIGIBLE:
            continue
        for spin in (0, orbitals):
            for other in (0, orbitals):
                created = (p + spin, r + other)
                annihilated = (s + other, q + spin)
                if created[0] != created[1] and annihilated[0] != annihilated[1]:
                    yield LadderTerm(
                        operators=(
                            *((mode, "+") for mode in created),
                            *((mode, "-") for mode in annihilated),
                        ),
                        coefficient=value / 2,
                    )


_READERS: Mapping[ProblemFormat, Callable[[ProblemFile], Problem]] = {
    ProblemFormat.EDGE_LIST: _edge_list,
    ProblemFormat.G_SET: _g_set,
    ProblemFormat.QUBO: _qubo,
    ProblemFormat.COO: _coo,
    ProblemFormat.DIMOD: _dimod,
    ProblemFormat.SPARSE_PAULI_OP: _sparse_pauli_op,
    ProblemFormat.FCIDUMP: _fcidump,
}
