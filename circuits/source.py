"""What an OpenQASM text may contain before any parser sees it.

Parsers were measured to abort, to expand exponentially and to read foreign files on hostile texts; these
checks refuse such texts in linear time. What they let through is still parsed in a limited child.
"""

import re
from dataclasses import dataclass

from qurable.contracts.circuits import CircuitFormat
from qurable.errors import CircuitRejected

STANDARD_INCLUDES = {CircuitFormat.OPENQASM2: "qelib1.inc", CircuitFormat.OPENQASM3: "stdgates.inc"}


@dataclass(frozen=True)
class SourceLimits:
    """Bounds on a text.

    Attributes:
        openqasm2_bytes: Longest OpenQASM 2 text; its parser reads 350,000 gates a second.
        openqasm3_bytes: Longest OpenQASM 3 text; its parser reads 4,000 gates a second.
        bits: Most qubits and classical bits declared together.
        depth: Deepest nesting of brackets.
        gate_definitions: Most gate definitions.
        expanded_gates: Most operations once every gate definition is written out.
    """

    openqasm2_bytes: int = 4 * 2**20
    openqasm3_bytes: int = 512 * 2**10
    bits: int = 10_000
    depth: int = 64
    gate_definitions: int = 5_000
    expanded_gates: int = 1_000_000


_TRIVIA = re.compile(
    r"""
    "[^"\n]*+" | '[^'\n]*+'                      # in a string, what looks like a comment is none
    | (?: @[A-Za-z_] | \#?\bpragma\b ) [^\n]*+   # OpenQASM 3 swallows the rest of such a line
    | (?P<comment> //[^\n]*+ | /\*.*?(?:\*/|\Z) )
    """,
    re.DOTALL | re.VERBOSE,
)
_INCLUDE = re.compile(r'\binclude\s*["\']([^"\']*)["\']')
_DECLARATION = re.compile(r"\b(?:[qc]reg\s+\w+|qubit|bit)\s*\[([^][;{}]*)")
_SIGNS = re.compile(r"(?:[-~!]\s*+){65}")
_GATE = re.compile(r"\bgate\s+([A-Za-z_]\w*)")
# Groups are not possessive: Python 3.11.2 then matches nothing where it should, and the limit would be none.
_STATEMENT = re.compile(
    r"""
    \s*+
    (?: gate\s++(?P<gate>[A-Za-z_]\w*+)
      | (?: [a-z]++ \s*+ (?: \([^();{}]*+\) \s*+ )? @ \s*+ )* (?P<call>[A-Za-z_]\w*+)
    )?
    [^{};]*+ (?P<end>[{};]|\Z)
    """,
    re.VERBOSE,
)


def check_source(text: str, form: CircuitFormat, limits: SourceLimits, name: str = "circuit") -> None:
    """Refuse a text that is too long, too wide, too deep, includes a foreign file or expands without end.

    Raises:
        CircuitRejected: With the line and column where there is one.
    """
    longest = limits.openqasm2_bytes if form is CircuitFormat.OPENQASM2 else limits.openqasm3_bytes
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > longest:
        raise CircuitRejected(
            f"circuit {name!r} is {size:,} bytes of {form}; at most {longest:,} are parsed: define gates or loops for what "
            "repeats, or send it from the typed client as QPY",
            size=size,
            limit=longest,
        )
    code = without_comments(text)
    _check_includes(code, form, name)
    _check_declarations(code, limits, name)
    _check_depth(code, limits, name)
    _check_definitions(code, limits, name)


def without_comments(text: str) -> str:
    """The text with comments turned into spaces, so that offsets stay."""
    return _TRIVIA.sub(
        lambda found: re.sub(r"[^\n]", " ", found.group()) if found["comment"] else found.group(), text
    )


def defined_gates(text: str) -> set[str]:
    """Names that a text defines as gates of its own."""
    return set(_GATE.findall(without_comments(text)))


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _rejected(code: str, offset: int, name: str, problem: str) -> CircuitRejected:
    line, column = position(code, offset)
    return CircuitRejected(
        f"circuit {name!r}, line {line}, column {column}: {problem}", line=line, column=column
    )


def _check_includes(code: str, form: CircuitFormat, name: str) -> None:
    standard = STANDARD_INCLUDES[form]
    for include in _INCLUDE.finditer(code):
        if include.group(1) != standard:
            raise _rejected(
                code,
                include.start(),
                name,
                f"include {include.group(1)!r}: {form} circuits may include {standard!r} and nothing else",
            )


def _check_declarations(code: str, limits: SourceLimits, name: str) -> None:
    total = 0
    for declaration in _DECLARATION.finditer(code):
        extent = declaration.group(1).strip()
        bits = _bits(extent)
        if bits is None:
            raise _rejected(
                code, declaration.start(), name, f"size {extent[:40]!r} is no number: write it out"
            )
        total += bits
        if total > limits.bits:
            raise _rejected(
                code,
                declaration.start(),
                name,
                f"{total:,} bits are declared up to here; at most {limits.bits:,} are taken",
            )


def _bits(extent: str) -> int | None:
    """The number that a size is written as: OpenQASM 3 takes `1_000` and `0x3e8` too."""
    digits = extent.replace("_", "")
    if not digits.isalnum():
        return None
    if len(digits) > 40:
        return 10**12
    try:
        return int(digits) if digits.isdecimal() else int(digits, 0)
    except ValueError:
        return None


def _check_depth(code: str, limits: SourceLimits, name: str) -> None:
    depth = 0
    for bracket in re.finditer(r"[(\[{}\])]", code):
        depth += 1 if bracket.group() in "([{" else -1
        if depth > limits.depth:
            raise _rejected(code, bracket.start(), name, f"brackets nest deeper than {limits.depth}")
    runs = _SIGNS.search(code)
    if runs:
        raise _rejected(code, runs.start(), name, "more than 64 signs in a row")


def _check_definitions(code: str, limits: SourceLimits, name: str) -> None:
    """Count what every gate definition expands to, without expanding it."""
    sizes: dict[str, int] = {}
    size = total = depth = 0
    gate, at, outer = "", 0, 0
    for statement in _STATEMENT.finditer(code):
        header, call, end = statement.groups()
        if header and end == "{" and not gate:
            gate, at, outer, size = header, statement.start("gate"), depth, 0
        elif header or call:
            size += sizes.get(call, 1)
        depth += (end == "{") - (end == "}")
        if not gate:
            total, size = total + size, 0
        elif depth == outer:
            sizes[gate] = size = max(1, size)
            if size > limits.expanded_gates:
                raise _rejected(
                    code,
                    at,
                    name,
                    f"gate {gate!r} expands to {size:,} operations; at most {limits.expanded_gates:,} are taken",
                )
            if len(sizes) > limits.gate_definitions:
                raise _rejected(code, at, name, f"more than {limits.gate_definitions:,} gate definitions")
            gate, size = "", 0
    if total > limits.expanded_gates:
        raise CircuitRejected(
            f"circuit {name!r} expands to {total:,} operations; at most {limits.expanded_gates:,} are taken",
            size=total,
            limit=limits.expanded_gates,
        )
